package webhookprobe

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

func said(code int32, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: "Failure", Code: code, Message: message}}
}

func TestWhatTheAnswerOfTheAPIServerShows(t *testing.T) {
	ours := []string{"something else", "xcpauth-webhook v0.3.0 was asked"}
	denied := said(403, `admission webhook "managementplanes.webhook.xcpauth.io" denied the request: edge-1: mtls`)
	other := said(403, `admission webhook "another.example.com" denied the request: no`)
	for _, tc := range []struct {
		name     string
		err      error
		warnings []string
		want     Result
	}{
		{"admitted, and it says that it was asked", nil, ours, Result{Answer: Asked, Allowed: true, Version: "v0.3.0"}},
		{"admitted in silence", nil, nil, Result{Answer: Unasked}},
		{"admitted with a warning of another", nil, []string{"xcpauth-webhook says hello"}, Result{Answer: Unasked}},
		{"denied by it", denied, ours, Result{Answer: Asked, Version: "v0.3.0"}},
		{"denied by an older one that does not warn", denied, nil, Result{Answer: Asked}},
		{"denied by another, and it was asked", other, ours, Result{Answer: Asked, Allowed: true, Version: "v0.3.0"}},
		{"denied by another, and nobody says that it was asked", other, nil, Result{Answer: Unknown}},
		{"it could not be called", said(500,
			`Internal error occurred: failed calling webhook "managementplanes.webhook.xcpauth.io": connection refused`), nil,
			Result{Answer: Failed}},
		{"another could not be called",
			said(500, `Internal error occurred: failed calling webhook "another.example.com": connection refused`), nil,
			Result{Answer: Unknown}},
		{"not allowed to patch", said(403, `managementplanes "mp" is forbidden: User "bob" cannot patch`), nil,
			Result{Answer: Unknown}},
		{"the API server did not answer", errors.New("connection refused"), nil, Result{Answer: Unknown}},
	} {
		if tc.err != nil {
			tc.want.Says = tc.err.Error()
		}
		if got := judge(tc.err, tc.warnings); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// The webhook is asked about what changes xcp: the edit does, whatever the object looks like, and withdraws nothing
// where that can be.
func TestTheEditChangesXCPAndWithdrawsOnlyWhereItMust(t *testing.T) {
	for _, c := range cases.All() {
		for _, xcp := range []map[string]any{c.Old, c.New} {
			mp := map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": xcp}}}
			old, err := json.Marshal(mp)
			if err != nil {
				t.Fatal(err)
			}
			edit, what := Edit(mp)
			patch, err := json.Marshal(edit)
			if err != nil {
				t.Fatal(err)
			}
			changed, err := jsonpatch.MergePatch(old, patch)
			if err != nil {
				t.Fatal(err)
			}
			if jsonpatch.Equal(old, changed) {
				t.Errorf("%s: %s changes nothing of %s", c.Name, patch, old)
			}
			var after map[string]any
			if err := json.Unmarshal(changed, &after); err != nil {
				t.Fatal(err)
			}
			was, _ := state.ReadHub(mp)
			is, odd := state.ReadHub(after)
			if gone := guard.Withdrawn(was, is); strings.HasSuffix(what, changesNothing) && len(gone) > 0 &&
				len(odd) == 0 {
				t.Errorf("%s: %s withdraws %v from %s", c.Name, patch, gone, old)
			}
		}
	}
}

func shipped(t *testing.T) Configuration {
	t.Helper()
	var c Configuration
	if err := yaml.Unmarshal(manifests.WebhookConfiguration, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHowAConfigurationDiffersFromWhatIsShipped(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		change func(*Configuration)
		want   []string // a piece of each problem
	}{
		"nothing but the CA": {func(*Configuration) {}, []string{"no CA bundle", "no CA bundle"}},
		"the first is not there": {func(c *Configuration) { c.Webhooks = c.Webhooks[1:] },
			[]string{"it is not there", "no CA bundle"}},
		"it fails open": {func(c *Configuration) { c.Webhooks[0].FailurePolicy = "Ignore" },
			[]string{"dangerous edits go through", "no CA bundle", "no CA bundle"}},
		"deletions fail open": {func(c *Configuration) { c.Webhooks[1].FailurePolicy = "Ignore" },
			[]string{"no CA bundle", "dangerous edits go through", "no CA bundle"}},
		"a condition is gone": {func(c *Configuration) { c.Webhooks[0].MatchConditions = c.Webhooks[0].MatchConditions[1:] },
			[]string{"matchConditions", "no CA bundle", "no CA bundle"}},
		"a condition says another": {func(c *Configuration) {
			c.Webhooks[0].MatchConditions[1] = json.RawMessage(`{"name":"changes-xcp","expression":"false"}`)
		}, []string{"matchConditions", "no CA bundle", "no CA bundle"}},
		"an operation is gone": {func(c *Configuration) { c.Webhooks[0].Rules[0].Operations = []string{"CREATE"} },
			[]string{"rules", "no CA bundle", "no CA bundle"}},
		"a selector": {func(c *Configuration) {
			c.Webhooks[0].ObjectSelector = map[string]any{"matchLabels": map[string]any{"a": "b"}}
		}, []string{"selector", "no CA bundle", "no CA bundle"}},
		"AKS's selector": {func(c *Configuration) {
			c.Webhooks[0].NamespaceSelector = map[string]any{"matchExpressions": []any{
				map[string]any{"key": "control-plane", "operator": "NotIn", "values": []any{"true"}},
				map[string]any{"key": "control-plane", "operator": "DoesNotExist"},
				map[string]any{"key": "kubernetes.azure.com/managedby", "operator": "NotIn", "values": []any{"aks"}}}}
		}, []string{`AKS added a selector: edits in a namespace with the label control-plane or ` +
			`kubernetes.azure.com/managedby are not asked about. ` +
			`It comes back when it is removed, unless the configuration has the annotation ` +
			`admissions.enforcer/disabled: "true"`, "no CA bundle", "no CA bundle"}},
		"an empty selector": {func(c *Configuration) { c.Webhooks[0].ObjectSelector = map[string]any{} },
			[]string{"no CA bundle", "no CA bundle"}},
		"a bundle of garbage": {func(c *Configuration) { c.Webhooks[0].ClientConfig.CABundle = []byte("x") },
			[]string{"no CA bundle", "no CA bundle"}},
	} {
		found := shipped(t)
		tc.change(&found)
		entries := compare(shipped(t), found, now)
		if len(entries) != 2 || entries[0].Name != guarded {
			t.Fatalf("%s: %+v", name, entries)
		}
		problems := append(append([]string{}, entries[0].Problems...), entries[1].Problems...)
		if len(problems) != len(tc.want) {
			t.Errorf("%s: %q, want %q", name, problems, tc.want)
			continue
		}
		for i, want := range tc.want {
			if !strings.Contains(problems[i], want) {
				t.Errorf("%s: %q, want %q", name, problems[i], want)
			}
		}
	}
}

// AKS leaves a configuration alone that says so: else it adds its selector again and again. Elsewhere the annotation
// means nothing.
func TestTheShippedConfigurationOptsOutOfAKSsEnforcer(t *testing.T) {
	for _, m := range [][]byte{manifests.SelfSigned, manifests.CertManager} {
		if want := "\n    " + optOut + ": \"true\"\n"; !strings.Contains(string(m), want) {
			t.Errorf("no configuration is applied with %q", want)
		}
	}
}

func TestReadyEndpointsAreCounted(t *testing.T) {
	n, err := ready([]byte(`{"items":[{"endpoints":[{"conditions":{"ready":true}},{"conditions":{"ready":false}}]},{"endpoints":[{"conditions":{}}]},{"endpoints":null}]}`))
	if n != 2 || err != nil {
		t.Errorf("%d, %v; want 2", n, err)
	}
	if _, err := ready([]byte("x")); err == nil {
		t.Error("no error for what is no list")
	}
}
