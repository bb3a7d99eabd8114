package admit_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
)

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

// Nothing but a review as the API server writes it is admitted, whatever is sent; each row differs from one that is
// admitted.
func TestWhateverIsMalformedIsADenial(t *testing.T) {
	s := serve(t, edge, noon, admit.Limits{}, func(h *admit.Handler) {
		h.MayOverride = func(context.Context, authenticationv1.UserInfo, string, string) (bool, error) { return true, nil }
	})
	good := review("UPDATE", both, both)
	if got := s.post(t, "", nil, good); !got.Allowed {
		t.Fatalf("the pattern of the others is denied: %+v", got.Result)
	}
	in := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	object := func(text string) string {
		at := strings.LastIndex(good, `"object":`)
		return good[:at] + `"object":` + text + `,"dryRun":true}}`
	}
	stanza := func(text string) string { return review("UPDATE", both, text) }
	of := func(kind, value string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}}
		h.Set(kind, value)
		return h
	}
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		code   int32 // of the denial; 400 unless it is said
	}{
		"P1 no body":                {nil, "", 0},
		"P1 not JSON":               {nil, "hello", 0},
		"P1 a form":                 {of("Content-Type", "application/x-www-form-urlencoded"), good, 0},
		"P1 no content type":        {http.Header{}, good, 0},
		"P1 YAML":                   {of("Content-Type", "application/yaml"), good, 0},
		"P1 cut off":                {nil, good[:len(good)/2], 0},
		"P1 something behind":       {nil, good + "{}", 0},
		"P1 null":                   {nil, "null", 0},
		"P1 a list":                 {nil, "[" + good + "]", 0},
		"P1 v1beta1":                {nil, in(`"admission.k8s.io/v1"`, `"admission.k8s.io/v1beta1"`), 0},
		"P1 no version":             {nil, in(`"apiVersion":"admission.k8s.io/v1",`, ``), 0},
		"P1 another kind of review": {nil, in(`"kind":"AdmissionReview"`, `"kind":"ConversionReview"`), 0},
		"P1 a response instead": {nil,
			`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"uid-1","allowed":true}}`, 0},
		"P1 a null request": {nil,
			`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, 0},
		"P1 a request in capitals":     {nil, in(`"request":`, `"Request":`), 0},
		"P1 no uid":                    {nil, in(`"uid":"uid-1",`, ``), 0},
		"P1 an empty uid":              {nil, in(`"uid":"uid-1"`, `"uid":""`), 0},
		"P1 a uid that is a number":    {nil, in(`"uid":"uid-1"`, `"uid":1`), 0},
		"P1 more than 7 MiB":           {nil, good + strings.Repeat(" ", 7<<20), http.StatusRequestEntityTooLarge},
		"P1 gzip":                      {of("Content-Encoding", "gzip"), zipped(good), 0},
		"P1 gzip that does not say so": {nil, zipped(good), 0},
		"P1 a gzip bomb":               {of("Content-Encoding", "gzip"), zipped(strings.Repeat(" ", 64<<20)), 0},
		"P1 nested 10 000 deep":        {nil, stanza(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), 0},
		"P1 maps nested 10 000 deep": {nil, stanza(strings.Repeat(`{"a":`, 10_000) + "1" +
			strings.Repeat("}", 10_000)), 0},
		"P1 nested 1 000 000 deep":    {nil, stanza(strings.Repeat("[", 1_000_000)), 0},
		"P2 the new object is null":   {nil, review("UPDATE", both, ""), 0},
		"P2 the old object is null":   {nil, review("UPDATE", "", both), 0},
		"P2 both are null":            {nil, review("UPDATE", "", ""), 0},
		"P2 a create without its new": {nil, review("CREATE", "", ""), 0},
		"P2 the object is a list":     {nil, object(`[1]`), 0},
		"P2 the object is a string":   {nil, object(`"ManagementPlane"`), 0},
		"P2 the object is empty":      {nil, object(`{}`), 0},
		"P3 an operation of tomorrow": {nil, in(`"UPDATE"`, `"CONNECT"`), 0},
		"P3 in small letters":         {nil, in(`"UPDATE"`, `"update"`), 0},
		"P3 a collection":             {nil, in(`"UPDATE"`, `"DELETECOLLECTION"`), 0},
		"P3 no operation":             {nil, in(`"operation":"UPDATE",`, ``), 0},
		"P4 its scale": {nil,
			object(`{"kind":"Scale","apiVersion":"autoscaling/v1","spec":{"replicas":0}}`), 0},
		"P5 a review of another kind":  {nil, in(`"kind":"ManagementPlane"},`, `"kind":"ControlPlane"},`), 0},
		"P5 a review of another group": {nil, in(`{"group":"install.tetrate.io"`, `{"group":"example.com"`), 0},
		"P5 an object of another kind": {nil, object(`{"kind":"ControlPlane","spec":{}}`), 0},
		"P6 the components are a list": {nil, object(`{"kind":"ManagementPlane","spec":{"components":[]}}`),
			http.StatusForbidden},
		"P6 xcp is a list": {nil, object(`{"kind":"ManagementPlane","spec":{"components":{"xcp":[]}}}`),
			http.StatusForbidden},
		"P6 the spec is a string": {nil, object(`{"kind":"ManagementPlane","spec":"x"}`), http.StatusForbidden},
		"P6 the metadata are a list": {nil, object(`{"kind":"ManagementPlane","metadata":[],"spec":{}}`),
			http.StatusForbidden},
		"P6 the annotations are a string": {nil,
			object(`{"kind":"ManagementPlane","metadata":{"annotations":"x"},"spec":{}}`), http.StatusForbidden},
		"P6 a mode is a string":          {nil, stanza(`{"jwt":true,"mutualTls":"true"}`), http.StatusForbidden},
		"P7 a key twice in the stanza":   {nil, stanza(`{"jwt":true,"mutualTls":false,"mutualTls":true}`), 0},
		"P7 a key twice, once escaped":   {nil, stanza(`{"jwt":true,"mutual\u0054ls":false,"mutualTls":true}`), 0},
		"P7 the object twice":            {nil, in(`"object":`, `"object":{"kind":"ManagementPlane"},"object":`), 0},
		"P7 an escaped key is the key":   {nil, stanza(`{"jwt":true,"mutual\u0054ls":false}`), http.StatusForbidden},
		"P7 a key with a no-break space": {nil, stanza(`{"jwt":true,"mutualTls\u00a0":true}`), http.StatusForbidden},
		"P7 a key in other letters":      {nil, stanza(`{"jwt":true,"MUTUALTLS":true}`), http.StatusForbidden},
		"P7 NUL before it":               {nil, "\x00" + good, 0},
		"P7 NUL in a key":                {nil, stanza("{\"jwt\":true,\"mutualTls\x00\":true}"), 0},
		"P7 an escaped NUL in a key":     {nil, stanza(`{"jwt":true,"mutualTls\u0000":true}`), http.StatusForbidden},
		"P7 a byte order mark":           {nil, "\ufeff" + good, 0},
		"P7 UTF-16":                      {nil, "\xff\xfe{\x00}\x00", 0},
		"P7 the truth in YAML":           {nil, stanza(`{"jwt":true,"mutualTls":yes}`), 0},
		"P7 the truth as a number":       {nil, stanza(`{"jwt":true,"mutualTls":1.0}`), http.StatusForbidden},
		"P7 a number without end":        {nil, stanza(`{"jwt":true,"mutualTls":1e999999}`), 0},
		"P8 a key of 1 MiB": {nil, stanza(`{"jwt":true,"` + strings.Repeat("x", 1<<20) + `":true}`),
			http.StatusForbidden},
		"P8 a name of 1 MiB": {nil, strings.Replace(stanza(jwtOnly), `"name":"mp","operation"`,
			`"name":"`+strings.Repeat("x", 1<<20)+`","operation"`, 1), http.StatusForbidden},
		"P8 10 000 keys": {nil, stanza(`{"jwt":true` + manyKeys(10_000) + `}`), http.StatusForbidden},
		"P9 an annotation with line breaks": {nil, annotated(stanza(jwtOnly), "x\r\n{\"level\":\"INFO\"}\n"),
			http.StatusForbidden},
		"P9 a user with line breaks": {nil, strings.Replace(stanza(jwtOnly), `"username":"alice"`,
			`"username":"alice\n{\"msg\":\"decision\"}\u2028"`, 1), http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			before := strings.Count(s.log.String(), "\n")
			got := s.post(t, "", tc.header, tc.body)
			if tc.code == 0 {
				tc.code = http.StatusBadRequest
			}
			if got.Allowed || got.Result.Code != tc.code {
				t.Errorf("allowed %v: %+v, want code %d", got.Allowed, got.Result, tc.code)
			}
			log := s.log.String()
			if n := strings.Count(log, "\n") - before; n != 1 {
				t.Errorf("%d lines in the log, want 1", n)
			}
			if at := strings.LastIndex(strings.TrimSuffix(log, "\n"), "\n") + 1; len(log)-at > 4<<10 {
				t.Errorf("a line of %d bytes in the log", len(log)-at)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":true`, i)
	}
	return b.String()
}

func TestADryRunIsAnsweredTheSameAndTellsNobody(t *testing.T) { // P10
	s := serve(t, edge, noon, admit.Limits{}, nil)
	for _, stanza := range []string{both, jwtOnly} {
		dry, real := s.review(t, "UPDATE", both, stanza), s.post(t, "", nil, withoutDryRun(review("UPDATE", both, stanza)))
		if fmt.Sprintf("%+v %+v", *dry, dry.Result) != fmt.Sprintf("%+v %+v", *real, real.Result) {
			t.Errorf("dry %+v\nreal %+v", dry, real)
		}
	}
	if len(s.told) != 1 {
		t.Errorf("%d Events, want that of the one denial that was no dry run", len(s.told))
	}
}

func TestAStatusThatIsWrittenThroughIsDecidedLikeAnyEdit(t *testing.T) { // P4
	s := serve(t, edge, noon, admit.Limits{}, nil)
	for stanza, allowed := range map[string]bool{both: true, jwtOnly: false} {
		body := strings.Replace(review("UPDATE", both, stanza), `"namespace":"tsb"`,
			`"subResource":"status","namespace":"tsb"`, 1)
		if got := s.post(t, "", nil, body); got.Allowed != allowed {
			t.Errorf("%s: %+v", stanza, got)
		}
	}
}

func TestABodyIsRefusedByItsLengthBeforeItIsRead(t *testing.T) {
	s := serve(t, edge, noon, admit.Limits{}, nil)
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), s.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{",
		admit.Path, 8<<20)
	answer := make([]byte, 1<<10)
	n, err := conn.Read(answer)
	if !strings.Contains(string(answer[:n]), " 200 ") {
		t.Errorf("%v: %s", err, answer[:n])
	}
}

// While it drains, every answer tells the API server to connect again: the next call goes to another replica.
func TestWhileDrainingCallersAreSentElsewhere(t *testing.T) {
	draining := false
	s := serve(t, edge, noon, admit.Limits{Draining: func() bool { return draining }}, nil)
	for _, closes := range []bool{false, true} {
		draining = closes
		res, err := s.Client().Post(s.URL, "application/json", strings.NewReader(review("UPDATE", both, both)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Close != closes {
			t.Errorf("draining %v: the connection ends: %v", closes, res.Close)
		}
	}
}

func TestACallInFlightIsFinishedWhenTheServerShutsDown(t *testing.T) {
	held, read := newHold(t)
	s := serve(t, read, noon, admit.Limits{Within: time.Minute}, nil)
	answered := make(chan bool, 1)
	go func() {
		got := s.post(t, "", nil, review("UPDATE", both, jwtOnly))
		answered <- got.Allowed || got.Result.Code != http.StatusForbidden // it was to be decided, and by the rule
	}()
	<-held.called
	s.end()
	down := make(chan error, 1)
	go func() { down <- s.Config.Shutdown(context.Background()) }()
	for { // until nobody is accepted any more
		conn, err := net.DialTimeout("tcp", s.Listener.Addr().String(), time.Second)
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-down:
		t.Errorf("it went down with a call in flight: %v", err)
	default:
	}
	close(held.let)
	if <-answered {
		t.Error("not denied by the rule")
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}
