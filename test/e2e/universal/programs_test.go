package universal

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// limit is how long a program may take to start.
const limit = 2 * time.Minute

// global is a process of kuma-cp in no cluster.
type global struct {
	*testing.T
	url string // of its API
	env []string
	cmd *exec.Cmd
	log *os.File
}

// free are ports at which nobody listens.
func free(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// newProcess prepares a control plane with an environment of its own.
func newProcess(t *testing.T, mode string, env ...string) (p *global, kds int) {
	t.Helper()
	ports := free(t, 7)
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	p = &global{T: t, url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), log: log, env: []string{"HOME=" + dir,
		"PATH=" + os.Getenv("PATH"), "KUMA_MODE=" + mode, "KUMA_ENVIRONMENT=universal",
		"KUMA_GENERAL_WORK_DIR=" + dir}}
	for i, name := range []string{"KUMA_API_SERVER_HTTP_PORT", "KUMA_API_SERVER_HTTPS_PORT",
		"KUMA_MULTIZONE_GLOBAL_KDS_GRPC_PORT", "KUMA_DIAGNOSTICS_SERVER_PORT", "KUMA_DP_SERVER_PORT",
		"KUMA_MONITORING_ASSIGNMENT_SERVER_PORT", "KUMA_INTER_CP_SERVER_PORT"} {
		p.env = append(p.env, fmt.Sprintf("%s=%d", name, ports[i]))
	}
	p.env = append(p.env, env...)
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", mode, text[max(0, len(text)-4000):])
		}
	})
	return p, ports[2]
}

// start starts the process, with further variables, and waits until its API answers.
func (p *global) start(env ...string) {
	p.Helper()
	p.cmd = exec.Command(os.Getenv("KUMA_CP"), "run")
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(append([]string{}, p.env...), env...), p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.Fatal(err)
	}
	p.await("the control plane to answer", func() bool {
		resp, err := http.Get(p.url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (p *global) await(what string, check func() bool) {
	p.Helper()
	if err := sandbox.Await(p.Context(), what, limit, check); err != nil {
		p.Fatal(err)
	}
}

func (p *global) stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait()
	timer.Stop()
	p.cmd = nil
}

// kumactl runs kumactl against the global, and returns what it prints.
func (p *global) kumactl(args ...string) string {
	p.Helper()
	out, err := p.ctl(args...)
	if err != nil {
		p.Fatal(err)
	}
	return out
}

// ctl is kumactl where it may fail.
func (p *global) ctl(args ...string) (string, error) {
	p.Helper()
	config := filepath.Join(p.TempDir(), "config")
	for _, args := range [][]string{{"config", "control-planes", "add", "--name=test", "--address=" + p.url}, args} {
		c := exec.Command(os.Getenv("KUMACTL"), append([]string{"--config-file", config}, args...)...)
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		if err := c.Run(); err != nil {
			return "", fmt.Errorf("kumactl %v: %w\n%s", args, err, errs.String())
		}
		if args[0] != "config" {
			return strings.TrimSpace(out.String()), nil
		}
	}
	return "", nil
}

// postgres is a PostgreSQL of the test's own.
type postgres struct {
	*testing.T
	bin, dir string
	port     int
	as       *syscall.Credential // nil for the user who runs the tests
	cmd      *exec.Cmd
}

// newPostgres makes a database and starts it.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "xcpauth-pg-") // t.TempDir is of root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postgres{T: t, bin: os.Getenv("POSTGRES"), dir: dir, port: free(t, 1)[0]}
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	init := p.command("initdb", "--pgdata="+filepath.Join(dir, "data"), "--username=kuma", "--auth=trust", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.Env = p.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// start starts PostgreSQL, and waits until it takes connections.
func (p *postgres) start() {
	p.Helper()
	p.cmd = p.command("postgres", "-D", filepath.Join(p.dir, "data"), "-p", fmt.Sprint(p.port), "-k", p.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	if err := p.cmd.Start(); err != nil {
		p.Fatal(err)
	}
	if err := sandbox.Await(p.Context(), "PostgreSQL to take connections", limit, func() bool {
		return p.command("pg_isready", "-h", "127.0.0.1", "-p", fmt.Sprint(p.port), "-d", "postgres").Run() == nil
	}); err != nil {
		p.Fatal(err)
	}
}

// stop stops it at once, as a machine that fails.
func (p *postgres) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// env is how a control plane reaches it.
func (p *postgres) env() []string {
	return []string{"KUMA_STORE_TYPE=postgres", "KUMA_STORE_POSTGRES_HOST=127.0.0.1",
		fmt.Sprintf("KUMA_STORE_POSTGRES_PORT=%d", p.port), "KUMA_STORE_POSTGRES_USER=kuma",
		"KUMA_STORE_POSTGRES_PASSWORD=none", "KUMA_STORE_POSTGRES_DB_NAME=postgres"}
}

// migrate makes the tables.
func (p *postgres) migrate() {
	p.Helper()
	cmd := exec.Command(os.Getenv("KUMA_CP"), "migrate", "up")
	cmd.Env = append(p.env(), "PATH="+os.Getenv("PATH"), "HOME="+p.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("kuma-cp migrate up: %v\n%s", err, out)
	}
}
