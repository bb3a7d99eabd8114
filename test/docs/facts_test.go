package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// ofOthers are flags that pages name of other programs.
var ofOthers = map[string]string{
	"use-service-account-credentials": "kube-controller-manager", "create-cluster": "tctl",
	"name": "kumactl", "group": "kumactl", "force": "kubectl", "manifest": "kubectl krew install",
	"archive": "kubectl krew install", "type": "kubectl patch",
	"clusterrole": "kubectl create rolebinding", "role": "kubectl create rolebinding",
	"create-namespace": "helm", "set": "helm", "take-ownership": "helm", "force-conflicts": "helm",
}

// flagged are flags in a page.
var flagged = regexp.MustCompile("[` (]--([a-z][a-z-]+)")

// A page that names a flag which no program has sends its reader into an error.
func TestEveryFlagThatAPageNamesIsOneOfAProgram(t *testing.T) {
	all := pages(t)
	known := map[string]bool{}
	for _, made := range []string{"docs/reference/commands.md", "docs/reference/webhook-flags.md"} {
		for _, m := range regexp.MustCompile("(?m)^\\| `(?:-., )?--([a-z-]+)").FindAllStringSubmatch(
			string(all[made].source), -1) {
			known[m[1]] = true
		}
	}
	if len(known) < 80 {
		t.Fatalf("only %d flags are known", len(known))
	}
	used := map[string]bool{}
	for name, p := range all {
		if !forUsers(name) {
			continue
		}
		for _, m := range flagged.FindAllStringSubmatch(string(p.source), -1) {
			used[m[1]] = true
			if !known[m[1]] && ofOthers[m[1]] == "" {
				t.Errorf("%s names --%s, which no program has", name, m[1])
			}
		}
	}
	for flag := range ofOthers {
		if !used[flag] {
			t.Errorf("no page names --%s of others any more", flag)
		}
	}
}

// rows are the rows of tables of a page, by their cells, without headings.
func (p page) rows() [][]string {
	var all [][]string
	for line := range strings.Lines(string(p.source)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|--") {
			cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, "/"), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	return all
}

// The runbook has each wave of a whole run, in its order and by the name that the run says.
func TestTheRunbookHasEveryWaveOfARunInOrder(t *testing.T) {
	run, err := os.ReadFile(filepath.Join(root, "test/transcripts/01-migrate-two-edges.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)  wave: (.+)$`).FindAllStringSubmatch(string(run), -1) {
		want = append(want, m[1])
	}
	timed := false
	for _, row := range pages(t)["docs/runbook-tsb.md"].rows() {
		if row[0] == "wave" || len(row) != 4 {
			timed = row[0] == "wave"
			continue
		}
		name := strings.Split(row[0], "`")
		if timed && len(name) > 1 && name[1] != "clean-up" {
			got = append(got, name[1])
		}
	}
	if len(want) < 10 || !slices.Equal(want, got) {
		t.Errorf("the runbook has the waves\n%q, and a run has\n%q", got, want)
	}
}

// docs/monitoring.md says of each alert what to do, with its severity.
func TestEveryAlertIsExplained(t *testing.T) {
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert       string            `json:"alert"`
					Labels      map[string]string `json:"labels"`
					Annotations map[string]string `json:"annotations"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	read(t, "manifests/monitoring/rules.yaml", &rules)
	want := map[string]string{}
	for _, g := range rules.Spec.Groups {
		for _, r := range g.Rules {
			want[r.Alert] = r.Labels["severity"]
			if url := "docs/monitoring.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], url) {
				t.Errorf("%s leads to %s, want %s", r.Alert, r.Annotations["runbook_url"], url)
			}
		}
	}
	got := map[string]string{}
	explained := regexp.MustCompile(`(?m)^### (Xcpauth\w+)\n\n\*\*(\w+)\.\*\* \S`)
	for _, m := range explained.FindAllStringSubmatch(string(pages(t)["docs/monitoring.md"].source), -1) {
		got[m[1]] = strings.ToLower(m[2])
	}
	if len(want) < 10 || !maps.Equal(want, got) {
		t.Errorf("docs/monitoring.md explains %v; the alerts are %v", got, want)
	}
}

// read reads an object of a manifest.
func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// roleName is the name of a role that a user is bound to.
var roleName = regexp.MustCompile(`(?m)^kind: (?:Cluster)?Role\nmetadata:\n  name: (xcpauth-[a-z-]+)$`)

// docs/security-model.md says of each role what its holder could do.
func TestWhatAHolderOfEachRoleCouldDoIsSaid(t *testing.T) {
	want := map[string]bool{}
	eachFile(t, func(name string) {
		if !strings.HasPrefix(name, "manifests/rbac/") && name != "manifests/base/override-rbac.yaml" {
			return
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range roleName.FindAllStringSubmatch(string(text), -1) {
			want[m[1]] = true
		}
	})
	got := map[string]bool{}
	for _, row := range pages(t)["docs/security-model.md"].rows() {
		if m := regexp.MustCompile("^`(xcpauth-[a-z-]+)`").FindStringSubmatch(row[0]); m != nil {
			got[m[1]] = true
		}
	}
	if len(want) < 6 || !maps.Equal(want, got) {
		t.Errorf("docs/security-model.md is about %v; the roles are %v", slices.Sorted(maps.Keys(got)),
			slices.Sorted(maps.Keys(want)))
	}
}

// What docs/compatibility.md calls tried is what the modules of the tests build.
func TestWhatWasTriedIsWhatTheTestsBuild(t *testing.T) {
	said := string(pages(t)["docs/compatibility.md"].source)
	for _, pin := range []struct{ file, module, says string }{
		{"go.mod", "k8s.io/client-go v0.", "client-go 0.%"},
		{"test/k8s/go.mod", "k8s.io/kubernetes v", "| everything | % |"},
		{"test/k8s/go.mod", "github.com/cert-manager/cert-manager v", "cert-manager %."},
	} {
		text, err := os.ReadFile(filepath.Join(root, pin.file))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(text), pin.module)
		version := strings.Fields(rest + " ")[0]
		if says := strings.Replace(pin.says, "%", version, 1); !found || !strings.Contains(said, says) {
			t.Errorf("%s pins %s%s; docs/compatibility.md does not say %q", pin.file, pin.module, version, says)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "test/kumavectors/testdata/kuma-2.14.3.json")); err != nil ||
		!strings.Contains(said, "| Kuma 2.14.3 | tried") {
		t.Errorf("docs/compatibility.md and the recorded answers of Kuma are of different versions: %v", err)
	}
}
