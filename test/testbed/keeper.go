package testbed

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// The keeper is a second process of the same program that starts every server of one bed, so that nothing outlives
// the bed's own process however that ends: the kernel closes the keeper's stdin, and the keeper kills what it started.
// It is alone in its session, so a terminal's Ctrl-C or hang-up does not reach it or the servers.

// keeperEnv, when set, makes a program that imports this package a keeper instead.
const keeperEnv = "XCPAUTH_TESTBED_KEEPER"

// order is one line that the keeper reads: start a program (Args set), or signal a running one.
type order struct {
	Name   string
	Args   []string       `json:",omitempty"`
	Env    []string       `json:",omitempty"`
	Log    string         `json:",omitempty"`
	Signal syscall.Signal `json:",omitempty"`
}

// notice is one line that the keeper writes: the answer to an order, or (Exit set) that a program ended.
type notice struct {
	Name string
	Pid  int    `json:",omitempty"`
	Err  string `json:",omitempty"`
	Exit string `json:",omitempty"`
}

func init() {
	if os.Getenv(keeperEnv) == "" {
		return
	}
	// the main thread starts every program and lives as long as the keeper: see dieWithParent
	runtime.LockOSThread()
	signal.Ignore(syscall.SIGPIPE) // a bed that is gone must not end the keeper halfway through its work
	keep(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout))
	for _, dir := range os.Args[1:] {
		os.RemoveAll(dir)
	}
	os.Exit(0)
}

// keep carries out orders until its input ends, then kills everything it started and waits until all of it is gone.
func keep(in *json.Decoder, out *json.Encoder) {
	var (
		mu      sync.Mutex // guards out and running
		running = map[string]*exec.Cmd{}
		all     sync.WaitGroup
	)
	say := func(n notice) { out.Encode(n) } // a failure means that nobody listens any more, and then the input ends too
	start := func(o order) notice {
		if running[o.Name] != nil {
			return notice{Name: o.Name, Err: "already running"}
		}
		log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return notice{Name: o.Name, Err: err.Error()}
		}
		defer log.Close()
		cmd := exec.Command(o.Args[0], o.Args[1:]...)
		cmd.Env, cmd.Stdout, cmd.Stderr = o.Env, log, log
		cmd.SysProcAttr = dieWithParent()
		if err := cmd.Start(); err != nil {
			return notice{Name: o.Name, Err: err.Error()}
		}
		running[o.Name] = cmd
		all.Go(func() {
			cmd.Wait()
			mu.Lock()
			defer mu.Unlock()
			delete(running, o.Name)
			say(notice{Name: o.Name, Exit: cmd.ProcessState.String()})
		})
		return notice{Name: o.Name, Pid: cmd.Process.Pid}
	}
	for {
		var o order
		if in.Decode(&o) != nil {
			break
		}
		mu.Lock()
		switch cmd := running[o.Name]; {
		case len(o.Args) > 0:
			say(start(o))
		case cmd == nil:
			say(notice{Name: o.Name, Err: "not running"})
		default:
			n := notice{Name: o.Name, Pid: cmd.Process.Pid}
			if err := cmd.Process.Signal(o.Signal); err != nil {
				n.Err = err.Error()
			}
			say(n)
		}
		mu.Unlock()
	}
	mu.Lock()
	for _, cmd := range running {
		cmd.Process.Kill()
	}
	mu.Unlock()
	all.Wait()
}

// servers is the bed's side of its keeper.
type servers struct {
	cmd   *exec.Cmd
	stdin interface{ Close() error }

	order   sync.Mutex // one order and its answer at a time
	out     *json.Encoder
	answers chan notice // closed when the keeper is gone

	mu      sync.Mutex
	running map[string]*program
}

// startKeeper runs this program again as a keeper. It holds the given files open until all its servers are gone, and
// removes the scratch directories then.
func startKeeper(hold []*os.File, scratch []string) (*servers, error) {
	cmd := exec.Command("/proc/self/exe", scratch...)
	cmd.Env = []string{keeperEnv + "=1"}
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = hold
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the keeper of the servers: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the keeper of the servers: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the keeper of the servers: %w", err)
	}
	s := &servers{cmd: cmd, stdin: in, out: json.NewEncoder(in), answers: make(chan notice),
		running: map[string]*program{}}
	go s.read(json.NewDecoder(out))
	return s, nil
}

// read hands out what the keeper says: an answer to who waits for it, an end to the program that ended.
func (s *servers) read(in *json.Decoder) {
	defer close(s.answers)
	for {
		var n notice
		if in.Decode(&n) != nil {
			break
		}
		if n.Exit != "" {
			s.mu.Lock()
			s.ended(n.Name, n.Exit)
			s.mu.Unlock()
			continue
		}
		s.answers <- n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.running {
		s.ended(name, "its keeper is gone")
	}
}

// ended records the end of a program; called with mu held.
func (s *servers) ended(name, how string) {
	if p := s.running[name]; p != nil {
		p.how = how
		close(p.done)
		delete(s.running, name)
	}
}

// program is one running server.
type program struct {
	of   *servers
	name string
	log  string
	pid  int
	done chan struct{} // closed once it ended
	how  string        // how it ended, such as "signal: killed"; set before done is closed
}

// start runs a program under the keeper with exactly env, its output appended to the file log.
func (s *servers) start(name, log string, env []string, args ...string) (*program, error) {
	p := &program{of: s, name: name, log: log, done: make(chan struct{})}
	if err := s.expect(p); err != nil {
		return nil, err
	}
	n, err := s.tell(order{Name: name, Args: args, Env: env, Log: log})
	if err != nil {
		s.mu.Lock()
		s.ended(name, "never started")
		s.mu.Unlock()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.pid = n.Pid
	return p, nil
}

// expect makes the program known before it starts, since it may end before the answer to its start is read.
func (s *servers) expect(p *program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[p.name] != nil {
		return fmt.Errorf("starting %s: it is running already", p.name)
	}
	s.running[p.name] = p
	return nil
}

func (p *program) signal(sig syscall.Signal) error {
	if _, err := p.of.tell(order{Name: p.name, Signal: sig}); err != nil {
		return fmt.Errorf("signalling %s with %v: %w", p.name, sig, err)
	}
	return nil
}

func (s *servers) tell(o order) (notice, error) {
	s.order.Lock()
	defer s.order.Unlock()
	if err := s.out.Encode(o); err != nil {
		return notice{}, fmt.Errorf("the keeper of the servers is gone: %w", err)
	}
	n, ok := <-s.answers
	switch {
	case !ok:
		return n, fmt.Errorf("the keeper of the servers is gone")
	case n.Err != "":
		return n, fmt.Errorf("%s", n.Err)
	}
	return n, nil
}

// stop returns when every program and the keeper itself are gone.
func (s *servers) stop() {
	s.stdin.Close()
	for range s.answers { // until the keeper has closed its output
	}
	s.cmd.Wait()
}
