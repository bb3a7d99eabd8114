package manifests_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// expression is one PromQL expression and where it stands.
type expression struct{ in, expr string }

// rule is an alerting rule.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("monitoring", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		APIVersion, Kind string
		Metadata         map[string]any
		Spec             struct {
			Groups []struct {
				Name  string
				Rules []rule
			}
		}
	}
	if err := yaml.UnmarshalStrict(b, &o); err != nil {
		t.Fatal(err)
	}
	for _, g := range o.Spec.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ RefID, Expr string }

	FieldConfig struct{ Defaults struct{ Unit string } }
}

func readPanels(t *testing.T) []panel {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("monitoring", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID, Title string
		Panels     []panel
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("the dashboard: %v", err)
	}
	if d.UID == "" || d.Title == "" || len(d.Panels) == 0 {
		t.Errorf("the dashboard has uid %q, title %q and %d panels", d.UID, d.Title, len(d.Panels))
	}
	return d.Panels
}

// expressions are those of rules and dashboard.
func expressions(t *testing.T) (all []expression) {
	t.Helper()
	for _, r := range readRules(t) {
		all = append(all, expression{"alert " + r.Alert, r.Expr})
	}
	for _, p := range readPanels(t) {
		for _, target := range p.Targets {
			all = append(all, expression{"panel " + p.Title, target.Expr})
		}
	}
	return all
}

// registered are the metrics that some package of the webhook makes: every literal of the form of a name in its
// sources.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	whole := regexp.MustCompile(`^xcpauth_webhook_[a-z0-9_]+$`)
	found := map[string]bool{}
	err := filepath.WalkDir(filepath.Join("..", "webhook"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && whole.MatchString(text) {
					found[text] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRulesAndDashboardNameMetricsThatTheWebhookHas(t *testing.T) {
	made := registered(t)
	names := regexp.MustCompile(`\bxcpauth_[a-z0-9_]+`)
	used := 0
	texts := expressions(t)
	for _, r := range readRules(t) {
		texts = append(texts, expression{"the text of alert " + r.Alert, r.Annotations["description"]})
	}
	for _, e := range texts {
		for _, name := range names.FindAllString(e.expr, -1) {
			used++
			base := name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !made[name] && !made[base] {
				t.Errorf("%s names %s, which no package of webhook/ makes", e.in, name)
			}
		}
	}
	if used == 0 || !made["xcpauth_webhook_decisions_total"] {
		t.Errorf("%d names are used; made are %v: is this the right place?", used, made)
	}
}

// TestEveryExpressionIsPromQL asks Prometheus's own parser.
func TestEveryExpressionIsPromQL(t *testing.T) {
	asked := append(expressions(t), expression{"a broken one", "sum(("})
	var in, out, errs bytes.Buffer
	for _, e := range asked {
		if err := json.NewEncoder(&in).Encode(e.expr); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", ".")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = filepath.Join("..", "test", "promql"), &in, &out, &errs
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	for answers := json.NewDecoder(&out); len(asked) > 0; asked = asked[1:] {
		var against string
		if err := answers.Decode(&against); err != nil {
			t.Fatal(err)
		}
		if broken := asked[0].in == "a broken one"; (against != "") != broken {
			t.Errorf("%s: %s\nthe parser says %q", asked[0].in, asked[0].expr, against)
		}
	}
}

func TestEveryAlertSaysHowBadItIsAndWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range readRules(t) {
		if seen[r.Alert] || r.Alert == "" {
			t.Errorf("alert %q is there twice, or has no name", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Annotations["runbook_url"] == "" ||
			len(r.Annotations) != 3 {
			t.Errorf("%s: %v", r.Alert, r.Annotations)
		}
	}
	for _, name := range []string{"XcpauthWebhookUnavailable", "XcpauthWebhookCertificateNotRenewed",
		"XcpauthEditsUndecided",
		"XcpauthOverrideUsed", "XcpauthReviewsNotFromTheAPIServer", "XcpauthMemberRefused", "XcpauthLiveReadsFailing",
		"XcpauthAuditStale", "XcpauthAuditorUnavailable", "XcpauthWebhookNotGuarding", "XcpauthMembersUnknown",
		"XcpauthLiveTokenNotRenewed"} {
		if !seen[name] {
			t.Errorf("alert %s is missing", name)
		}
	}
}

func TestPanelsFillTheDashboardAndDoNotOverlap(t *testing.T) {
	taken, ids := map[[2]int]string{}, map[int]bool{}
	bottom := 0
	for _, p := range readPanels(t) {
		if ids[p.ID] || (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %q: id %d, %d targets", p.Title, p.ID, len(p.Targets))
		}
		ids[p.ID] = true
		bottom = max(bottom, p.GridPos.Y+p.GridPos.H)
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is wider than the dashboard", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("panels %q and %q overlap", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for y := range bottom {
		for x := range 24 {
			if taken[[2]int{x, y}] == "" {
				t.Fatalf("there is a hole at column %d of line %d", x, y)
			}
		}
	}
}

// A title of a narrow panel is cut off on a laptop: 24 columns of about 33 pixels, of which a letter takes about 7.
func TestEveryPanelHasATitleThatFitsAndAUnit(t *testing.T) {
	for _, p := range readPanels(t) {
		if p.Title == "" || p.Type != "row" && p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("panel %d, %q, has the unit %q", p.ID, p.Title, p.FieldConfig.Defaults.Unit)
		}
		if room := p.GridPos.W*33 + (p.GridPos.W-1)*8 - 16; 7*len(p.Title) > room {
			t.Errorf("the title %q takes more than %d pixels", p.Title, room)
		}
		for _, target := range p.Targets {
			if strings.Contains(target.Expr, ") (increase(") {
				t.Errorf("panel %q does not count the first of a kind, before which there is no series: %s", p.Title, target.Expr)
			}
			if strings.Contains(target.Expr, "namespace=") {
				t.Errorf("panel %q is empty where another namespace is set: %s", p.Title, target.Expr)
			}
		}
	}
}

// TestEachDeploymentsPodsAreScraped: both programs have metrics, under a port of one name.
func TestEachDeploymentsPodsAreScraped(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("monitoring", "scrape.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var monitor struct {
		Spec struct {
			Selector            metav1.LabelSelector
			PodMetricsEndpoints []struct{ Port string }
		}
	}
	if err := yaml.Unmarshal(b, &monitor); err != nil {
		t.Fatal(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
	if err != nil || len(monitor.Spec.PodMetricsEndpoints) != 1 {
		t.Fatalf("%+v: %v", monitor, err)
	}
	for _, d := range objects[appsv1.Deployment](t, reviewed(t, "self-signed"), "Deployment") {
		ports := d.Spec.Template.Spec.Containers[0].Ports
		named := func(p corev1.ContainerPort) bool { return p.Name == monitor.Spec.PodMetricsEndpoints[0].Port }
		if !selector.Matches(labels.Set(d.Spec.Template.Labels)) || !slices.ContainsFunc(ports, named) {
			t.Errorf("the pods of %s are not scraped", d.Name)
		}
	}
}

func TestTheMonitoringComponentRenders(t *testing.T) {
	var kinds []string
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(renderDir(t, "monitoring"))))
	for {
		doc, err := docs.Read()
		if err != nil {
			break
		}
		var head struct {
			Kind     string
			Metadata struct{ Namespace string }
		}
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatal(err)
		}
		if head.Metadata.Namespace != "xcpauth-system" {
			t.Errorf("%s is in namespace %q", head.Kind, head.Metadata.Namespace)
		}
		kinds = append(kinds, head.Kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"ConfigMap", "PodMonitor", "PrometheusRule"}) {
		t.Errorf("kinds %q", kinds)
	}
}

// A figure that is bad is not green: each has a colour for what an alert is about.
func TestEachFigureOfTheDashboardHasThresholds(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("monitoring", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	type step struct {
		Color string
		Value *float64
	}
	var d struct {
		Panels []struct {
			Type, Title string
			FieldConfig struct {
				Defaults struct{ Thresholds struct{ Steps []step } }
			}
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	colour := func(title string, value float64) (is string) {
		for _, p := range d.Panels {
			for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
				if p.Title == title && (s.Value == nil || *s.Value <= value) {
					is = s.Color
				}
			}
		}
		return is
	}
	const day = 86400
	for _, tc := range []struct {
		title string
		value float64
		want  string
	}{
		{"Guarding", 0, "red"}, {"Guarding", 1, "green"},
		{"Replicas", 0, "red"}, {"Replicas", 1, "orange"}, {"Replicas", 2, "green"},
		{"Certificate ends in", day, "red"}, {"Certificate ends in", 8 * day, "orange"},
		{"Certificate ends in", 29 * day, "green"},
		{"Refused", 0, "green"}, {"Refused", 3, "red"},
		{"Unknown", 1, "orange"}, {"Last audit", 60, "green"}, {"Last audit", 4000, "red"},
		{"Overrides in 30 days", 1, "orange"},
	} {
		if got := colour(tc.title, tc.value); got != tc.want {
			t.Errorf("%s is %s at %v, want %s", tc.title, got, tc.value, tc.want)
		}
	}
	for _, p := range d.Panels {
		if p.Type == "stat" && len(p.FieldConfig.Defaults.Thresholds.Steps) < 2 {
			t.Errorf("%s has no thresholds", p.Title)
		}
	}
}
