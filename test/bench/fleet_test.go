package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// delay is how long each answer takes, and each TLS handshake: the round trip to another region.
const delay = 40 * time.Millisecond

// servers is what serve prints on its first line: where each server listens.
type servers struct {
	Hub   string
	Edges []string
	CA    []byte // PEM
}

// fleet is a process of servers: a hub and edges.
type fleet struct {
	servers
	stdin io.WriteCloser
	cmd   *exec.Cmd
}

// startFleet runs serve in a process of its own, so that neither its memory nor its CPU is taken for the plugin's:
// this test binary, which serves when the environment says so.
func startFleet(ctx context.Context, product string, edges int) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{cmd: exec.CommandContext(ctx, self)}
	f.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s", serveEnv, product),
		fmt.Sprintf("%s=%d", edgesEnv, edges), "GOGC=400")
	f.cmd.Stderr = os.Stderr
	if f.stdin, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the fleet: %w", err)
	}
	if err := json.NewDecoder(bufio.NewReaderSize(out, 1<<20)).Decode(&f.servers); err != nil {
		return nil, fmt.Errorf("starting the fleet: %w", err)
	}
	return f, nil
}

func (f *fleet) stop() {
	f.stdin.Close() // serve ends with its input
	f.cmd.Wait()
}

// counted is what one server was asked.
type counted struct{ Connections, Reads, Forwards int }

// counts returns what each server was asked since the last call, the hub's first.
func (f *fleet) counts() ([]counted, error) {
	resp, err := f.client().Get(f.Hub + "/counts")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var all []counted
	return all, json.NewDecoder(resp.Body).Decode(&all)
}

// kubeconfig writes a kubeconfig of the hub and the first n edges. user, when not nil, gives an edge's user entry.
func (f *fleet) kubeconfig(dir string, n int, user func(edge int) apifake.Object) (string, error) {
	var clusters, contexts, users []any
	add := func(name, url string, u apifake.Object) {
		clusters = append(clusters, apifake.Object{"name": name, "cluster": apifake.Object{"server": url,
			"certificate-authority-data": f.CA}})
		contexts = append(contexts, apifake.Object{"name": name, "context": apifake.Object{"cluster": name, "user": name}})
		if u == nil {
			u = apifake.Object{"token": "t"}
		}
		users = append(users, apifake.Object{"name": name, "user": u})
	}
	add("hub", f.Hub, nil)
	for i, url := range f.Edges[:n] {
		var u apifake.Object
		if user != nil {
			u = user(i)
		}
		add(name(i), url, u)
	}
	b, err := yaml.Marshal(apifake.Object{"apiVersion": "v1", "kind": "Config", "current-context": "hub",
		"clusters": clusters, "contexts": contexts, "users": users})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("kubeconfig-%d", n))
	return path, os.WriteFile(path, b, 0o600)
}

func name(edge int) string { return fmt.Sprintf("edge-%04d", edge) }

// serveEnv makes a process serve a product, edgesEnv says to how many edges.
const (
	serveEnv = "XCPAUTH_BENCH_SERVE"
	edgesEnv = "XCPAUTH_BENCH_EDGES"
)

// products are what can be served: the objects of a hub with these edges, and of one of them.
var products = map[string]func(names []string) (hub []apifake.Object, edge func(name string) ([]apifake.Object, error),
	err error){
	"tsb": func(names []string) ([]apifake.Object, func(string) ([]apifake.Object, error), error) {
		return sized(apifake.Hub(names...), "tsb"), func(name string) ([]apifake.Object,
			error) {
			return sized(apifake.Edge(name), "istio-system"), nil
		}, nil
	},
	"kong-mesh": mesh,
}

// page is what the pods answer when they are asked for their metrics: the series of an edge that is connected.
const page = `# TYPE xcp_edge_stream_connect_count counter
xcp_edge_stream_connect_count{statusLabel="ok"} 1
xcp_edge_stream_connect_count{statusLabel="close"} 0
# TYPE xcp_edge_last_push_to_central_timestamp_ms gauge
xcp_edge_last_push_to_central_timestamp_ms 1.7e+12
`

// serve serves a hub and edges of a product until its input ends.
func serve(product string, edges int) error {
	klog.SetLogger(logr.Discard()) // a node says of each connection how it ended
	names := make([]string, edges)
	for i := range names {
		names[i] = name(i)
	}
	hub, edge, err := products[product](names)
	if err != nil {
		return err
	}
	counts := make([]struct{ connections, reads, forwards atomic.Int64 }, edges+1)
	report := func(w http.ResponseWriter) {
		all := make([]counted, len(counts))
		for i := range counts {
			all[i] = counted{int(counts[i].connections.Swap(0)), int(counts[i].reads.Swap(0)), int(counts[i].forwards.Swap(0))}
		}
		json.NewEncoder(w).Encode(all)
	}
	pod := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(delay)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, page)
	})
	cert, ca := apifake.Certificate()
	listen := func(i int, objects []apifake.Object) (string, error) {
		handler := apifake.Handler(objects...)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		s := &http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
			ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					counts[i].connections.Add(1)
				}
			},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/counts":
					report(w)
					return
				case strings.HasSuffix(r.URL.Path, "/portforward"):
					counts[i].forwards.Add(1)
					time.Sleep(delay)
					apifake.ForwardHTTP(w, r, pod)
					return
				default:
					counts[i].reads.Add(1)
				}
				time.Sleep(delay)
				handler.ServeHTTP(w, r)
			})}
		go s.ServeTLS(slow{l}, "", "")
		return "https://" + l.Addr().String(), nil
	}
	out := servers{CA: ca}
	if out.Hub, err = listen(0, hub); err != nil {
		return err
	}
	for i, n := range names {
		objects, err := edge(n)
		if err != nil {
			return err
		}
		url, err := listen(i+1, objects)
		if err != nil {
			return err
		}
		out.Edges = append(out.Edges, url)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// slow delays the first thing that a server says on a connection: its half of the handshake.
type slow struct{ net.Listener }

func (s slow) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &slowConn{Conn: c}, nil
}

type slowConn struct {
	net.Conn
	spoken bool
}

func (c *slowConn) Write(p []byte) (int, error) {
	if !c.spoken {
		c.spoken = true
		time.Sleep(delay)
	}
	return c.Conn.Write(p)
}
