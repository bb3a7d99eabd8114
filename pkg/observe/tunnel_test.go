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
)

// queue is a WebSocket on which messages wait.
type queue struct {
	kinds []int
	texts []string
	sent  bytes.Buffer
}

func (q *queue) NextReader() (int, io.Reader, error) {
	if len(q.texts) == 0 {
		return 0, nil, errors.New("closed")
	}
	kind, text := q.kinds[0], q.texts[0]
	q.kinds, q.texts = q.kinds[1:], q.texts[1:]
	return kind, iotest.DataErrReader(strings.NewReader(text)), nil // its last bytes come with io.EOF
}

func (q *queue) WriteMessage(kind int, data []byte) error {
	if kind != binary {
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

func TestATunnelIsAStreamOfBytes(t *testing.T) {
	for name, tc := range map[string]struct {
		q          *queue
		want, fail string
	}{
		"messages joined, empty ones passed over": {&queue{kinds: []int{2, 2, 2}, texts: []string{"ab", "", "cde"}},
			"abcde", "closed"},
		"a text message": {&queue{kinds: []int{2, 1}, texts: []string{"ab", "cd"}}, "ab", "not binary"},
	} {
		var got bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{&tunnel{messages: tc.q}}, make([]byte, 2))
		if got.String() != tc.want || err == nil || !strings.Contains(err.Error(), tc.fail) {
			t.Errorf("%s: read %q, %v; want %q and an error about %q", name, got.String(), err, tc.want, tc.fail)
		}
	}
	q := &queue{}
	if n, err := (&tunnel{messages: q}).Write([]byte("xyz")); n != 3 || err != nil || q.sent.String() != "xyz" {
		t.Errorf("wrote %d, %v: %q", n, err, q.sent.String())
	}
	q = &queue{}
	if err := (&tunnel{messages: q}).Close(); err != nil || q.sent.String() != "8 [3 232]" {
		t.Errorf("closing sent %q, and returned %v", q.sent.String(), err)
	}
}
