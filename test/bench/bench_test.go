package bench

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

func TestMain(m *testing.M) {
	if product := os.Getenv(serveEnv); product != "" {
		edges, err := strconv.Atoi(os.Getenv(edgesEnv))
		if err == nil {
			err = serve(product, edges)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// client trusts the fleet and keeps connections, as a program would that somebody writes for this alone.
func (f *fleet) client() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(f.CA)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
}

func start(t testing.TB, product string, edges int) *fleet {
	t.Helper()
	f, err := startFleet(t.Context(), product, edges)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	return f
}

func plugin(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubectl-xcpauth")
	if err := sandbox.Build(t.Context(), "./plugin/kubectl-xcpauth", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// cost is what a command took.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // bytes of memory, the most at once
}

func (c cost) String() string {
	return fmt.Sprintf("%.2f s wall, %.2f s CPU, %d MiB at most", c.wall.Seconds(), c.cpu.Seconds(), c.peak>>20)
}

func measure(t testing.TB, cmd *exec.Cmd, code int) (cost, string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	c := cost{wall: time.Since(began)}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%v: exit code %d, want %d: %v\n%s", cmd.Args, got, code, err, errs.String())
	}
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	c.peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	return c, out.String()
}

// readsPerEdge is what status asks of an edge: 4 to find the planes; Deployment, ReplicaSets, Pods, 4 secrets, the
// journal, and the fence (2).
const readsPerEdge = 14

// A thousand clusters in one run, one of them behind a credential plugin that never returns: that one is late, by its
// own deadline, and nobody else.
func TestStatusOfAThousandMembers(t *testing.T) {
	const edges, hung = 1000, 0
	f := start(t, "tsb", edges)
	kubeconfig, err := f.kubeconfig(t.TempDir(), edges, func(edge int) apifake.Object {
		if edge != hung {
			return nil
		}
		return apifake.Object{"exec": apifake.Object{"apiVersion": "client.authentication.k8s.io/v1",
			"interactiveMode": "Never", "command": "sleep", "args": []any{"600"}}}
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), plugin(t), "status", "--kubeconfig", kubeconfig, "-o", "json",
		"--member-timeout", "10s")
	c, out := measure(t, cmd, 4)

	var report struct {
		Members []struct {
			Member, Context, State string
			Why                    []string
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, m := range report.Members {
		rows[m.Member]++
		switch {
		case m.Member == name(hung):
			if want := "timed out after 10s: the context's credential plugin sleep has not ended"; m.State != "unreachable" ||
				len(m.Why) != 1 || m.Why[0] != want {
				t.Errorf("%s: %+v, want %q", m.Member, m, want)
			}
		case m.State == "unreachable":
			t.Errorf("%+v", m)
		}
	}
	counts, err := f.counts()
	if err != nil {
		t.Fatal(err)
	}
	var reads, forwards, connections int
	for i := range edges {
		if n := rows[name(i)]; n != 1 {
			t.Errorf("%s has %d rows", name(i), n)
		}
		got, want := counts[i+1], readsPerEdge
		if i == hung {
			want = 0
		}
		// the metrics page of one pod is asked for over WebSocket, then SPDY, each a connection of its own: no server here
		// forwards ports
		if got.Reads != want || got.Forwards > 2 || got.Connections > 3 {
			t.Errorf("%s: %+v, want %d reads, at most 2 port-forwards and 3 connections", name(i), got, want)
		}
		reads, forwards, connections = reads+got.Reads, forwards+got.Forwards, connections+got.Connections
	}
	if len(rows) != edges+1 {
		t.Errorf("%d rows, want the hub and %d edges", len(rows), edges)
	}
	t.Logf("status of %d members, one with a hung credential plugin: %s", edges, c)
	t.Logf("requests per member: %.1f reads, %.1f tries to forward a port, over %.1f connections",
		float64(reads)/(edges-1), float64(forwards)/(edges-1), float64(connections)/(edges-1))
	if limit := int64(400 << 20); c.peak > limit {
		t.Errorf("it took %d MiB of memory, more than %d", c.peak>>20, limit>>20)
	}
}

// BenchmarkFleet prints what status costs beside what one would write in a shell, and beside a bare HTTP client that
// does the same reads. The shell ways do a thirteenth of it: one read of each cluster, by kubectl get --raw, which
// asks for nothing else.
func BenchmarkFleet(b *testing.B) {
	f := start(b, "tsb", 1000)
	bin, err := testbed.Binaries(b.Context(), io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	kubectl, xcpauth := filepath.Join(bin, "kubectl"), plugin(b)
	const one = "/apis/install.tetrate.io/v1alpha1/controlplanes"
	dir := b.TempDir()
	script := func(text string) func(string, int) *exec.Cmd {
		return func(kubeconfig string, n int) *exec.Cmd {
			cmd := exec.CommandContext(b.Context(), "sh", "-c", text)
			cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECTL="+kubectl, "READ="+one)
			for i := range n {
				cmd.Args = append(cmd.Args, name(i))
			}
			cmd.Args = append(cmd.Args[:3], append([]string{"sh"}, cmd.Args[3:]...)...)
			return cmd
		}
	}
	ways := []struct {
		name string
		n    int
		cmd  func(kubeconfig string, n int) *exec.Cmd // nil: the bare HTTP client
	}{
		{"one read, kubectl in a loop", 50,
			script(`for c; do "$KUBECTL" --context "$c" get --raw "$READ" || exit; done >/dev/null`)},
		{"one read, kubectl under xargs -P 8", 50,
			script(`printf '%s\n' "$@" | xargs -P 8 -I{} "$KUBECTL" --context {} get --raw "$READ" >/dev/null`)},
		{"one read, kubectl under xargs -P 32", 50,
			script(`printf '%s\n' "$@" | xargs -P 32 -I{} "$KUBECTL" --context {} get --raw "$READ" >/dev/null`)},
		{"all reads, kubectl xcpauth status", 50, nil},
		{"all reads, bare HTTP", 50, nil},
		{"all reads, kubectl xcpauth status", 1000, nil},
		{"all reads, bare HTTP", 1000, nil},
	}
	for i := range ways {
		if strings.Contains(ways[i].name, "xcpauth") {
			ways[i].cmd = func(kubeconfig string, _ int) *exec.Cmd {
				return exec.CommandContext(b.Context(), xcpauth, "status", "--kubeconfig", kubeconfig)
			}
		}
	}
	for _, w := range ways {
		b.Run(fmt.Sprintf("%s/members=%d", w.name, w.n), func(b *testing.B) {
			kubeconfig, err := f.kubeconfig(dir, w.n, nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := f.counts(); err != nil {
				b.Fatal(err)
			}
			var cpu time.Duration
			var peak int64
			for b.Loop() {
				if w.cmd == nil {
					cpu += f.bare(b, w.n)
					continue
				}
				c, _ := measure(b, w.cmd(kubeconfig, w.n), 0)
				cpu, peak = cpu+c.cpu, max(peak, c.peak)
			}
			counts, err := f.counts()
			if err != nil {
				b.Fatal(err)
			}
			requests := 0
			for _, c := range counts[1:] {
				requests += c.Reads + c.Forwards
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(requests)/float64(b.N*w.n), "requests/member")
			if peak > 0 {
				b.ReportMetric(float64(peak>>20), "peak-MiB")
			}
		})
	}
}

// bare does the reads of status with net/http and nothing else, 64 members side by side, and returns the CPU time
// that took.
func (f *fleet) bare(t testing.TB, n int) time.Duration {
	t.Helper()
	before := spent(t)
	client := f.client()
	defer client.CloseIdleConnections()
	slots := make(chan struct{}, 64)
	var wg sync.WaitGroup
	get := func(url string, wg *sync.WaitGroup) {
		wg.Go(func() {
			resp, err := client.Get(url)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
		})
	}
	for _, server := range f.Edges[:n] {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for _, burst := range [][]string{
				{"/api/v1/namespaces/kube-system", "/apis/install.tetrate.io/v1alpha1/managementplanes",
					"/apis/install.tetrate.io/v1alpha1/controlplanes", "/apis/install.xcp.tetrate.io/v1alpha1/edgexcps"},
				{"/apis/apps/v1/namespaces/istio-system/deployments/edge", "/apis/apps/v1/namespaces/istio-system/replicasets",
					"/api/v1/namespaces/istio-system/pods",
					"/api/v1/namespaces/istio-system/secrets/xcp-edge-central-auth-token",
					"/api/v1/namespaces/istio-system/secrets/xcp-central-ca-bundle",
					"/api/v1/namespaces/istio-system/secrets/xcp-edge-cert",
					"/api/v1/namespaces/istio-system/secrets/cluster-service-account",
					"/api/v1/namespaces/istio-system/secrets/oap-token", "/api/v1/namespaces/istio-system/secrets/otel-token"},
			} {
				var reads sync.WaitGroup
				for _, path := range burst {
					get(server+path, &reads)
				}
				reads.Wait()
			}
		})
	}
	wg.Wait()
	runtime.GC()
	return spent(t) - before
}

// spent is the CPU time of this process so far.
func spent(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
