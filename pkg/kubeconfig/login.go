package kubeconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// pluginLimit is how many credential plugins run side by side: each is a process of unknown weight.
	pluginLimit = 8
	// pluginTimeout is how long one may run, answerTimeout how long when its user is asked.
	pluginTimeout = 30 * time.Second
	answerTimeout = 2 * time.Minute
	// attention is how long a plugin that printed something may go on before that is shown: what ends by itself says it in
	// its error. silence is how long one may say nothing before its user is told that it runs.
	attention = time.Second
	silence   = 10 * time.Second
	// failureStands is how long the failure of one is told to others that share it, instead of running it again.
	failureStands = 10 * time.Second
)

// logins runs the credential plugins of a fleet. client-go can run them too, and is not left to it, for it does not
// cancel one (kubernetes/kubernetes#108849), starts any number side by side, and lets all of them write to one stderr
// and read one stdin.
//
//  1. Contexts with an identical plugin share one process.
//  2. At most pluginLimit run side by side, without a terminal, each in a session of its own, so that none can take the
//     terminal.
//  3. One that must have the terminal, and one that may have it and failed without, gets it alone: one after the other.
//  4. What one prints and then waits for, as a code to type into a browser, is shown if somebody may see it: one after
//     the other too.
//  5. None runs that the user's kuberc does not allow.
//  6. A process ends with its deadline, or when nobody waits for it any more.
type logins struct {
	terminal *os.File
	stderr   io.Writer
	watched  bool // somebody may see stderr
	silence  time.Duration
	policy   policy
	slots    chan struct{}
	asking   chan struct{} // who holds its one place has the terminal

	mu    sync.Mutex
	known map[string]*login
}

func newLogins(terminal *os.File, stderr io.Writer, watched bool, may policy) *logins {
	if stderr == nil {
		stderr = io.Discard
	}
	return &logins{terminal: terminal, stderr: stderr, watched: watched, policy: may, silence: silence,
		slots: make(chan struct{},
			pluginLimit), asking: make(chan struct{}, 1), known: map[string]*login{}}
}

// login is one plugin, and what came of it so far.
type login struct {
	cred   *credential
	err    error
	failed time.Time
	now    *flight // nil unless it runs or waits for its turn
}

// flight is one plugin on its way to a credential. All but done is guarded by logins.mu.
type flight struct {
	done    chan struct{}
	changed chan struct{} // closed, and replaced, when running changes
	running bool          // false while it waits for its turn, or asks its user
	waiters int
	stop    context.CancelFunc
}

// get returns the credential of a plugin: the one that is known, unless it has run out or is the refused one, else
// that of a run.
func (l *logins) get(ctx context.Context, plugin *clientcmdapi.ExecConfig, cfg *rest.Config, refused *credential,
	name string, clock func(bool)) (*credential, error) {
	if clock == nil {
		clock = func(bool) {}
	}
	info, err := execInfo(plugin, cfg)
	if err != nil {
		return nil, err
	}
	key, err := json.Marshal([]any{plugin, info.shared})
	if err != nil {
		return nil, fmt.Errorf("reading the exec block of context %s: %w", name, err)
	}
	l.mu.Lock()
	k := l.known[string(key)]
	if k == nil {
		k = &login{}
		l.known[string(key)] = k
	}
	switch {
	case k.cred != nil && k.cred != refused && (k.cred.expires.IsZero() || time.Now().Before(k.cred.expires)):
		defer l.mu.Unlock()
		return k.cred, nil
	case k.err != nil && time.Since(k.failed) < failureStands:
		defer l.mu.Unlock()
		return nil, k.err
	case k.now == nil:
		k.now = l.start(k, plugin, info, name)
	}
	fl := k.now
	fl.waiters++
	l.mu.Unlock()
	return l.wait(ctx, k, fl, plugin, clock)
}

// start begins a run in a goroutine of its own. l.mu is held.
func (l *logins) start(k *login, plugin *clientcmdapi.ExecConfig, info info, name string) *flight {
	ctx, stop := context.WithCancel(context.Background())
	fl := &flight{done: make(chan struct{}), changed: make(chan struct{}), stop: stop}
	go func() {
		defer stop()
		cred, err := l.run(ctx, fl, plugin, info, name)
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.now == fl {
			k.now = nil
			k.cred, k.err, k.failed = cred, err, time.Now()
		}
		close(fl.done)
	}()
	return fl
}

// wait waits for a run and says when time passes that is not the plugin's. The last to leave stops it.
func (l *logins) wait(ctx context.Context, k *login, fl *flight, plugin *clientcmdapi.ExecConfig,
	clock func(bool)) (*credential, error) {
	defer clock(true)
	for {
		l.mu.Lock()
		running, changed := fl.running, fl.changed
		l.mu.Unlock()
		clock(running)
		select {
		case <-fl.done:
			l.mu.Lock()
			defer l.mu.Unlock()
			return k.cred, k.err
		case <-changed:
		case <-ctx.Done():
			l.leave(k, fl)
			return nil, &CredentialError{Command: plugin.Command, Why: "has not ended", Cause: context.Cause(ctx)}
		}
	}
}

// leave takes one who waited away; after the last the process is ended, and gone when leave returns.
func (l *logins) leave(k *login, fl *flight) {
	l.mu.Lock()
	fl.waiters--
	last := fl.waiters == 0
	if last && k.now == fl {
		k.now = nil
	}
	l.mu.Unlock()
	if last {
		fl.stop()
		<-fl.done
	}
}

func (l *logins) mark(fl *flight, running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fl.running = running
	close(fl.changed)
	fl.changed = make(chan struct{})
}

// run runs a plugin without the terminal, then with it, as far as its interactiveMode and the terminal allow.
func (l *logins) run(ctx context.Context, fl *flight, plugin *clientcmdapi.ExecConfig, info info,
	name string) (*credential, error) {
	mode := plugin.InteractiveMode
	if mode == clientcmdapi.AlwaysExecInteractiveMode && l.terminal == nil {
		return nil, &CredentialError{Command: plugin.Command,
			Why: "must ask its user (interactiveMode: Always), and there is no terminal; run this on one, or log in before"}
	}
	if mode != clientcmdapi.AlwaysExecInteractiveMode {
		cred, err := l.quietly(ctx, fl, plugin, info, name)
		var failed *CredentialError
		if err == nil || mode != clientcmdapi.IfAvailableExecInteractiveMode || l.terminal == nil ||
			!errors.As(err, &failed) || !failed.ended {
			return cred, err
		}
	}
	l.mark(fl, false)
	select {
	case l.asking <- struct{}{}:
		defer func() { <-l.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	fmt.Fprintf(l.stderr, "context %s: its credential plugin %s may ask on this terminal\n", clean(name),
		clean(plugin.Command))
	return l.policy.run(ctx, plugin, info, l.terminal, l.stderr, newLimit(answerTimeout))
}

// quietly runs a plugin that cannot ask anybody, when there is a slot for it. It may have its user do something
// elsewhere.
func (l *logins) quietly(ctx context.Context, fl *flight, plugin *clientcmdapi.ExecConfig, info info,
	name string) (*credential, error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	free := sync.OnceFunc(func() { <-l.slots })
	defer free()
	l.mark(fl, true)
	if !l.watched {
		return l.policy.run(ctx, plugin, info, nil, &capped{}, newLimit(pluginTimeout))
	}
	heard := &overheard{began: make(chan struct{})}
	limit := newLimit(answerTimeout)
	ended := make(chan struct{})
	var attending sync.WaitGroup
	attending.Go(func() {
		onItsUser := func() { // it is its user's time now, and others need not wait for the slot
			l.mark(fl, false)
			free()
		}
		if l.waits(heard, ended, onItsUser, plugin, name) {
			onItsUser()
			l.show(heard, limit, ended, plugin, name)
		}
	})
	defer attending.Wait()
	defer close(ended)
	return l.policy.run(ctx, plugin, info, nil, heard, limit)
}

// waits says whether a plugin printed something and then went on. One that says nothing for long may wait for a login
// elsewhere.
func (l *logins) waits(heard *overheard, ended <-chan struct{}, onItsUser func(), plugin *clientcmdapi.ExecConfig,
	name string) bool {
	quiet := time.NewTimer(l.silence)
	defer quiet.Stop()
	for began := (<-chan struct{})(heard.began); began != nil; {
		select {
		case <-began:
			began = nil
		case <-quiet.C:
			onItsUser()
			fmt.Fprintf(l.stderr, "context %s: its credential plugin %s still runs; if it opened a browser, log in there "+
				"within %s\n", clean(name), clean(plugin.Command), answerTimeout-l.silence)
		case <-ended:
			return false
		}
	}
	more := time.NewTimer(attention)
	defer more.Stop()
	select {
	case <-more.C:
		return true
	case <-ended:
		return false
	}
}

// show shows what a plugin prints, from the beginning, when nobody else has the terminal, and until it has ended. Its
// time begins then.
func (l *logins) show(heard *overheard, limit *limit, ended <-chan struct{}, plugin *clientcmdapi.ExecConfig,
	name string) {
	limit.stop()
	select {
	case l.asking <- struct{}{}:
		defer func() { <-l.asking }()
	case <-ended:
		return
	}
	limit.start(answerTimeout)
	fmt.Fprintf(l.stderr, "context %s: its credential plugin %s waits, and says:\n", clean(name), clean(plugin.Command))
	heard.show(l.stderr)
	<-ended
}
