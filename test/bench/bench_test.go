package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

func TestMain(m *testing.M) {
	for env, do := range map[string]func(value string) error{
		meterEnv: func(string) error { return meter(context.Background(), os.Args[1:]) },
		bareEnv:  func(string) error { return readBare(context.Background(), os.Stdin) },
		serveEnv: func(product string) error {
			edges, err := strconv.Atoi(os.Getenv(edgesEnv))
			if err != nil {
				return err
			}
			return serve(product, edges)
		},
	} {
		value := os.Getenv(env)
		if value == "" || env != meterEnv && os.Getenv(meterEnv) != "" {
			continue
		}
		if err := do(value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if len(table) > 0 {
		fmt.Print(markdown(table))
	}
	os.Exit(code)
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

// memoryMax is what a command may take at a thousand members.
const memoryMax = 120 << 20

func (c cost) fits(t testing.TB) {
	t.Helper()
	if c.peak > memoryMax {
		t.Errorf("it took %d MiB of memory, more than %d", c.peak>>20, memoryMax>>20)
	}
}

// measure runs a command as the child of a small process: this test binary, when the environment says so. What Linux
// says of the memory of a process counts that of the one that started it.
func measure(t testing.TB, cmd *exec.Cmd, code int) (cost, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	meter := exec.CommandContext(t.Context(), self, append([]string{cmd.Path}, cmd.Args[1:]...)...)
	var out, errs bytes.Buffer
	meter.Stdin, meter.Stdout, meter.Stderr, meter.Env = cmd.Stdin, &out, &errs, append(cmd.Environ(), meterEnv+"=1")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	meter.ExtraFiles = []*os.File{write}
	if err := errors.Join(meter.Start(), write.Close()); err != nil {
		t.Fatal(err)
	}
	var m metered
	err = json.NewDecoder(read).Decode(&m)
	if err = errors.Join(err, meter.Wait()); err != nil || m.Code != code {
		t.Fatalf("%v: exit code %d, want %d: %v\n%s", cmd.Args, m.Code, code, err, errs.String())
	}
	return cost{wall: m.Wall, cpu: m.CPU, peak: m.Peak}, out.String()
}

// meterEnv makes a process run the command that its arguments are.
const meterEnv = "XCPAUTH_BENCH_METER"

// metered is what a command took, in bytes of memory at most, and its exit code.
type metered struct {
	Wall, CPU time.Duration
	Peak      int64
	Code      int
}

// meter runs a command, and writes what it took to file descriptor 3.
func meter(ctx context.Context, args []string) error {
	if err := os.Unsetenv(meterEnv); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	began := time.Now()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return json.NewEncoder(os.NewFile(3, "what it took")).Encode(metered{Wall: time.Since(began),
		CPU:  cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		Peak: cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10, Code: cmd.ProcessState.ExitCode()})
}

// readsPerEdge is what status asks of an edge: 4 to find the planes; Deployment, Pods, 4 secrets, the journal, and the
// fence (2).
const readsPerEdge = 13

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
		// the metrics page of one pod comes through a port-forward, which is a connection of its own
		got, want := counts[i+1], counted{Connections: 2, Reads: readsPerEdge, Forwards: 1}
		if i == hung {
			want = counted{}
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name(i), got, want)
		}
		reads, forwards, connections = reads+got.Reads, forwards+got.Forwards, connections+got.Connections
	}
	if len(rows) != edges+1 {
		t.Errorf("%d rows, want the hub and %d edges", len(rows), edges)
	}
	t.Logf("status of %d members, one with a hung credential plugin: %s", edges, c)
	t.Logf("requests per member: %.1f reads, %.1f port-forwards, over %.1f connections",
		float64(reads)/(edges-1), float64(forwards)/(edges-1), float64(connections)/(edges-1))
	c.fits(t)
}

// BenchmarkFleet measures what a command costs at fleets of ten to five thousand members, beside what one would write
// in a shell, and beside a bare HTTP client that does the same reads. The shell ways do a thirteenth of it: one read
// of each cluster, by kubectl get --raw, which asks for nothing else.
func BenchmarkFleet(b *testing.B) {
	bin, err := testbed.Binaries(b.Context(), io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	kubectl, xcpauth := filepath.Join(bin, "kubectl"), plugin(b)
	const one = "/apis/install.tetrate.io/v1alpha1/controlplanes"
	script := func(text string) func(string, int) *exec.Cmd {
		return func(kubeconfig string, n int) *exec.Cmd {
			cmd := exec.CommandContext(b.Context(), "sh", "-c", text)
			cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECTL="+kubectl, "READ="+one)
			cmd.Args = append(cmd.Args, "sh")
			for i := range n {
				cmd.Args = append(cmd.Args, name(i))
			}
			return cmd
		}
	}
	verb := func(words ...string) func(string, int) *exec.Cmd {
		return func(kubeconfig string, _ int) *exec.Cmd {
			return exec.CommandContext(b.Context(), xcpauth, append(words, "--kubeconfig", kubeconfig)...)
		}
	}
	ways := map[string][]way{
		"tsb": {
			{"one read, kubectl in a loop", []int{50},
				script(`for c; do "$KUBECTL" --context "$c" get --raw "$READ" || exit; done >/dev/null`)},
			{"one read, kubectl under xargs -P 8", []int{50},
				script(`printf '%s\n' "$@" | xargs -P 8 -I{} "$KUBECTL" --context {} get --raw "$READ" >/dev/null`)},
			{"one read, kubectl under xargs -P 32", []int{50},
				script(`printf '%s\n' "$@" | xargs -P 32 -I{} "$KUBECTL" --context {} get --raw "$READ" >/dev/null`)},
			{"the reads of status, bare HTTP", []int{50, 1000}, nil},
			{"kubectl xcpauth status", sizes, verb("status")},
		},
		"kong-mesh": {
			{"kubectl xcpauth status", sizes, verb("status")},
			{"kubectl xcpauth token list", sizes, verb("token", "list")},
		},
	}
	if foreach, err := exec.LookPath("kubectl-foreach"); err == nil {
		ways["tsb"] = slices.Insert(ways["tsb"], 3, way{"one read, kubectl-foreach -c 32", []int{50},
			script(`PATH="${KUBECTL%/*}:$PATH" ` + foreach + ` -q -c 32 "$@" -- get --raw "$READ" >/dev/null`)})
	} else {
		b.Log("kubectl-foreach is not in the PATH, and is not measured: go install github.com/ahmetb/kubectl-foreach@latest")
	}
	for _, product := range slices.Sorted(maps.Keys(ways)) {
		for _, n := range sizes {
			f := start(b, product, n)
			for _, w := range ways[product] {
				if slices.Contains(w.members, n) {
					b.Run(fmt.Sprintf("%s/%s/members=%d", product, w.name, n), func(b *testing.B) { w.measure(b, f, product, n) })
				}
			}
			f.stop()
		}
	}
}

// sizes are how many members the fleets have.
var sizes = []int{10, 50, 100, 1000, 5000}

// way is one way to look at a fleet.
type way struct {
	name    string
	members []int
	cmd     func(kubeconfig string, n int) *exec.Cmd // nil: the bare HTTP client
}

// measure runs it three times over n members, fewer times over many, and reports the cheapest run.
func (w way) measure(b *testing.B, f *fleet, product string, n int) {
	kubeconfig, err := f.kubeconfig(b.TempDir(), n, nil)
	if err != nil {
		b.Fatal(err)
	}
	least := row{product: product, way: w.name, members: n}
	for range max(1, min(3, 3000/n)) {
		if _, err := f.counts(); err != nil {
			b.Fatal(err)
		}
		var cmd *exec.Cmd
		if w.cmd == nil {
			cmd = f.bare(b)
		} else {
			cmd = w.cmd(kubeconfig, n)
		}
		c, _ := measure(b, cmd, 0)
		counts, err := f.counts()
		if err != nil {
			b.Fatal(err)
		}
		requests := 0
		for _, c := range counts[1:] {
			requests += c.Reads + c.Forwards
		}
		if least.cpu == 0 || c.cpu < least.cpu {
			least.cost, least.requests = c, float64(requests)/float64(n)
		}
	}
	table = append(table, least)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(least.wall.Seconds(), "s/op")
	b.ReportMetric(least.cpu.Seconds(), "cpu-s/op")
	b.ReportMetric(least.requests, "requests/member")
	b.ReportMetric(float64(least.peak>>20), "peak-MiB")
}

// bare is a process that does the reads of status with net/http and nothing else: this test binary, when the
// environment says so. It reads the servers from its input.
func (f *fleet) bare(t testing.TB) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	servers, err := json.Marshal(f.servers)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env, cmd.Stdin = append(os.Environ(), bareEnv+"=1"), bytes.NewReader(servers)
	return cmd
}

// bareEnv makes a process do the reads of status.
const bareEnv = "XCPAUTH_BENCH_BARE"

// readBare does the reads of status of each server that its input lists, 64 side by side.
func readBare(ctx context.Context, input io.Reader) error {
	var f fleet
	if err := json.NewDecoder(input).Decode(&f.servers); err != nil {
		return err
	}
	const ns = "istio-system"
	secret := func(name string) plan.Read { return state.SecretRead(ns, name) }
	bursts := [][]plan.Read{
		{kube.KubeSystem, state.ManagementPlanesRead, state.ControlPlanesRead, state.EdgeXcpsRead},
		{kube.DeploymentRead(ns, "edge"), kube.PodsRead(ns), secret(state.SecretToken), secret(state.SecretCA),
			secret(state.SecretEdgeCert), secret(state.SecretServiceAccount), roster.JournalRead(""), state.FencePolicyRead,
			state.FenceBindingRead},
	}
	client := f.client()
	get := func(server string, read plan.Read) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+read.Path(), nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", read.Accept())
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(64)
	for _, server := range f.Edges {
		all.Go(func() error {
			for _, burst := range bursts {
				var reads errgroup.Group
				for _, r := range burst {
					reads.Go(func() error { return get(server, r) })
				}
				if err := reads.Wait(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}
