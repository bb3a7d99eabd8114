//go:build linux

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// What an edit of the load is to come to.
const (
	cuts      = "cut edge-1 off"   // denied, whatever happens
	harmless  = "cut nobody off"   // asked about, and admitted by whoever can answer
	unrelated = "change something" // never asked about, and done
)

// What came of an edit.
const (
	admitted   = "admitted"
	ruled      = "denied by the rule"
	undecided  = "not decided" // by a webhook that was asked and could not say, or did not answer
	overtaken  = "overtaken"   // by another edit of the same object, or by its own first try
	unserved   = "not served"  // there was no API server
	unexpected = "unexpected"
)

// cameTo says what came of an edit from what the API server answered.
func cameTo(err error) string {
	switch {
	case err == nil:
		return admitted
	case strings.Contains(err.Error(), "failed calling webhook"):
		return undecided
	case apierrors.IsConflict(err): // of storage, or of the webhook: what it was asked about is not what is stored
		return overtaken
	case strings.Contains(err.Error(), `admission webhook "managementplanes.webhook.xcpauth.io" denied the request`):
		if byRule(err) == nil {
			return ruled
		}
		return undecided
	case apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return overtaken
	case !errors.As(err, new(apierrors.APIStatus)), apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err),
		strings.Contains(err.Error(), "not yet ready to handle request"):
		return unserved
	}
	return unexpected
}

// load is edits that keep coming, and what came of them.
type load struct {
	h    *hub
	stop func()
	all  sync.WaitGroup

	mu     sync.Mutex
	phase  string
	faults int                       // that are on now and excuse a denial of what is harmless
	epoch  int                       // how many there have been
	away   bool                      // there may be no API server
	count  map[string]map[string]int // by phase, then by what it was and what came of it
	wrong  map[string]int            // what must not happen, in words
	first  map[string]string         // what was said of it first
	crowd  bool                      // strangers share the machine with the API server and the webhook
	late   int                       // edits that the API server gave up while they did
	among  int                       // of so many
	ended  int                       // processes that ended in order
	hungUp int                       // edits that were not decided while no fault was on
	stored int                       // versions of guarded objects that were seen
	asked  map[string]*warnings      // by what it was
}

func startLoad(h *hub) *load {
	l := &load{h: h, phase: "none", wrong: map[string]int{}, first: map[string]string{},
		count: map[string]map[string]int{}, asked: map[string]*warnings{}}
	ctx, cancel := context.WithCancel(h.Context())
	l.stop = func() { cancel(); l.all.Wait() }
	h.Cleanup(l.stop)
	off, on := m{"jwt": false}, m{"jwt": true}
	modes := func(fields m) m { return m{"spec": m{"components": m{"xcp": m{"centralAuthModes": fields}}}} }

	cutter := l.client(cuts) // tried on the object that others flip, as a write and as a dry run
	l.keep(ctx, cuts, func() error {
		return cutter.mergePatch(managementPlanes, drilled, "managementplane", modes(m{"mutualTls": false, "jwt": true}))
	})
	l.keep(ctx, cuts, func() error { return cutter.dryRun(drilled, false, true) })
	l.keep(ctx, cuts, func() error {
		return cutter.mergePatch(managementPlanes, drilled, "managementplane",
			m{"spec": nil})
	})

	flipper := l.client(harmless) // two clients flip one object
	l.keep(ctx, harmless, func() error { return flipper.dryRun(drilled, true, false) })
	for range 2 {
		l.keep(ctx, harmless, alternating(
			func() error { return flipper.mergePatch(managementPlanes, drilled, "managementplane", modes(off)) },
			func() error { return flipper.mergePatch(managementPlanes, drilled, "managementplane", modes(on)) }))
	}

	var others []func() error
	for _, a := range unguarded(l.client(unrelated), beside) {
		// the drill takes it away; that would be a member
		if a.name != "a roster entry" && !strings.Contains(a.name, controlPlanes.Resource) {
			others = append(others, a.do)
		}
	}
	l.keep(ctx, unrelated, alternating(others...))
	l.all.Go(func() { l.watch(ctx) })
	return l
}

// client is the hub with a client of its own, which counts who was asked.
func (l *load) client(what string) *hub {
	sub := *l.h
	l.asked[what] = &warnings{}
	cfg := rest.CopyConfig(sub.cluster.Config)
	cfg.WarningHandler = l.asked[what]
	var err error
	sub.objects, err = dynamic.NewForConfig(cfg)
	sub.must(err)
	return &sub
}

// alternating is each of the edits in turn.
func alternating(edits ...func() error) func() error {
	next := -1
	return func() error {
		next = (next + 1) % len(edits)
		return edits[next]()
	}
}

// keep makes one edit after the other until the load stops.
func (l *load) keep(ctx context.Context, what string, edit func() error) {
	l.all.Go(func() {
		for ctx.Err() == nil {
			phase, epoch := l.now()
			err := edit()
			if ctx.Err() != nil {
				return
			}
			if l.came(what, cameTo(err), phase, epoch, err); err != nil && cameTo(err) == unserved {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
	})
}

// now is the phase, and the number of the fault that is on, or of the last one when none is, as a negative number.
func (l *load) now() (phase string, epoch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch = l.epoch; l.faults == 0 {
		epoch = -epoch
	}
	return l.phase, epoch
}

// came counts what came of an edit, and keeps what must not happen.
func (l *load) came(what, came, phase string, epoch int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count[phase] == nil {
		l.count[phase] = map[string]int{}
	}
	l.count[phase][what+": "+came]++
	if l.crowd && what != unrelated {
		l.among++
	}
	excused := epoch > 0 || l.faults > 0 || epoch != -l.epoch // a fault was on for a part of the time at least
	away := excused && came == unserved && l.away
	switch {
	case away || came == overtaken:
	case what == cuts && came == ruled, what == harmless && came == admitted, what == unrelated && came == admitted:
	case what == cuts && came == undecided, what == harmless && (came == undecided || came == ruled):
		if excused {
			return
		}
		if came == undecided && strings.HasSuffix(err.Error(), "EOF") {
			if l.hungUp++; l.hungUp <= l.ended { // see judge
				return
			}
		}
		if l.crowd && came == undecided && strings.HasSuffix(err.Error(), "context deadline exceeded") {
			l.late++ // see judge
			return
		}
		fallthrough
	default:
		l.isWrong(fmt.Sprintf("%s: an edit that would %s was %s", phase, what, came), err)
	}
}

// isWrong is called with mu held.
func (l *load) isWrong(text string, detail any) {
	if l.wrong[text]++; l.wrong[text] == 1 {
		l.first[text] = fmt.Sprintf("%.600s", strings.Join(strings.Fields(fmt.Sprint(detail)), " "))
	}
}

// during runs a phase; what is harmless must be admitted all through it.
func (l *load) during(phase string, do func()) {
	l.mu.Lock()
	l.phase = phase
	l.mu.Unlock()
	do()
}

// excused runs something for the time of which what is harmless may be denied.
func (l *load) excused(do func()) {
	l.mu.Lock()
	l.faults, l.epoch = l.faults+1, l.epoch+1
	l.mu.Unlock()
	do()
	l.mu.Lock()
	l.faults--
	l.mu.Unlock()
}

// crowded runs something while strangers share the machine.
func (l *load) crowded(do func()) {
	set := func(to bool) { l.mu.Lock(); l.crowd = to; l.mu.Unlock() }
	set(true)
	do()
	set(false)
}

// without runs something for the time of which there is no API server.
func (l *load) without(do func()) {
	set := func(to bool) { l.mu.Lock(); l.away = to; l.mu.Unlock() }
	set(true)
	l.excused(do)
	set(false)
}

// so is how many edits of this phase have come to something by now.
func (l *load) so(what, came string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[l.phase][what+": "+came]
}

// more waits for as many more edits of this phase to come to something, for as long as they keep coming: how many there
// are in a minute is the machine's affair.
func (l *load) more(many int, what, came string) {
	l.h.Helper()
	for was, got := l.so(what, came), 0; got < many; got = l.so(what, came) - was {
		l.h.eventually(fmt.Sprintf("one more edit that would %s is %s (%d of %d were)", what, came, got, many),
			func(context.Context) error {
				if l.so(what, came)-was == got {
					return errors.New("there was none")
				}
				return nil
			})
	}
}

// watch looks at every version of the guarded object that a watch shows, all but those around a restart: none of them
// has lost mutual TLS.
func (l *load) watch(ctx context.Context) {
	planes := l.h.objects.Resource(managementPlanes).Namespace(drilled)
	version := ""
	for ctx.Err() == nil {
		w, err := planes.Watch(ctx, metav1.ListOptions{ResourceVersion: version})
		if err != nil {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		for e := range w.ResultChan() {
			if ctx.Err() != nil {
				break
			}
			o, ok := e.Object.(*unstructured.Unstructured)
			l.mu.Lock()
			if status, lost := e.Object.(*metav1.Status); lost && status.Code == http.StatusGone {
				version = "" // the API server was away for so many writes: from what is stored now
			} else if !ok || o.GetKind() != "ManagementPlane" {
				l.isWrong("watching the guarded object", e.Object)
				version = ""
			} else {
				version = o.GetResourceVersion()
				l.stored++
				if on, _, _ := unstructured.NestedBool(o.Object, "spec", "components", "xcp", "centralAuthModes",
					"mutualTls"); !on {
					l.isWrong(l.phase+": stored without mutual TLS", o.Object["spec"])
				}
			}
			l.mu.Unlock()
		}
		w.Stop()
	}
}

// judge stops the load, tells what came of it, and fails the test for whatever must not happen. A process that ends
// in order hangs up connections that are idle, and a call that begins on one of them at that very moment is lost
// (HTTP/1.1 has no word for it), so at most one for each process is left out of that. And where strangers share the
// machine, one edit in fifty may outlast its five seconds: that is time, and no answer of the webhook's.
func (l *load) judge() {
	l.h.Helper()
	l.stop()
	total := map[string]int{}
	for _, phase := range slices.Sorted(maps.Keys(l.count)) {
		l.h.Logf("%-28s %s", phase, line(l.count[phase]))
		for what, n := range l.count[phase] {
			total[what] += n
		}
	}
	l.h.Logf("%-28s %s; %d versions stored; %d edits were hung up on by %d processes that ended in order", "in all",
		line(total), l.stored, l.hungUp, l.ended)
	l.h.Logf("%d of %d edits were given up while strangers shared the machine", l.late, l.among)
	if l.late*50 > l.among {
		l.h.Errorf("%d of %d edits were given up while strangers shared the machine, at most one in fifty may be", l.late,
			l.among)
	}
	for _, text := range slices.Sorted(maps.Keys(l.wrong)) {
		l.h.Errorf("%s, %d times, first: %s", text, l.wrong[text], l.first[text])
	}
	for _, key := range []string{cuts + ": " + ruled, harmless + ": " + admitted, unrelated + ": " + admitted} {
		if total[key] < 100 {
			l.h.Errorf("too few edits to show anything: %d %s", total[key], key)
		}
	}
	if _, asked := l.asked[unrelated].asked(); asked != 0 {
		l.h.Errorf("the webhook was asked %d times about what is none of its business", asked)
	}
	if _, asked := l.asked[harmless].asked(); asked == 0 {
		l.h.Error("the webhook was never asked about what is harmless")
	}
	if l.stored < 100 {
		l.h.Errorf("only %d versions were seen", l.stored)
	}
}

// line is counts in one line, in order.
func line(count map[string]int) string {
	b, err := json.Marshal(count) // sorts
	if err != nil {
		return err.Error()
	}
	return strings.NewReplacer("{", "", "}", "", `"`, "", ",", ", ").Replace(string(b))
}
