package webhookprobe

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
)

// guarded is the name of the webhook that is asked about edits.
const guarded = "managementplanes.webhook.xcpauth.io"

// Answer is what a probe showed.
type Answer string

// The answers.
const (
	Unknown Answer = "unknown"   // the probe itself was refused by somebody else: it shows nothing
	Asked   Answer = "asked"     // the webhook decided
	Unasked Answer = "not asked" // the edit went through, and nobody said that the webhook was asked
	Failed  Answer = "failed"    // the API server could not reach the webhook, and refused the edit for that
)

// Result is an answer with what it rests on.
type Result struct {
	Answer  Answer
	Allowed bool   // of Asked: what the webhook decided
	Version string // of Asked: the webhook's, "" where it did not say
	Says    string // the API server's words, "" where it admitted the edit
}

var asked = regexp.MustCompile(`^xcpauth-webhook (.+) was asked$`)

// judge tells from the error of the dry run and the warnings that came with it whether the webhook was asked. The
// warning shows it, even where something else refused the edit; a denial by its name does too; an edit that was
// admitted without the warning was not asked about.
func judge(err error, warnings []string) Result {
	r := Result{Answer: Unknown}
	if err != nil {
		r.Says = err.Error()
	}
	for _, w := range warnings {
		if m := asked.FindStringSubmatch(w); m != nil {
			r.Answer, r.Version = Asked, m[1]
		}
	}
	denied := strings.Contains(r.Says, fmt.Sprintf("admission webhook %q denied the request", guarded))
	var status apierrors.APIStatus
	switch {
	case r.Answer == Asked || denied:
		r.Answer, r.Allowed = Asked, !denied
	case err == nil:
		r.Answer = Unasked
	case errors.As(err, &status) && strings.Contains(r.Says, fmt.Sprintf("failed calling webhook %q", guarded)):
		r.Answer = Failed
	}
	return r
}

// Edit is a guarded edit of a ManagementPlane as a merge patch, with a sentence that says what it is. Both modes on is
// no such edit: the webhook is not asked about it. Where one mode alone is on, the other one is left out or written as
// off, which means the same and withdraws nothing; else mutual TLS goes off. Either way the object changes.
func Edit(mp map[string]any) (patch map[string]any, what string) {
	at := mp
	for _, key := range []string{"spec", "components", "xcp", "centralAuthModes"} {
		at, _ = at[key].(map[string]any)
	}
	modes, what := map[string]any{"jwt": true, "mutualTls": false}, "turning mutual TLS off"
	for on, off := range map[string]string{"jwt": "mutualTls", "mutualTls": "jwt"} {
		other, written := at[off]
		switch {
		case at[on] != true:
		case !written:
			modes, what = map[string]any{off: false}, "adding "+off+": false, "+changesNothing
		case other == false:
			modes, what = map[string]any{off: nil}, "removing "+off+": false, "+changesNothing
		}
	}
	xcp := map[string]any{"centralAuthModes": modes}
	return map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": xcp}}}, what
}

// changesNothing ends what is said of an edit that withdraws nothing.
const changesNothing = "which changes nothing that is accepted,"

// Configuration is a ValidatingWebhookConfiguration as far as it matters here.
type Configuration struct {
	Webhooks []Webhook `json:"webhooks"`
}

// Webhook is one entry.
type Webhook struct {
	Name         string `json:"name"`
	ClientConfig struct {
		CABundle []byte `json:"caBundle"`
	} `json:"clientConfig"`
	Rules []struct {
		APIGroups   []string `json:"apiGroups"`
		APIVersions []string `json:"apiVersions"`
		Resources   []string `json:"resources"`
		Operations  []string `json:"operations"`
	} `json:"rules"`
	FailurePolicy     string            `json:"failurePolicy"`
	MatchConditions   []json.RawMessage `json:"matchConditions"`
	ObjectSelector    map[string]any    `json:"objectSelector"`
	NamespaceSelector map[string]any    `json:"namespaceSelector"`
}

// Entry is what was found of one entry that is shipped.
type Entry struct {
	Name      string
	Installed bool
	Policy    string    // failurePolicy
	CAs       int       // certificates in its CA bundle
	Expires   time.Time // when the last of them does; zero without any
	Problems  []string  // how it differs from what is shipped, and what that does
}

// compare says of each entry that is shipped what was found of it, at a time.
func compare(shipped, found Configuration, now time.Time) []Entry {
	var entries []Entry
	for _, want := range shipped.Webhooks {
		e := Entry{Name: want.Name}
		i := slices.IndexFunc(found.Webhooks, func(w Webhook) bool { return w.Name == want.Name })
		if i < 0 {
			e.Problems = append(e.Problems, "it is not there, so what it is for is never asked about")
			entries = append(entries, e)
			continue
		}
		got := found.Webhooks[i]
		e.Installed, e.Policy = true, got.FailurePolicy
		e.Problems = differs(want, got)
		e.CAs, e.Expires = bundle(got.ClientConfig.CABundle)
		switch {
		case e.CAs == 0:
			e.Problems = append(e.Problems, "no CA bundle is published, so the API server trusts nobody who answers")
		case !now.Before(e.Expires):
			e.Problems = append(e.Problems, "every CA of its bundle has expired")
		}
		entries = append(entries, e)
	}
	return entries
}

// differs says how an entry differs from what is shipped.
func differs(want, got Webhook) []string {
	var found []string
	if got.FailurePolicy != want.FailurePolicy {
		found = append(found,
			fmt.Sprintf("failurePolicy is %s instead of %s: while nobody answers, dangerous edits go through",
				got.FailurePolicy, want.FailurePolicy))
	}
	if !reflect.DeepEqual(got.Rules, want.Rules) {
		found = append(found, "its rules are not those that are shipped: other edits are asked about")
	}
	if !sameConditions(want.MatchConditions, got.MatchConditions) {
		found = append(found, "its matchConditions are not those that are shipped: other edits are asked about")
	}
	if keys := enforced(got.NamespaceSelector); len(keys) > 0 {
		found = append(found, fmt.Sprintf("AKS added a selector: edits in a namespace with the label %s are not asked "+
			"about. "+
			"It comes back when it is removed, unless the configuration has the annotation %s: \"true\", as it is shipped "+
			"with; "+
			"apply it again as it is shipped", strings.Join(keys, " or "), optOut))
	} else if len(got.ObjectSelector) > 0 || len(got.NamespaceSelector) > 0 {
		found = append(found, "it has a selector: anyone who may set labels bypasses it")
	}
	return found
}

// optOut tells the admissions enforcer of AKS to leave a configuration alone (learn.microsoft.com/azure/aks/faq).
const optOut = "admissions.enforcer/disabled"

// enforced are the labels of a namespace for which the admissions enforcer of AKS adds a selector.
func enforced(selector map[string]any) []string {
	var keys []string
	expressions, _ := selector["matchExpressions"].([]any)
	for _, e := range expressions {
		requirement, _ := e.(map[string]any)
		key, _ := requirement["key"].(string)
		if (key == "control-plane" || strings.HasPrefix(key, "kubernetes.azure.com/")) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// sameConditions compares matchConditions by what they say.
func sameConditions(a, b []json.RawMessage) bool {
	return slices.EqualFunc(a, b, func(a, b json.RawMessage) bool {
		var x, y any
		return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
	})
}

// bundle counts the certificates of a CA bundle, and says when the last expires.
func bundle(text []byte) (n int, expires time.Time) {
	cas, _ := pki.Bundle(text) // one without a CA has none to count
	for _, ca := range cas {
		if ca.NotAfter.After(expires) {
			expires = ca.NotAfter
		}
	}
	return len(cas), expires
}

// ready counts, in a list of EndpointSlices, the endpoints that are ready.
func ready(list []byte) (int, error) {
	var slices struct {
		Items []struct {
			Endpoints []struct {
				Conditions struct {
					Ready *bool `json:"ready"`
				} `json:"conditions"`
			} `json:"endpoints"`
		} `json:"items"`
	}
	if err := json.Unmarshal(list, &slices); err != nil {
		return 0, err
	}
	n := 0
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready { // unset means ready
				n++
			}
		}
	}
	return n, nil
}
