package runs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/fault"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// Killer kills runs of `kubectl xcpauth` at what they write: when an API server has stored it and the run does not
// know yet. The run gets no answer before it is killed, so it never does a thing more, however slow the machine is. One
// that is asked to end gets its answers once it has said that it stops, and puts back what it has begun.
type Killer struct {
	// Listen, when set, returns what hears a run's stderr as it is printed; it is called for each run.
	Listen func() io.Writer
	// Signal, when set, is the signal at a kind of write: SIGKILL, or SIGTERM. Else each is killed.
	Signal func(kind string) syscall.Signal
	// Leave, when set, says at which kinds of write no run is killed.
	Leave func(kind string) bool
	// Command, when set, is what is run instead of kubectl; it leads to the clusters by Kubeconfig.
	Command func(args ...string) *exec.Cmd
	// Kubeconfig leads to the clusters through what sees the writes.
	Kubeconfig string

	r *Recorder

	mu    sync.Mutex
	want  func(kind string) bool // whether to kill at a write of a kind
	at    string                 // the kind at which the run was killed
	cmd   *exec.Cmd
	stops chan struct{} // closed when the run has said that it stops
	ended chan struct{}
}

// NewKiller returns a killer of runs that use a kubeconfig in which each cluster's context has the cluster's name, as
// an administrator of each.
func (r *Recorder) NewKiller(kubeconfig string, clusters []*testbed.Cluster) *Killer {
	r.Helper()
	users := map[string]*rest.Config{}
	for _, c := range clusters {
		users[c.Name] = c.Config
	}
	return r.NewKillerOf(kubeconfig, users)
}

// NewKillerOf is the same for runs that reach each cluster, by its name, as a user of it.
func (r *Recorder) NewKillerOf(kubeconfig string, users map[string]*rest.Config) *Killer {
	r.Helper()
	k := &Killer{r: r}
	to := map[string]Server{}
	for name, user := range users {
		relay := fault.Relay{Answered: func(resp *http.Response, sent []byte) { k.Stored(kindOf(name, resp, sent)) }}
		front, err := relay.Start(user)
		if err != nil {
			r.Fatal(err)
		}
		r.Cleanup(front.Close)
		to[name] = Server{URL: front.URL, CA: front.CA}
	}
	k.Kubeconfig = r.Reroute(kubeconfig, to)
	return k
}

// AtEachKind runs a verb again and again. Each run is killed at the first write of a kind at which none was killed
// before; the last one, which writes nothing of a new kind, must end well. It returns the kinds in the order in which
// they came. After each kill it calls a function, which may be nil.
func (k *Killer) AtEachKind(after func(), args ...string) (kinds []string) {
	k.r.Helper()
	for {
		at := k.run(func(kind string) bool {
			return !slices.Contains(kinds, kind) && (k.Leave == nil || !k.Leave(kind))
		}, args)
		if at == "" {
			return kinds
		}
		if kinds = append(kinds, at); after != nil {
			after()
		}
	}
}

// At runs a verb and kills it at the first write of a kind. The test fails when there is none.
func (k *Killer) At(kind string, args ...string) {
	k.r.Helper()
	var kinds []string
	at := k.run(func(other string) bool {
		kinds = append(kinds, other)
		return other == kind
	}, args)
	if at == "" {
		k.r.Fatalf("%v ended well, and was to be killed at %q; it wrote\n%s", args, kind, strings.Join(kinds, "\n"))
	}
}

// run runs a verb, and returns the kind of write at which it was killed; "" when it ended well. The test fails when it
// ended otherwise. A run that ended because the machine rested is followed by the next, twice at most.
func (k *Killer) run(want func(kind string) bool, args []string) (at string) {
	k.r.Helper()
	for tries := 1; ; tries++ {
		cmd := k.command(args)
		var out bytes.Buffer
		errs := &listener{stops: make(chan struct{}), also: io.Discard}
		if k.Listen != nil {
			errs.also = k.Listen()
		}
		cmd.Stdout, cmd.Stderr = &out, errs
		k.mu.Lock()
		k.want, k.at, k.cmd, k.stops, k.ended = want, "", cmd, errs.stops, make(chan struct{})
		err := cmd.Start()
		k.mu.Unlock()
		if err == nil {
			err = cmd.Wait()
		}
		close(k.ended)
		k.mu.Lock()
		at, k.want = k.at, nil
		k.mu.Unlock()
		switch status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); {
		case err == nil:
			return "" // what it still had under way when it ended cannot matter to it
		case at != "" && (status.Signaled() || k.signal(at) == syscall.SIGTERM && status.ExitStatus() == interrupted):
			return at
		case strings.Contains(strings.Join(strings.Fields(out.String()), " "), starved) && tries < 3:
		case strings.Contains(strings.Join(strings.Fields(out.String()), " "), unsettled) && tries < 50:
		default:
			k.r.Fatalf("%v, to be killed at a write (%q): %v\n%s%s", args, at, err, out.String(), errs.String())
		}
	}
}

// command is a run that is not started yet.
func (k *Killer) command(args []string) *exec.Cmd {
	if k.Command != nil {
		return k.r.Kept(k.Command(args...))
	}
	return k.r.Command(k.r.Context(),
		slices.Concat([]string{"xcpauth"}, args, []string{"--kubeconfig=" + k.Kubeconfig})...)
}

// interrupted is the exit code of a run that was asked to end.
const interrupted = 130

// stopping is what it says when it was asked.
const stopping = "interrupted; stopping"

// listener keeps a run's stderr, and hears when the run stops.
type listener struct {
	text  bytes.Buffer
	stops chan struct{} // closed when it has said so
	also  io.Writer
}

func (l *listener) String() string { return l.text.String() }

func (l *listener) Write(b []byte) (int, error) {
	said := bytes.Contains(l.text.Bytes(), []byte(stopping))
	if _, err := l.text.Write(b); err != nil {
		return 0, err
	}
	if !said && bytes.Contains(l.text.Bytes(), []byte(stopping)) {
		close(l.stops)
	}
	return l.also.Write(b)
}

// starved is what a run says when the machine rested for longer than a token of the stand-in lives, which is seconds:
// the run ends, and the next one goes on.
const starved = "and nothing renewed it"

// unsettled is what a run says that finds the pods of the one before still being replaced.
const unsettled = "is not over, so what it will present is not sure; run the command again"

// Stored is told of every write that was stored, by its kind, before it is answered, and returns when the run may get
// the answer: never when it was killed, and not before it stops when it was asked to end. Of what is "" nothing is
// done.
func (k *Killer) Stored(kind string) {
	k.mu.Lock()
	if kind == "" || k.want == nil || k.at == "" && !k.want(kind) {
		k.mu.Unlock()
		return
	}
	signal := k.signal(cmp.Or(k.at, kind))
	if k.at == "" { // what is answered beside it goes no further either
		k.at = kind
		k.cmd.Process.Signal(signal)
	}
	stops, ended := k.stops, k.ended
	k.mu.Unlock()
	if signal == syscall.SIGKILL {
		stops = nil
	}
	select {
	case <-stops:
	case <-ended:
	}
}

func (k *Killer) signal(kind string) syscall.Signal {
	if k.Signal == nil {
		return syscall.SIGKILL
	}
	return k.Signal(kind)
}

// serial is what the secrets of a zone's tokens differ by.
var serial = regexp.MustCompile(`^(xcpauth-zone-token)-.*`)

// kindOf names a write that was stored: what was done to which object of which cluster, and of the journal the wave
// in flight. It is "" for everything else.
func kindOf(cluster string, r *http.Response, sent []byte) string {
	req := r.Request
	if req.Method == http.MethodGet || r.StatusCode/100 != 2 || req.URL.Query().Has("dryRun") ||
		strings.Contains(req.URL.Path, "/selfsubject") {
		return ""
	}
	var o struct {
		Metadata struct{ Name string }
		Data     map[string]string
	}
	_ = json.Unmarshal(sent, &o) // a DELETE sends another kind
	kind := fmt.Sprintf("%s %s in %s", req.Method, objectOf(req.URL.Path, o.Metadata.Name), cluster)
	if text := o.Data["wave-in-flight"]; text != "" {
		var e struct{ Wave string }
		_ = json.Unmarshal([]byte(text), &e)
		kind += ", in flight: " + e.Wave
	}
	return kind
}

// objectOf is the resource, name and subresource in the path of a request; a POST has its object's name in what it
// sends.
func objectOf(path, sent string) string {
	at := strings.Split(strings.Trim(path, "/"), "/")
	switch at[0] {
	case "api": // api/v1
		at = at[2:]
	case "apis": // apis/apps/v1
		at = at[3:]
	}
	if len(at) > 2 && at[0] == "namespaces" {
		at = at[2:]
	}
	if len(at) == 1 {
		at = append(at, sent)
	}
	at[1] = serial.ReplaceAllString(at[1], "$1")
	return strings.Join(at, "/")
}

// WereKilled fails the test unless a run was killed at each of these kinds of write.
func (r *Recorder) WereKilled(at []string, want ...string) {
	r.Helper()
	for _, kind := range want {
		if !slices.Contains(at, kind) {
			r.Errorf("no run was killed at %q", kind)
		}
	}
	r.Logf("runs were killed at\n%s", strings.Join(at, "\n"))
}
