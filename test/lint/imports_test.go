package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/xcpauth/kubectl-xcpauth"

// pkg is what go list says of a package. Paths of our own begin with ./ once read.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Deps                               []string // everything that Imports lead to
}

// rule says what the packages of a set may not import.
type rule struct {
	why   string
	of    []string // the packages; see in
	bar   []string // what is refused; see in
	open  []string // exceptions to bar
	reach reach
}

// reach is how far a rule looks.
type reach int

const (
	direct    reach = iota // what the package itself imports
	anywhere               // and what that leads to
	withTests              // what the package and its tests import, and what the former leads to
)

// deciding are the packages that take values and return values.
var deciding = []string{"./pkg/guard", "./pkg/finding", "./pkg/overlay", "./pkg/plan", "./pkg/pki",
	"./pkg/tsb/...", "./pkg/token",
	"./pkg/roster", "./pkg/rollout", "./pkg/kongmesh/...", "./pkg/kube", "./pkg/check", "./pkg/patch", "./pkg/sorting",
	"./pkg/fleetfile", "./pkg/estimate", "./pkg/gitops", "./pkg/install", "./pkg/parallel",
	"./webhook/verdict"}

var rules = []rule{
	{why: "what decides has no file, process, network, environment or chance",
		of: deciding, bar: []string{"net", "net/...", "os", "os/...", "syscall", "math/rand", "math/rand/...", "crypto/rand"},
		open: []string{"net/url", "net/netip"}, reach: direct},
	{why: "what decides leads to nothing of ours that is not deciding too, and to no client",
		of: deciding, bar: []string{"./...", "k8s.io/client-go", "k8s.io/client-go/..."},
		open: append([]string{"./pkg/api", "./manifests"}, deciding...), reach: anywhere},
	{why: "what reads a product decides nothing",
		of: []string{"./pkg/tsb/state", "./pkg/kongmesh/state", "./pkg/kongmesh/zonetoken"}, reach: anywhere,
		bar: []string{"./pkg/tsb/migration", "./pkg/tsb/inspect", "./pkg/kongmesh/migration", "./pkg/kongmesh/inspect"}},
	{why: "a migration rests on nothing that only check looks at",
		of: []string{"./pkg/tsb/migration", "./pkg/kongmesh/migration"}, reach: anywhere,
		bar: []string{"./pkg/tsb/inspect", "./pkg/kongmesh/inspect", "./pkg/check"}},
	{why: "what lays reports out knows no product: reports of one product are in packages below it",
		of: []string{"./pkg/render"}, bar: []string{"./pkg/tsb/...", "./pkg/kongmesh/...", "./pkg/render/..."},
		open: []string{"./pkg/render"}, reach: anywhere},
	{why: "what masks secrets lies below all that shows text",
		of: []string{"./pkg/redact"}, bar: []string{"./..."}, reach: anywhere},
	{why: "a report is made of values, of any product",
		of: []string{"./pkg/report"}, bar: []string{"./pkg/tsb/...", "./pkg/kongmesh/..."}, reach: anywhere},
	{why: "a report is made of values: it has no file, process, network, environment or chance",
		of: []string{"./pkg/report"}, bar: []string{"net", "net/...", "os", "os/...", "syscall", "math/rand", "math/rand/...",
			"crypto/rand", "k8s.io/...", "./pkg/kubeconfig", "./pkg/observe", "./pkg/apply", "./pkg/engine"}, reach: direct},
	{why: "check and what it finds know no product: each brings its own rules",
		of: []string{"./pkg/check", "./pkg/finding"}, bar: []string{"./pkg/tsb/...", "./pkg/kongmesh/..."}, reach: anywhere},
	{why: "what is found lies below all that look",
		of: []string{"./pkg/finding"}, bar: []string{"./..."}, reach: anywhere},
	{why: "a run knows no product, holds no client and reaches no cluster by itself",
		of: []string{"./pkg/engine"}, reach: anywhere, bar: []string{"./pkg/tsb/...", "./pkg/kongmesh/...",
			"./pkg/kubeconfig",
			"./pkg/observe", "./pkg/apply", "./pkg/enrol", "./pkg/render", "./pkg/check", "k8s.io/client-go",
			"k8s.io/client-go/..."}},
	{why: "what writes to clusters knows no product and does not decide what is written",
		of: []string{"./pkg/apply"}, reach: anywhere, bar: []string{"./pkg/tsb/...", "./pkg/kongmesh/...", "./pkg/enrol"}},
	{why: "enrolling a member is no run, and knows no product",
		of: []string{"./pkg/enrol"}, reach: anywhere, bar: []string{"./pkg/tsb/...", "./pkg/kongmesh/...", "./pkg/render",
			"./pkg/check"}},
	{why: "a zone token is judged without a cluster",
		of: []string{"./pkg/kongmesh/zonetoken"}, bar: []string{"./pkg/kongmesh/state", "./pkg/kube"}, reach: direct},
	{why: "one product does not know the other",
		of: []string{"./pkg/tsb/..."}, bar: []string{"./pkg/kongmesh/..."}, reach: anywhere},
	{why: "one product does not know the other",
		of: []string{"./pkg/kongmesh/..."}, bar: []string{"./pkg/tsb/..."}, reach: anywhere},
	{why: "only the webhook is built on controller-runtime",
		of:  []string{"./pkg/...", "./plugin/...", "./manifests/...", "./krew/..."},
		bar: []string{"sigs.k8s.io/controller-runtime", "sigs.k8s.io/controller-runtime/..."}, reach: withTests},
	{why: "the plugin stays under 24 MB and starts fast: genericclioptions alone (kustomize, discovery) makes it 33 MB",
		of: []string{"./pkg/...", "./plugin/..."}, bar: []string{"k8s.io/cli-runtime/pkg/genericclioptions",
			"k8s.io/client-go/kubernetes", "k8s.io/client-go/kubernetes/...", "sigs.k8s.io/kustomize/..."}, reach: anywhere},
	{why: "the product does not know its tests",
		of:  []string{"./pkg/...", "./plugin/...", "./webhook/...", "./manifests/...", "./krew/..."},
		bar: []string{"./test/..."}, reach: anywhere},
	{why: "the library does not know the programs",
		of: []string{"./pkg/...", "./manifests/..."}, bar: []string{"./plugin/...", "./webhook/...", "./krew/..."},
		reach: withTests},
	{why: "the programs do not know each other",
		of: []string{"./plugin/...", "./krew/..."}, bar: []string{"./webhook/..."}, reach: withTests},
	{why: "the programs do not know each other",
		of: []string{"./webhook/...", "./krew/..."}, bar: []string{"./plugin/..."}, reach: withTests},
	{why: "the stand-in for the product would prove nothing if it shared code with what it tests",
		of:  []string{"./test/xcpsim/...", "./test/kumasim/...", "./test/testbed/..."},
		bar: []string{"./pkg/...", "./plugin/...", "./webhook/...", "./manifests/..."}, reach: withTests},
	{why: "the end-to-end tests use the programs as a user does",
		of: []string{"./test/e2e", "./test/demo", "./test/release"}, bar: []string{"./pkg/...", "./plugin/...",
			"./webhook/..."}, reach: direct},
}

// in tells whether a pattern of the list matches: a path, or a path with /... for it and all below.
func in(list []string, path string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		base, below := strings.CutSuffix(pattern, "/...")
		return path == pattern || below && (path == base || strings.HasPrefix(path, base+"/"))
	})
}

// judge returns what a package imports against a rule.
func (r rule) judge(p pkg) []string {
	if !in(r.of, p.ImportPath) {
		return nil
	}
	seen := slices.Clone(p.Imports)
	if r.reach != direct {
		seen = append(seen, p.Deps...)
	}
	if r.reach == withTests {
		seen = append(append(seen, p.TestImports...), p.XTestImports...)
	}
	slices.Sort(seen)
	return slices.DeleteFunc(slices.Compact(seen), func(path string) bool {
		return path == p.ImportPath || !in(r.bar, path) || in(r.open, path)
	})
}

// packages lists this module.
func packages(t *testing.T) []pkg {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Deps",
		module+"/...")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v\n%s", err, errs.String())
	}
	var ps []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatalf("reading the list of packages: %v", err)
		}
		p.ImportPath = own(p.ImportPath)
		for _, list := range [][]string{p.Imports, p.TestImports, p.XTestImports, p.Deps} {
			for i := range list {
				list[i] = own(list[i])
			}
		}
		ps = append(ps, p)
	}
}

// own shortens a path of this module.
func own(path string) string {
	if rest, ours := strings.CutPrefix(path, module+"/"); ours {
		return "./" + rest
	}
	return path
}

func TestImportsKeepTheRules(t *testing.T) {
	used := make([]bool, len(rules))
	for _, p := range packages(t) {
		for i, r := range rules {
			used[i] = used[i] || in(r.of, p.ImportPath)
			for _, path := range r.judge(p) {
				t.Errorf("%s imports or leads to %s: %s", p.ImportPath, path, r.why)
			}
		}
	}
	for i, r := range rules {
		if !used[i] {
			t.Errorf("no package is under the rule %q: %v", r.why, r.of)
		}
	}
}

func TestRulesRefuseWhatTheyName(t *testing.T) {
	for _, c := range []struct {
		p    pkg
		want []string
	}{
		{pkg{ImportPath: "./pkg/guard", Imports: []string{"os"}}, []string{"os"}},
		{pkg{ImportPath: "./pkg/guard", Imports: []string{"net/url", "fmt"}, Deps: []string{"os", "net/url"}}, nil},
		{pkg{ImportPath: "./pkg/guard", TestImports: []string{"os"}}, nil},
		{pkg{ImportPath: "./pkg/plan", Imports: []string{"./pkg/kubeconfig"}, Deps: []string{"k8s.io/client-go/rest"}},
			[]string{"./pkg/kubeconfig", "k8s.io/client-go/rest"}},
		{pkg{ImportPath: "./pkg/tsb", Imports: []string{"./pkg/plan", "./pkg/api"}}, nil},
		{pkg{ImportPath: "./pkg/check", Imports: []string{"./pkg/kongmesh/inspect"}, Deps: []string{"./pkg/tsb/state"}},
			[]string{"./pkg/kongmesh/inspect", "./pkg/tsb/state"}},
		{pkg{ImportPath: "./pkg/check", Imports: []string{"./pkg/finding", "./pkg/plan"},
			XTestImports: []string{"./pkg/kongmesh/inspect"}}, nil},
		{pkg{ImportPath: "./pkg/finding", Imports: []string{"./pkg/plan"}}, []string{"./pkg/plan"}},
		{pkg{ImportPath: "./pkg/tsb", Imports: []string{"math/rand/v2"}}, []string{"math/rand/v2"}},
		{pkg{ImportPath: "./pkg/tsb", XTestImports: []string{"./test/cases"}}, nil},
		{pkg{ImportPath: "./pkg/render", Imports: []string{"./test/cases"}}, []string{"./test/cases"}},
		{pkg{ImportPath: "./pkg/observe", Deps: []string{"k8s.io/client-go/kubernetes/scheme", "k8s.io/client-go/rest"}},
			[]string{"k8s.io/client-go/kubernetes/scheme"}},
		{pkg{ImportPath: "./plugin/kubectl-xcpauth", Deps: []string{"k8s.io/cli-runtime/pkg/genericclioptions",
			"k8s.io/cli-runtime/pkg/genericiooptions"}}, []string{"k8s.io/cli-runtime/pkg/genericclioptions"}},
		{pkg{ImportPath: "./plugin/kubectl-xcpauth", Deps: []string{"sigs.k8s.io/kustomize/api/types"}},
			[]string{"sigs.k8s.io/kustomize/api/types"}},
		{pkg{ImportPath: "./plugin/kubectl-xcpauth", TestImports: []string{"sigs.k8s.io/controller-runtime"}},
			[]string{"sigs.k8s.io/controller-runtime"}},
		{pkg{ImportPath: "./webhook/server", Imports: []string{"sigs.k8s.io/controller-runtime"}}, nil},
		{pkg{ImportPath: "./webhook/server", Imports: []string{"./plugin/kubectl-xcpauth"}},
			[]string{"./plugin/kubectl-xcpauth"}},
		{pkg{ImportPath: "./test/xcpsim", TestImports: []string{"./pkg/tsb"}}, []string{"./pkg/tsb"}},
		{pkg{ImportPath: "./test/e2e", Imports: []string{"./test/sandbox", "./pkg/api"}, Deps: []string{"./pkg/plan"}},
			[]string{"./pkg/api"}},
		{pkg{ImportPath: "./test/e2e/webhook", Imports: []string{"./pkg/api"}}, nil},
	} {
		var got []string
		for _, r := range rules {
			got = append(got, r.judge(c.p)...)
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: refused %v, want %v", fmt.Sprintf("%+v", c.p), got, c.want)
		}
	}
}
