package observe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gorilla/websocket"
)

// queue is a WebSocket on which messages wait; end is what comes after them.
type queue struct {
	kind  int // of all of them; 0: binary
	texts []string
	end   error
	sent  bytes.Buffer
}

func (q *queue) NextReader() (int, io.Reader, error) {
	if len(q.texts) == 0 {
		return 0, nil, q.end
	}
	text := q.texts[0]
	q.texts = q.texts[1:]
	kind := q.kind
	if kind == 0 {
		kind = websocket.BinaryMessage
	}
	return kind, iotest.DataErrReader(strings.NewReader(text)), nil // its last bytes come with io.EOF
}

func (q *queue) WriteMessage(kind int, data []byte) error {
	if kind != websocket.BinaryMessage {
		return errors.New("not binary")
	}
	_, err := q.sent.Write(data)
	return err
}

func (q *queue) WriteControl(kind int, data []byte, _ time.Time) error {
	q.sent.WriteString(fmt.Sprint(kind, data))
	return errors.New("nobody listens")
}

func (*queue) Close() error                     { return nil }
func (*queue) LocalAddr() net.Addr              { return nil }
func (*queue) RemoteAddr() net.Addr             { return nil }
func (*queue) SetReadDeadline(time.Time) error  { return nil }
func (*queue) SetWriteDeadline(time.Time) error { return nil }

// A port-forward ends as a file does when the node says that it is over, and with an error in every other case: what
// was cut is not taken for the whole.
func TestThePortForwardOfAWebSocketIsAStreamOfBytes(t *testing.T) {
	over := &websocket.CloseError{Code: websocket.CloseNormalClosure}
	away := &websocket.CloseError{Code: websocket.CloseGoingAway}
	cut := &websocket.CloseError{Code: websocket.CloseAbnormalClosure, Text: "cut"}
	const data, why = "\x00\x90\x1f", "\x01\x90\x1f" // port 8080
	for name, tc := range map[string]struct {
		q          *queue
		want, fail string // no fail: it ends
	}{
		"messages joined, empty ones passed over": {&queue{texts: []string{why, data, "\x00ab", "", "\x00", "\x00cde"},
			end: over}, "abcde", ""},
		"the port and bytes in one message": {&queue{texts: []string{data + "ab", "\x00cd"}, end: over}, "abcd", ""},
		"nothing at all":                    {&queue{texts: []string{data, why}, end: over}, "", ""},
		"a failure": {&queue{texts: []string{data, why, "\x01connection ", "\x01refused"}, end: over}, "",
			"connection refused"},
		"a failure after bytes": {&queue{texts: []string{data, "\x00ab", why + "reset"}, end: cut}, "ab", "reset"},
		"much said of a failure": {&queue{texts: []string{why, "\x01" + strings.Repeat("x", mostSaid), "\x01y"}, end: over},
			"", "xxx"},
		"cut":                       {&queue{texts: []string{data, "\x00ab"}, end: cut}, "ab", "cut"},
		"going away":                {&queue{texts: []string{data}, end: away}, "", "1001"},
		"a text message":            {&queue{kind: websocket.TextMessage, texts: []string{data}}, "", "not binary"},
		"another port":              {&queue{texts: []string{"\x00\x51\x00"}, end: over}, "", "port 81 instead"},
		"a third channel":           {&queue{texts: []string{"\x02\x90\x1f"}, end: over}, "", "channel 2"},
		"a channel without a port":  {&queue{texts: []string{"\x00\x90"}, end: over}, "", "begin with the port"},
		"a channel without a byte":  {&queue{texts: []string{"\x00"}, end: over}, "", "begin with the port"},
		"a failure without reasons": {&queue{texts: []string{data, why}, end: cut}, "", "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			conn := &channels{messages: tc.q, port: 8080}
			_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{conn}, make([]byte, 2))
			said := fmt.Sprint(err)
			if got.String() != tc.want || (err == nil) != (tc.fail == "") || !strings.Contains(said, tc.fail) {
				t.Errorf("read %q, %v; want %q and an error about %q", got.String(), err, tc.want, tc.fail)
			}
			if ended := tc.fail == "cut" || tc.fail == "1001"; errors.Is(err, io.ErrUnexpectedEOF) != ended {
				t.Errorf("%v: whether it was cut is not told", err)
			}
			if len(conn.why) > mostSaid {
				t.Errorf("%d bytes are kept of what was said", len(conn.why))
			}
		})
	}
	q := &queue{}
	if n, err := (&channels{messages: q}).Write([]byte("xyz")); n != 3 || err != nil || q.sent.String() != "\x00xyz" {
		t.Errorf("wrote %d, %v: %q", n, err, q.sent.String())
	}
	q = &queue{}
	if err := (&channels{messages: q}).Close(); err != nil || q.sent.String() != "8 [3 232]" {
		t.Errorf("closing sent %q, and returned %v", q.sent.String(), err)
	}
}
