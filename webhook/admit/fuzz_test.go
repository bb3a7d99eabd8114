package admit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/overlay"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// mayBeAdmitted is the rule once more, in other words, for the one fleet of the fuzz target: one member, which
// presents mTLS. A review may be admitted when its object is being deleted, when it adds no owner and the stanza of
// the new object surely accepts mTLS or what decides is written as before, when the old object surely did not accept
// mTLS, or when its user is the one who may override.
func mayBeAdmitted(r *admissionv1.AdmissionRequest) bool {
	var old, new map[string]any
	if json.Unmarshal(r.OldObject.Raw, &old) != nil && r.Operation != "CREATE" || json.Unmarshal(r.Object.Raw,
		&new) != nil && r.Operation != "DELETE" {
		return false
	}
	at := func(obj map[string]any, path ...string) any {
		var v any = obj
		for _, key := range path {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		return v
	}
	xcp := func(obj map[string]any) map[string]any {
		m, _ := at(obj, "spec", "components", "xcp").(map[string]any)
		return m
	}
	if stamp, _ := at(new, "metadata", "deletionTimestamp").(string); stamp != "" && r.Operation == "UPDATE" {
		return true
	}
	surely := func(obj map[string]any, mode, other string, want bool) bool {
		stanza, _ := xcp(obj)["centralAuthModes"].(map[string]any)
		if behindTheStanza(obj) != "" {
			return false
		}
		for key := range stanza {
			if key != "jwt" && key != "mutualTls" {
				return false
			}
		}
		value, written := stanza[mode]
		return value == want || !want && !written && stanza[other] == true
	}
	overridden := func(obj map[string]any) bool {
		digest, _ := at(obj, "metadata", "annotations", verdict.OverrideAnnotation).(string)
		return digest != "" && r.UserInfo.Username == "root"
	}
	if r.Operation == "DELETE" {
		stamp, _ := at(old, "metadata", "deletionTimestamp").(string)
		return stamp != "" || surely(old, "mutualTls", "jwt", false) || overridden(old)
	}
	if owners := at(new, "metadata", "ownerReferences"); r.Operation == "UPDATE" && owners != nil &&
		fmt.Sprint(owners) != fmt.Sprint(at(old, "metadata", "ownerReferences")) {
		// one more, or another; what is only in another order is harmless, and may be admitted too
		if list, _ := owners.([]any); len(list) > 0 {
			kept, _ := at(old, "metadata", "ownerReferences").([]any)
			return surely(old, "mutualTls", "jwt", false) || overridden(new) || len(kept) > 0
		}
	}
	if surely(new, "mutualTls", "jwt", true) {
		return true
	}
	if r.Operation == "UPDATE" {
		if surely(old, "mutualTls", "jwt", false) {
			return true
		}
		a, aThere := xcp(old)["centralAuthModes"]
		b, bThere := xcp(new)["centralAuthModes"]
		if aThere == bThere && fmt.Sprint(a) == fmt.Sprint(b) && behindTheStanza(old) == behindTheStanza(new) {
			return true
		}
	}
	return overridden(new)
}

// behindTheStanza is everything beside the stanza that may say what Central accepts, as text: what reaches
// authentication below kubeSpec, and the keys on the way that are there in another spelling.
func behindTheStanza(obj map[string]any) string {
	found := map[string]bool{}
	level, path := obj, ""
	for _, want := range [][]string{{"spec"}, {"components"}, {"xcp"}, {"centralAuthModes", "kubeSpec"}} {
		for key, value := range level {
			for _, w := range want {
				if key != w && overlay.Plain(key) == overlay.Plain(w) {
					found[fmt.Sprint(path, key, value)] = true
				}
			}
		}
		next, _ := level[want[0]].(map[string]any)
		if path += want[0] + "."; want[0] == "centralAuthModes" {
			break
		}
		if level = next; want[0] == "xcp" {
			for _, r := range overlay.Judge(level["kubeSpec"]) {
				found[r.ID] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), "\n")
}

// Whatever is sent is answered, in time, without a panic, and admitted only where the rule in other words would.
func FuzzAdmissionReview(f *testing.F) {
	for _, c := range cases.All() {
		object := func(xcp any) string {
			b, err := json.Marshal(map[string]any{"kind": "ManagementPlane", "metadata": map[string]any{"namespace": "tsb",
				"name": "mp", "uid": "uid-of-mp", "resourceVersion": "7"},
				"spec": map[string]any{"components": map[string]any{"xcp": xcp}}})
			if err != nil {
				f.Fatal(err)
			}
			return string(b)
		}
		for _, operation := range []string{"UPDATE", "CREATE", "DELETE"} {
			f.Add([]byte(fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","kind":{"group":"install.tetrate.io","version":"v1alpha1","kind":"ManagementPlane"},"namespace":"tsb","name":"mp","operation":%q,"userInfo":{"username":"root"},"oldObject":%s,"object":%s}}`,
				operation, object(c.Old), object(c.New))))
		}
	}
	f.Add([]byte(annotated(review("UPDATE", both, jwtOnly), "0123456789abcdef")))
	f.Add([]byte(strings.Replace(review("UPDATE", both, jwtOnly), `"annotations":`,
		`"deletionTimestamp":"2026-01-02T11:00:00Z","annotations":`, 2)))
	f.Add([]byte(review("UPDATE", both, strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000))))
	f.Add([]byte(review("UPDATE", both, `{"jwt":true,"mutualTls":false,"mutualTls":true}`)))
	f.Add([]byte("\ufeff" + review("UPDATE", both, "{\"mutualTls\u00a0\":true}")))
	server := admit.Serve(&admit.Handler{Read: edge, Stored: asStored, Clock: testclock.NewFakePassiveClock(noon),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "v1",
		MayOverride: func(_ context.Context, user authenticationv1.UserInfo, _, _ string) (bool, error) {
			return user.Username == "root", nil
		}}, admit.Limits{InFlight: 64})
	f.Fuzz(func(t *testing.T, body []byte) {
		panics := metric(t, "xcpauth_webhook_errors_total", "panic")
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, admit.Path,
			strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		server.ServeHTTP(w, r)
		if metric(t, "xcpauth_webhook_errors_total", "panic") != panics {
			t.Fatalf("a panic by %q", body)
		}
		var answer, sent admissionv1.AdmissionReview
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Response == nil || w.Code != http.StatusOK {
			t.Fatalf("no answer (%v): %d %s", err, w.Code, w.Body)
		}
		if !answer.Response.Allowed {
			return
		}
		if err := json.Unmarshal(body, &sent); err != nil || sent.Request == nil || sent.Request.UID != answer.Response.UID {
			t.Fatalf("admitted what is no review (%v): %q", err, body)
		}
		if !mayBeAdmitted(sent.Request) {
			t.Fatalf("admitted against the rule: %s", body)
		}
	})
}
