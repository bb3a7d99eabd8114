package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/apart"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// The shipped Job, as somebody who has the shipped roles alone. Its pod is deleted at each kind of write, or killed as
// one whose node is lost; each time another takes its place, until one has brought the migration to its end. One that
// finds the lock held by a dead pod waits for it.
func TestTheJobGoesOnInAnotherPod(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{CertManager: true, Installation: xcpsim.Installation{CertWithoutHost: true},
		Switches: xcpsim.Switches{CentralKeepsCert: true}})
	users := map[string]*rest.Config{}
	for _, c := range f.Bed.Clusters() {
		f.bind(c.Name, "mover", "xcpauth-read", "xcpauth-migrate")
		users[c.Name] = c.UserConfig("mover")
	}
	kubeconfig := f.userConfig("mover")
	k := f.NewKillerOf(kubeconfig, users)
	j := f.job(k.Kubeconfig)
	k.Leave = func(kind string) bool { return strings.Contains(kind, "edge-2") } // as that of edge-1
	lost := []string{"PATCH managementplanes/managementplane in hub", "PATCH controlplanes/controlplane in edge-1"}
	k.Signal = func(kind string) syscall.Signal {
		if slices.Contains(lost, kind) {
			return syscall.SIGKILL
		}
		return syscall.SIGTERM
	}
	k.Command = j.pod

	kinds := k.AtEachKind(j.ended)
	j.ended()
	f.WereKilled(kinds, append(lost, "POST edgeclusters/edge-1 in hub",
		"PATCH certificates/xcp-central-cert in hub", "PATCH deployments/central in hub",
		"PATCH configmaps/xcpauth-journal in hub, in flight: canary", "POST secrets/xcp-central-ca-bundle in edge-1",
		"PUT leases/xcpauth in hub", "PATCH edgeclusters/edge-1/status in hub",
		"PATCH configmaps/xcpauth-journal in hub, in flight: the rest",
		"PATCH configmaps/xcpauth-journal in hub, in flight: mTLS off")...)
	if j.held != len(lost) {
		t.Errorf("%d pods left the lock held, want those that were killed: %d", j.held, len(lost))
	}
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	if again := j.run(j.pod()); again.Code != 0 || strings.Contains(again.Stderr, `"phase":"wave"`) {
		t.Errorf("the Job run once more ends with %d:\n%s", again.Code, again.Stderr)
	}
	report := f.Xcpauth(0, "report", "-o", "markdown", "--kubeconfig", kubeconfig).Stdout
	for _, wave := range []string{"register", "canary", "one edge connects again", "the rest", "mTLS off",
		"interrupted; restored by mover@xcpauth-migrate-"} {
		if !strings.Contains(report, wave) {
			t.Errorf("the report does not tell of %q:\n%s", wave, report)
		}
	}
}

// job is the shipped Job, and what became of its pods.
type job struct {
	fleet
	job    batchv1.Job
	files  string // a directory with the volumes of its pods, by name
	pods   int
	holder string // of the lock, when the last pod had ended
	held   int    // how many pods left the lock held
}

// job reads the shipped Job, whose Secret and ConfigMap are a kubeconfig and a file of the fleet.
func (f fleet) job(kubeconfig string) *job {
	f.Helper()
	j := &job{fleet: f, files: f.TempDir()}
	root, err := sandbox.Root()
	if err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "manifests", "job", "job.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &j.job); err != nil {
		f.Fatal(err)
	}
	config, err := os.ReadFile(kubeconfig)
	if err != nil {
		f.Fatal(err)
	}
	const fleetFile = "apiVersion: xcpauth.io/v1alpha1\nkind: Fleet\nhub: hub\ncontexts: [edge-1, edge-2]\n" +
		"waves:\n  canary: edge-1\n  proveWithin: 40s\n"
	for name, text := range map[string]string{"kubeconfig/config": string(config), "fleet/fleet.yaml": fleetFile,
		"tmp/": ""} {
		path := filepath.Join(j.files, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			f.Fatal(err)
		}
		if text == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	return j
}

// pod is the next pod of the Job, not started yet: what its container runs, with nothing but its environment and its
// volumes. The flags beside its own are those with which it keeps pace with the stand-in.
func (j *job) pod(...string) *exec.Cmd {
	j.pods++
	c := j.job.Spec.Template.Spec.Containers[0]
	args := append(slices.Concat(c.Command, c.Args), "--poll=100ms", "--fence-for=1s", "--central-quiet-for=1s")
	own := apart.Own{Hostname: fmt.Sprintf("%s-%d", j.job.Name, j.pods), Processes: true}
	mounted := j.mounted(c)
	for i := range args {
		args[i] = mounted.Replace(args[i])
	}
	cmd := own.Command(filepath.Join(j.BinDir(), "kubectl-xcpauth"), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // the image has none; apart finds hostname there
	for _, e := range c.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+mounted.Replace(e.Value))
	}
	return cmd
}

// mounted replaces the paths at which the volumes of a container are mounted by where they are here.
func (j *job) mounted(c corev1.Container) *strings.Replacer {
	var paths []string
	for _, m := range c.VolumeMounts {
		paths = append(paths, m.MountPath, filepath.Join(j.files, m.Name))
	}
	return strings.NewReplacer(paths...)
}

// ended looks at what the last pod said and left: it waited for the lock where the one before it had left that held,
// and only there.
func (j *job) ended() {
	j.Helper()
	if waited := strings.Contains(j.Last(1), "waiting for it"); waited != (j.holder != "") {
		j.Errorf("pod %d found %q as the lock's holder, and waited: %v\n%s", j.pods, j.holder, waited, j.Last(1))
	}
	j.holder = j.get("hub", "xcpauth-system", "lease", "{.items[*].spec.holderIdentity}")
	if j.holder != "" {
		j.held++
	}
}

// run runs a command to its end.
func (j *job) run(cmd *exec.Cmd) sandbox.Run {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	j.Kept(cmd).Run()
	return sandbox.Run{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}
}
