package verdict

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// annotated is a request whose objects carry the override annotation with these values, "" for none.
func annotated(req Request, before, now string) Request {
	for _, o := range []struct {
		obj   m
		value string
	}{{req.Old, before}, {req.New, now}} {
		if o.obj != nil && o.value != "" {
			o.obj["metadata"].(m)["annotations"] = m{OverrideAnnotation: o.value}
		}
	}
	return req
}

// asked reads a request, answers it, and settles an override with a permission.
func asked(t *testing.T, req Request, inv Inventory, p Permission) Verdict {
	t.Helper()
	req.Namespace, req.Name = "tsb", "managementplane"
	q, err := Ask(req)
	if err != nil {
		t.Fatal(err)
	}
	return q.Override(q.Answer(inv, noon), p)
}

var granted = Permission{User: "alice", Granted: true}

func TestAnOverrideIsForOneEditOverItsOwnBlockersByWhoMay(t *testing.T) {
	inv := fleet(cases.OnMTLS)
	digest := decide(t, update(both, jwtOnly), inv).Digest
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(digest) {
		t.Fatalf("digest %q", digest)
	}
	another := Inventory{Roster: append([]api.EdgeCluster{entry("eu-2", "uid-2", "mtls")}, inv.Roster...)}
	for _, tc := range []struct {
		name        string
		before, now string
		inv         Inventory
		p           Permission
		want        Override
		says        string
	}{
		{"brought, of these blockers, by who may", "", digest, inv, granted, Admitted, ""},
		{"brought over that of another override", "0123456789abcdef", digest, inv, granted, Admitted, ""},
		{"there before, so consumed", digest, digest, inv, granted, Stale, "was there before this edit"},
		{"there before and taken off", digest, "", inv, granted, NotAsked, ""},
		{"another's, there before", "0123456789abcdef", "0123456789abcdef", inv, granted, NotAsked, ""},
		{"of other blockers", "", "0123456789abcdef", inv, granted, Mismatch,
			"0123456789abcdef does not name these blockers"},
		{"a beginning of it", "", digest[:15], inv, granted, Mismatch, "does not name"},
		{"in capitals", "", strings.ToUpper(digest) + "A", inv, granted, Mismatch, "does not name"},
		{"with a space behind", "", digest + " ", inv, granted, Mismatch, "does not name"},
		{"a new blocker since", "", digest, another, granted, Mismatch, "does not name"},
		{"by who may not", "", digest, inv, Permission{User: "bob"}, Forbidden,
			"bob may not override this: the RBAC verb override on managementplanes.install.tetrate.io tsb/managementplane is needed"},
		{"it could not be asked", "", digest, inv, Permission{User: "bob", Err: errors.New("no route to host")}, Unknown,
			"could not be asked, so it is denied: no route to host"},
		{"it could not be asked and is said to be granted", "", digest, inv,
			Permission{User: "bob", Granted: true, Err: errors.New("no route")}, Unknown, "could not be asked"},
		{"nobody asked anything", "", "", inv, granted, NotAsked, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := asked(t, annotated(update(both, jwtOnly), tc.before, tc.now), tc.inv, tc.p)
			if v.Override != tc.want || v.Allowed != (tc.want == Admitted) || !strings.Contains(v.Message, tc.says) {
				t.Errorf("%s, allowed %v\n%s\nwant %s: %s", v.Override, v.Allowed, v.Message, tc.want, tc.says)
			}
			switch {
			case !v.Allowed && (v.Code != 403 || !strings.Contains(v.Message, "eu-1: mtls") || v.Decision != Denied):
				t.Errorf("still to be a denial that names the member: %+v", v)
			case v.Allowed && (v.Decision != Overridden || v.Message != "" || !strings.Contains(strings.Join(v.Warnings, "\n"),
				"- eu-1: mtls (stated by ci@eu")):
				t.Errorf("to be admitted with a warning that names the member: %+v", v)
			}
			if tc.want == Stale && !strings.Contains(v.Message,
				"kubectl annotate managementplane managementplane -n tsb xcpauth.io/override-") {
				t.Errorf("does not say how to take it off:\n%s", v.Message)
			}
		})
	}
}

func TestAClaimThatNobodySettlesIsADenial(t *testing.T) {
	inv := fleet(cases.OnMTLS)
	req := annotated(update(both, jwtOnly), "", decide(t, update(both, jwtOnly), inv).Digest)
	if v := decide(t, req, inv); v.Allowed || v.Override != Claimed || v.Code != 403 {
		t.Errorf("%+v", v)
	}
}

func TestTheDigestNamesTheBlockersAndNothingElse(t *testing.T) {
	of := func(req Request, inv Inventory) string { return decide(t, req, inv).Digest }
	base := of(update(both, jwtOnly), fleet(cases.OnMTLS))
	uid := func(req Request, uid string) Request {
		for _, o := range []m{req.Old, req.New} {
			if o != nil {
				o["metadata"].(m)["uid"] = uid
			}
		}
		return req
	}
	later := fleet(cases.OnMTLS)
	later.Roster[0].Status.Source = "another@eu"
	same := map[string]string{
		"another reason for the same blocker": of(update(both, jwtOnly), later),
		"another way to withdraw the same": of(update(both, stanza(m{"jwt": true, "mutualTls": "no"})),
			fleet(cases.OnMTLS)),
	}
	for name, got := range same {
		if got != base {
			t.Errorf("%s: %s, want %s", name, got, base)
		}
	}
	differs := map[string]string{
		"another member": of(update(both, jwtOnly), Inventory{Roster: []api.EdgeCluster{entry("eu-2",
			"uid-1", "mtls")}}),
		"another credential":    of(update(both, mtlsOnly), fleet(cases.OnJWT)),
		"more is withdrawn":     of(update(both, stanza(m{})), fleet(cases.OnMTLS)),
		"an object re-created":  of(uid(update(both, jwtOnly), "uid-of-now"), fleet(cases.OnMTLS)),
		"nobody stands against": of(update(both, jwtOnly), fleet(cases.OnJWT)),
		"a second of that name": of(update(both, jwtOnly), Inventory{Roster: append(fleet(cases.OnMTLS).Roster,
			entry("eu-1", "uid-2", "mtls"))}),
		"two that read like one": of(update(both, jwtOnly), Inventory{Roster: []api.EdgeCluster{entry(`eu-1" "mtls" "eu-1`,
			"uid-1", "mtls")}}),
		"it may present both now": of(update(both, stanza(m{})), Inventory{Roster: []api.EdgeCluster{entry("eu-1", "uid-1",
			"jwt", "mtls")}}),
	}
	seen := map[string]string{base: "the first"}
	for name, got := range differs {
		if other, twice := seen[got]; twice {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[got] = name
	}
	create := func(uid string) string {
		req := Request{Operation: Create, New: managementPlane(jwtOnly)}
		req.New["metadata"].(m)["uid"] = uid // a new one at each attempt
		return of(req, fleet(cases.OnMTLS))
	}
	if a, b := create("uid-a"), create("uid-b"); a != b || a == "" {
		t.Errorf("creating the same again has another digest: %s, %s", a, b)
	}
}

// The patch that a denial prints is the edit that was denied, and is admitted by it.
func TestThePatchThatADenialPrintsIsTheEditWithItsOverride(t *testing.T) {
	command := regexp.MustCompile(`(?m)^kubectl patch managementplane managementplane -n tsb --type=merge -p '(.*)'$`)
	printed := 0
	for _, c := range cases.All() {
		for _, edges := range []cases.Edges{cases.OnMTLS, cases.OnJWT, cases.Unknown} {
			if !c.Denied[edges] {
				continue
			}
			req := update(c.Old, c.New)
			v := decide(t, req, fleet(edges))
			match := command.FindStringSubmatch(v.Message)
			if match == nil {
				if !strings.Contains(v.Message, "makes this very edit with the annotation xcpauth.io/override="+v.Digest) {
					t.Errorf("%s: neither a patch nor the annotation:\n%s", c.Name, v.Message)
				}
				continue
			}
			printed++
			old, err := json.Marshal(req.Old)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := jsonpatch.MergePatch(old, []byte(match[1]))
			if err != nil {
				t.Fatalf("%s: %v\n%s", c.Name, err, match[1])
			}
			var edited m
			if err := json.Unmarshal(doc, &edited); err != nil {
				t.Fatal(err)
			}
			if v := asked(t, Request{Operation: Update, Old: req.Old, New: edited}, fleet(edges),
				granted); v.Override != Admitted {
				t.Errorf("%s: %s by\n%s\n%s", c.Name, v.Override, match[0], v.Message)
			}
		}
	}
	if printed < 40 {
		t.Errorf("only %d patches were printed", printed)
	}
}

func TestNoPatchIsPrintedThatDoesNotBelongOnACommandLine(t *testing.T) {
	for name, req := range map[string]Request{
		"a quote in a key":       update(both, stanza(m{"jwt": true, "x'; rm": true})),
		"an invisible character": update(both, stanza(m{"jwt": true, "mutualTls\u00a0": true})),
		"a stanza without end":   update(both, stanza(m{"jwt": strings.Repeat("x", 1000)})),
		"an overlay": update(both, m{"centralAuthModes": both["centralAuthModes"],
			"kubeSpec": m{"overlays": []any{m{"kind": "CentralXcp", "patches": []any{m{"path": "spec.centralAuthModes.mutualTls",
				"value": "secret"}}}}}}),
		"a creation": {Operation: Create, New: managementPlane(jwtOnly)},
	} {
		if v := decide(t, req, fleet(cases.Unknown)); v.Allowed || strings.Contains(v.Message, "kubectl patch") ||
			!strings.Contains(v.Message, v.Digest) {
			t.Errorf("%s: allowed %v\n%s", name, v.Allowed, v.Message)
		}
	}
	q, err := Ask(Request{Operation: Update, Namespace: "tsb", Name: "x; rm -rf", Old: managementPlane(both),
		New: managementPlane(jwtOnly)})
	if err != nil {
		t.Fatal(err)
	}
	if v := q.Answer(fleet(cases.OnMTLS), noon); strings.Contains(v.Message, "kubectl patch") {
		t.Errorf("an odd name on a command line:\n%s", v.Message)
	}
}

func TestADenialOfAnEditThatMakesTheStanzaPrintsThePatch(t *testing.T) {
	v := decide(t, update(nil, jwtOnly), fleet(cases.OnMTLS))
	if !strings.Contains(v.Message,
		`-p '{"metadata":{"annotations":{"xcpauth.io/override":"`+v.Digest+`"}},"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":true,"mutualTls":false}}}}}'`) {
		t.Errorf("%s", v.Message)
	}
}

func TestNothingUndecidedIsOverridden(t *testing.T) {
	v := Undecided(Request{Operation: Update, Namespace: "tsb", Name: "mp"}, 500,
		errors.New(strings.Repeat("roster unreadable ", 200)))
	if v.Digest != "" || v.Override != NotAsked || !strings.Contains(v.Message, "cannot be overridden") ||
		!strings.Contains(v.Message, "kubectl delete validatingwebhookconfiguration xcpauth-webhook") ||
		len(v.Message) > 1200 {
		t.Errorf("%d bytes: %s", len(v.Message), v.Message)
	}
	q, err := Ask(update(both, both))
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Override(v, granted); got.Allowed {
		t.Error("an undecided request was overridden")
	}
}

func TestWhatAnOverrideCutsOffIsNamedWithinTheLengthOfWarnings(t *testing.T) {
	var inv Inventory
	for i := range 13 {
		inv.Roster = append(inv.Roster, entry(strings.Repeat("e", 300)+string(rune('a'+i)), string(rune('a'+i)), "mtls"))
	}
	v := asked(t, annotated(update(both, jwtOnly), "", decide(t, update(both, jwtOnly), inv).Digest), inv, granted)
	if len(v.Warnings) != 12 || v.Warnings[11] != "- and 3 more" {
		t.Errorf("%d warnings, want one, ten and a count: %q", len(v.Warnings), v.Warnings)
	}
	for _, w := range v.Warnings {
		if utf8.RuneCountInString(w) > 256 || strings.Contains(w, "\n") {
			t.Errorf("%q", w)
		}
	}
}

func TestAuditAnnotationsAreBoundedAndOfOneLine(t *testing.T) {
	v := asked(t, annotated(update(both, jwtOnly), "", strings.Repeat("x\n", 5000)), fleet(cases.OnMTLS), granted)
	for key, value := range v.Audit("v1\n" + strings.Repeat("v", 500)) {
		if strings.ContainsAny(value, "\n\r") || len(value) > 100 {
			t.Errorf("%s: %q", key, value)
		}
	}
	if strings.Count(v.Message, "\n") != 4 || len(v.Message) > 1500 {
		t.Errorf("%d bytes:\n%s", len(v.Message), v.Message)
	}
}

func TestEveryDecisionSaysByWhichRuleAndFromWhichRoster(t *testing.T) {
	deleted := update(both, m{})
	deleted.New["metadata"].(m)["deletionTimestamp"] = "2026-01-02T11:00:00Z"
	for _, tc := range []struct {
		req    Request
		inv    Inventory
		rule   string
		roster bool
	}{
		{update(mtlsOnly, both), fleet(cases.OnMTLS), RuleNothing, false},
		{deleted, fleet(cases.OnMTLS), RuleDeleted, false},
		{Request{Operation: Delete, Old: managementPlane(both)}, fleet(cases.OnMTLS), RuleWithdraw, true},
		{Request{Operation: Delete, Old: managementPlane(both)}, Inventory{}, RuleNobody, true},
		{update(both, jwtOnly), Inventory{}, RuleNobody, true},
		{update(both, jwtOnly), fleet(cases.OnJWT), RuleWithdraw, true},
		{update(both, jwtOnly), fleet(cases.OnMTLS), RuleWithdraw, true},
	} {
		if v := decide(t, tc.req, tc.inv); v.Rule != tc.rule || (v.Roster != "") != tc.roster {
			t.Errorf("rule %s, roster %q; want %s and one: %v", v.Rule, v.Roster, tc.rule, tc.roster)
		}
	}
}
