package fleet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// outsideGlobal is the process of a global that is in no cluster: its owner sets its environment and restarts it.
type outsideGlobal struct {
	f       *Fleet
	address string // of its API, the same for all its processes
	api     atomic.Pointer[http.Handler]
	srv     *http.Server
	served  chan struct{}

	mu     sync.Mutex
	env    map[string]string
	starts int
	stop   func()
	tls    *tls.Config // with which it is served, the same for all its processes
	ca     []byte
}

// GlobalURL is where the API of a global answers that is in no cluster: over TLS.
func (f *Fleet) GlobalURL() string { return "https://" + f.outside.address }

// GlobalCA is the CA of its certificate, as PEM.
func (f *Fleet) GlobalCA() []byte { return f.outside.ca }

// SetGlobalEnv sets variables of a global that is in no cluster, "" unsets one, and restarts it, as its owner does.
func (f *Fleet) SetGlobalEnv(env map[string]string) error {
	o := f.outside
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, value := range env {
		if o.env[name] = value; value == "" {
			delete(o.env, name)
		}
	}
	return o.restart()
}

// startOutside starts the process of a global that is in no cluster.
func (f *Fleet) startOutside() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the global outside of clusters: %w", err)
	}
	f.outside = &outsideGlobal{f: f, address: ln.Addr().String(), stop: func() {},
		env: map[string]string{modeName: "global", environment: universal, storeType: "postgres"}}
	for _, v := range f.opts.GlobalEnv {
		f.outside.env[v.Name] = v.Value
	}
	o := f.outside
	o.served = make(chan struct{})
	o.srv = &http.Server{ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0), Handler: o}
	o.mu.Lock()
	defer o.mu.Unlock()
	err = o.restart()
	if err != nil {
		close(o.served)
		return errors.Join(err, ln.Close())
	}
	go func() {
		defer close(o.served)
		_ = o.srv.Serve(tls.NewListener(ln, o.tls))
	}()
	return nil
}

// ServeHTTP answers as the process that runs does; without one the connection is cut.
func (o *outsideGlobal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := o.api.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// restart ends the process and starts the next; the caller holds the lock.
func (o *outsideGlobal) restart() error {
	o.stop()
	f := o.f
	v, err := versionOf(f.opts.image(f.opts.Version))
	if err != nil {
		return err
	}
	auth, err := v.auth(o.env)
	if err != nil {
		return err
	}
	if err := makeElsewhere(&f.elsewhere); err != nil {
		return err
	}
	o.starts++
	env := maps.Clone(o.env)
	instance := fmt.Sprintf("outside-%04d", o.starts)
	g, err := kumasim.Start(kumasim.Options{
		Source: &f.elsewhere, Auth: auth, Switches: v.switches(), SyncEvery: syncEvery,
		Log:   func(format string, args ...any) { f.logf(instance, format, args...) },
		Noted: func(c kumasim.Call) { f.noted(instance, c) },
		Opened: func(s kumasim.Subscription) func() {
			return f.opened(instance, instance, func() bool { return false }, s, env)
		},
	})
	if err != nil {
		return err
	}
	if o.tls == nil {
		o.tls, o.ca = g.TLS(), g.CA
	}
	rest := &kumasim.Rest{Store: &f.elsewhere, Config: v.settings(env), Version: v.String(), Instance: instance,
		LocalhostIsAdmin: env[localhostIsAdmin] != "false", Answered: f.opts.APIAnswered}
	api := g.API(f.access(v, env, rest))
	o.api.Store(&api)
	f.mu.Lock()
	f.globals[instance] = g
	f.mu.Unlock()
	o.stop = func() {
		f.mu.Lock()
		delete(f.globals, instance)
		f.mu.Unlock()
		o.api.Store(nil)
		g.Stop()
	}
	return nil
}

// close ends the process.
func (o *outsideGlobal) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stop()
	o.stop = func() {}
	_ = o.srv.Close()
	<-o.served
}
