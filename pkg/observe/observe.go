package observe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Observer looks at the contexts of a fleet.
type Observer struct {
	Fleet *kubeconfig.Fleet
	// Reads is the provider's.
	Reads func(soFar map[plan.Read]plan.Result, metrics bool) []plan.Read
	// Beside, when set, lists what else is read of a context, once something of it could be.
	Beside func(context string, soFar map[plan.Read]plan.Result) []plan.Read
	// Trim, when set, takes out of a body what the provider does not read: what is left is kept for every context.
	Trim func(r plan.Read, body []byte) []byte
	// Ask, when set, reads what a hub's own API in a pod answers.
	Ask func(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) ([]byte, error)
	// Metrics asks for the metrics pages too.
	Metrics bool
	// Needs, when set, lists the rights to ask the API server for, given what was read.
	Needs func(soFar map[plan.Read]plan.Result) []plan.Permission
	// RequestTimeout bounds one read, MemberTimeout all that is read of one context.
	RequestTimeout time.Duration
	MemberTimeout  time.Duration
	// Limit is how many contexts are looked at side by side.
	Limit int
	// Now is the clock.
	Now func() time.Time
	// Done, when set, is called as each context is finished, from several goroutines.
	Done func(plan.Snapshot)

	pages pages
}

// All looks at each of the contexts, side by side, and returns one snapshot for each, in the order given. A context
// that cannot be looked at has its reason in the snapshot.
func (o *Observer) All(ctx context.Context, contexts []string) []plan.Snapshot {
	return o.each(ctx, contexts, func(string) keep { return keep{} })
}

// Again looks at the contexts again, as All does, and reads of each only what moves says; the rest is as in the
// snapshot before. A context of which something could not be read then is looked at whole.
func (o *Observer) Again(ctx context.Context, contexts []string, before map[string]plan.Snapshot,
	moves func(context string, r plan.Read) bool) []plan.Snapshot {
	return o.each(ctx, contexts, func(name string) keep {
		last := before[name]
		if last.Err != "" || failedIn(last.Reads) {
			return keep{}
		}
		return keep{last.Reads, func(r plan.Read) bool { return moves(name, r) }}
	})
}

// keep is what a look takes from the one before: what does not move. The zero keep takes nothing.
type keep struct {
	reads map[plan.Read]plan.Result
	moves func(plan.Read) bool
}

// result is what was read before, where that is kept.
func (k keep) result(r plan.Read) (was plan.Result, kept bool) {
	if was, kept = k.reads[r]; kept && k.moves(r) {
		return plan.Result{}, false
	}
	return was, kept
}

// failedIn says whether something could not be read, and not for want of a right.
func failedIn(reads map[plan.Read]plan.Result) bool {
	for _, r := range reads {
		if r.Err != "" && !r.Denied {
			return true
		}
	}
	return false
}

func (o *Observer) each(ctx context.Context, contexts []string, kept func(context string) keep) []plan.Snapshot {
	snaps := make([]plan.Snapshot, len(contexts))
	slots := make(chan struct{}, max(o.Limit, 1))
	var wg sync.WaitGroup
	for i, name := range contexts {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			snaps[i] = o.one(ctx, name, kept(name))
			if o.Done != nil {
				o.Done(snaps[i])
			}
		})
	}
	wg.Wait()
	return snaps
}

// one looks at a context within its deadline. The work runs in a goroutine of its own, which is left behind in case
// that something in it does not end with its context.
func (o *Observer) one(ctx context.Context, name string, kept keep) plan.Snapshot {
	ctx, deadline := withDeadline(ctx, o.MemberTimeout)
	defer deadline.stop()
	answer := make(chan plan.Snapshot, 1)
	p := &progress{reads: map[plan.Read]plan.Result{}}
	go func() { answer <- o.readContext(ctx, deadline, name, p, kept) }()
	select {
	case s := <-answer:
		return s
	case <-ctx.Done():
		select {
		case s := <-answer: // what was cancelled returns at once
			return s
		case <-time.After(grace):
			return plan.Snapshot{Context: name, Endpoint: o.Fleet.Endpoint(name), At: o.Now(), Reads: p.copy(),
				Err: o.tooLong(ctx, nil)}
		}
	}
}

// grace is how long a look that was cancelled may take to return.
const grace = 2 * time.Second

// tooLong says what did not come in time: the credential, or else an answer of the API server.
func (o *Observer) tooLong(ctx context.Context, err error) string {
	var credential *kubeconfig.CredentialError
	switch {
	case !errors.Is(context.Cause(ctx), errDeadline):
		return "interrupted"
	case errors.As(err, &credential):
		return fmt.Sprintf("timed out after %s: %s", o.MemberTimeout, credential)
	}
	return fmt.Sprintf("timed out after %s: the API server did not answer in time", o.MemberTimeout)
}

// progress is what was read so far; it outlives an abandoned goroutine.
type progress struct {
	mu    sync.Mutex
	reads map[plan.Read]plan.Result
}

func (p *progress) copy() map[plan.Read]plan.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.reads)
}

// readContext gets the credential of the context and performs burst after burst, all reads of a burst side by side,
// until the provider asks for nothing more.
func (o *Observer) readContext(ctx context.Context, deadline *deadline, name string, p *progress,
	kept keep) plan.Snapshot {
	s := plan.Snapshot{Context: name, Endpoint: o.Fleet.Endpoint(name)}
	cluster, err := o.Fleet.Look(ctx, name, deadline.run)
	switch {
	case err != nil && ctx.Err() != nil:
		s.Err, s.At = o.tooLong(ctx, err), o.Now()
		return s
	case err != nil:
		s.Err, s.At = err.Error(), o.Now()
		return s
	}
	defer o.Fleet.Release(name)
	soFar := p.copy()
	for ctx.Err() == nil {
		next := o.next(name, soFar)
		if len(next) == 0 {
			break
		}
		o.readAll(ctx, cluster, next, p, kept)
		soFar = p.copy()
		// one that denies all that is asked so far may have what is asked next
		if s.Err, s.Denied = allFailed(soFar); s.Err != "" && !s.Denied {
			break
		}
	}
	if o.Needs != nil && (s.Err == "" || s.Denied) && ctx.Err() == nil {
		s.AccessReviews = o.access(ctx, cluster, o.Needs(soFar))
	}
	if ctx.Err() != nil {
		s.Err, s.Denied = o.tooLong(ctx, nil), false
	}
	s.At, s.Reads, s.Skew = o.Now(), soFar, cluster.Skew()
	return s
}

// next lists what to read next of a context of which that much was read.
func (o *Observer) next(name string, soFar map[plan.Read]plan.Result) []plan.Read {
	next := o.Reads(soFar, o.Metrics)
	if o.Beside == nil || len(soFar) == 0 {
		return next
	}
	for _, r := range o.Beside(name, soFar) {
		if _, done := soFar[r]; !done && !slices.Contains(next, r) {
			next = append(next, r)
		}
	}
	return next
}

// readAll performs reads side by side, those left out of which the result is kept.
func (o *Observer) readAll(ctx context.Context, cluster *kubeconfig.Cluster, reads []plan.Read, p *progress,
	kept keep) {
	add := func(r plan.Read, res plan.Result) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reads[r] = res
	}
	var wg sync.WaitGroup
	for _, r := range reads {
		if was, is := kept.result(r); is {
			add(r, was)
			continue
		}
		wg.Go(func() { add(r, o.read(ctx, cluster, r)) })
	}
	wg.Wait()
}

// allFailed returns the common reason when nothing could be read so far, and whether it is the right to. An API server
// that denied a part was reached.
func allFailed(reads map[plan.Read]plan.Result) (why string, denied bool) {
	for _, r := range reads {
		switch {
		case r.Err == "":
			return "", false
		case why == "", r.Denied && !denied, r.Denied == denied && r.Err < why:
			why, denied = r.Err, r.Denied
		}
	}
	return why, denied
}

func (o *Observer) read(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) plan.Result {
	within, cancel := context.WithTimeout(ctx, o.RequestTimeout)
	defer cancel()
	var body []byte
	err := o.get(within, c, r, func(answer []byte) {
		if o.Trim != nil {
			answer = o.Trim(r, answer)
		}
		body = bytes.Clone(answer)
	})
	if err != nil && ctx.Err() != nil {
		return plan.Result{Err: o.tooLong(ctx, nil)}
	}
	return Result(body, err).WithCache()
}

// get performs a read, and hands the answer to use, which must not keep it.
func (o *Observer) get(ctx context.Context, c *kubeconfig.Cluster, r plan.Read, use func(answer []byte)) error {
	var from func(context.Context, *kubeconfig.Cluster, plan.Read) ([]byte, error)
	switch {
	case r.Asked != "" && o.Ask == nil:
		return errors.New("nothing here asks a hub's own API")
	case r.Asked != "":
		from = o.Ask
	case r.Served:
		from = served
	case r.Port != 0:
		from = o.scrape
	default:
		req := c.REST.Get().AbsPath(Path(r)).SetHeader("Accept", r.Accept()).MaxRetries(2)
		if r.Labels != "" {
			req.Param("labelSelector", r.Labels)
		}
		var odd error
		err := kubeconfig.Read(ctx, req, func(answer []byte) {
			if odd = oddAnswer(r, answer); odd == nil {
				use(answer)
			}
		})
		return cmp.Or(err, odd)
	}
	answer, err := from(ctx, c, r)
	if err == nil {
		use(answer)
	}
	return err
}

// oddAnswer says why what was answered cannot be what was asked for. Without items it would be an empty list, and of
// another name another object. What stands in front of an API server may answer anything.
func oddAnswer(r plan.Read, answer []byte) error {
	switch {
	case r.Name == "" && !bytes.Contains(answer, []byte(`"items"`)):
		return &AnswerError{"the API server's answer is no list, and was not read"}
	case r.Name == "":
		return nil
	}
	var o struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if kube.Decode(answer, &o) != nil || o.Metadata.Name != r.Name {
		return &AnswerError{"the API server's answer is not that object, and was not read"}
	}
	return nil
}

// Result is what came of a read: that a thing is not there is a fact, and any other error is not.
func Result(body []byte, err error) plan.Result {
	switch {
	case apierrors.IsNotFound(err):
		return plan.Result{Missing: true, NoKind: noKind(err)}
	case err != nil:
		return plan.Result{Err: Explain(err), Denied: apierrors.IsForbidden(err)}
	}
	return plan.Result{Body: body}
}

// noKind says whether it is the kind that an API server does not know: it names the object in its answer when it is
// that alone.
func noKind(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && (status.Status().Details == nil || status.Status().Details.Name == "" &&
		status.Status().Details.Kind == "")
}

// Path is the API server's path of a read.
func Path(r plan.Read) string { return r.Path() }
