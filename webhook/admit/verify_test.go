package admit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// Who is no API server learns whether an edit would be admitted, and nothing else: no member, no reason, no user, no
// digest. It leaves no Event and raises no metric but its own. An override that it claims is not looked at.
func TestAReviewThatIsNotAboutWhatIsStoredGetsNoDetailAndLeavesNoTrace(t *testing.T) {
	plain := review("UPDATE", both, jwtOnly)
	digest := serve(t, edge, noon, admit.Limits{}, nil).post(t, "", nil, plain).AuditAnnotations["digest"]
	if digest == "" {
		t.Fatal("the API server's own review gets no digest")
	}
	stored := func(uid, version string) func(context.Context, string, string) (verdict.Identity, error) {
		return func(context.Context, string, string) (verdict.Identity, error) {
			return verdict.Identity{UID: uid, ResourceVersion: version}, nil
		}
	}
	unread := func(context.Context, string, string) (verdict.Identity, error) {
		return verdict.Identity{}, errors.New("no route to host 10.0.0.1")
	}
	for name, tc := range map[string]struct {
		stored func(context.Context, string, string) (verdict.Identity, error)
		review string
		code   int32 // 0 = admitted
		why    string
		reads  bool // the inventory is read for it
	}{
		"another object of that name": {stored("uid-of-another", "7"), plain, http.StatusConflict, "not-stored",
			false},
		"an object that is not there": {stored("", ""), plain, http.StatusConflict, "not-stored", false},
		"a review that does not say of which": {asStored, strings.Replace(plain, `"uid":"uid-of-mp",`, "", 1),
			http.StatusConflict, "not-stored", false},
		"another edit came between": {stored("uid-of-mp", "8"), plain, http.StatusConflict, "overtaken", true},
		"it does not say at which version": {asStored, strings.Replace(plain, `"resourceVersion":"7",`, "", 1),
			http.StatusConflict, "overtaken", true},
		"what is stored cannot be read": {unread, plain, http.StatusInternalServerError, "unreadable", false},
		"created, and there is none": {stored("", ""), review("CREATE", "", jwtOnly), http.StatusForbidden,
			"create", true},
		"created, and there is one": {asStored, review("CREATE", "", jwtOnly), http.StatusConflict,
			"not-stored", false},
		"harmless, and of another object": {stored("uid-of-another", "7"), review("UPDATE", both, both), 0,
			"not-stored", false},
		"harmless, and another edit came between": {stored("uid-of-mp", "8"), review("UPDATE", both, both), 0, "overtaken",
			false},
		"harmless, and it cannot be read": {unread, review("UPDATE", both, both), 0, "unreadable", false},
		"malformed": {asStored, review("TOMORROW", both, both), http.StatusBadRequest,
			"malformed", false},
	} {
		for _, with := range []string{"", digest} {
			t.Run(name+" "+with, func(t *testing.T) {
				read, asked := false, false
				s := serve(t, func(ctx context.Context, ns string) (verdict.Inventory, error) {
					read = true
					return edge(ctx,
						ns)
				}, noon, admit.Limits{},
					func(h *admit.Handler) {
						h.Stored = tc.stored
						h.MayOverride = func(context.Context, authenticationv1.UserInfo, string, string) (bool, error) {
							asked = true
							return true, nil
						}
					})
				body := withoutDryRun(tc.review)
				if with != "" {
					body = annotated(body, with)
				}
				before, unverified := traces(t), metric(t, "xcpauth_webhook_unverified_reviews_total", tc.why)
				got := s.post(t, "", nil, body)
				if got.Allowed != (tc.code == 0) || tc.code != 0 && got.Result.Code != tc.code {
					t.Errorf("allowed %v: %+v, want code %d", got.Allowed, got.Result, tc.code)
				}
				if told := fmt.Sprintf("%+v %+v", *got, got.Result); strings.Contains(told, "edge-1") || strings.Contains(told,
					digest) || strings.Contains(told, "10.0.0.1") ||
					got.AuditAnnotations["digest"]+got.AuditAnnotations["roster"]+got.AuditAnnotations["override"] != "" {
					t.Errorf("detail: %s", told)
				}
				if after := traces(t); after != before || len(s.told) != 0 {
					t.Errorf("traces: %s, before %s; %d Events", after, before, len(s.told))
				}
				if n := metric(t, "xcpauth_webhook_unverified_reviews_total", tc.why) - unverified; n != 1 {
					t.Errorf("counted %v times as unverified (%s)", n, tc.why)
				}
				if read != tc.reads || asked {
					t.Errorf("the inventory was read: %v, want %v; the user's right was asked for: %v", read, tc.reads, asked)
				}
			})
		}
	}
}

// traces are the metrics on which an alert stands.
func traces(t *testing.T) string {
	t.Helper()
	s := fmt.Sprint(metric(t, "xcpauth_webhook_overrides_total", ""), metric(t, "xcpauth_webhook_errors_total",
		"unreadable"))
	for _, labels := range []string{"denied UPDATE", "overridden UPDATE", "error UPDATE", "denied CREATE", "error other"} {
		s += fmt.Sprint(" ", metric(t, "xcpauth_webhook_decisions_total", labels))
	}
	return s
}

// What is created is stored nowhere yet, so nothing can be compared: a denial says how it is created safely. Where
// callers show a certificate, it says all, and may be overridden.
func TestACreationIsDeniedInFullOnlyToAnAPIServerThatIsKnown(t *testing.T) {
	none := func(context.Context, string, string) (verdict.Identity, error) { return verdict.Identity{}, nil }
	for _, trusted := range []bool{false, true} {
		s := serve(t, edge, noon, admit.Limits{}, func(h *admit.Handler) {
			h.Stored, h.Trusted = none, trusted
			h.MayOverride = func(context.Context, authenticationv1.UserInfo, string, string) (bool, error) { return true, nil }
		})
		body := withoutDryRun(review("CREATE", "", jwtOnly))
		got := s.post(t, "", nil, body)
		if got.Allowed || strings.Contains(got.Result.Message, "edge-1") != trusted || strings.Contains(got.Result.Message,
			"Create it with both modes") == trusted {
			t.Errorf("trusted %v: %+v", trusted, got.Result)
		}
		if trusted && !s.post(t, "", nil, annotated(body, got.AuditAnnotations["digest"])).Allowed {
			t.Error("the override of one that is known is denied")
		}
		if len(s.told) != 0 {
			t.Error("an Event about a hub that does not exist")
		}
		if got := s.post(t, "", nil, withoutDryRun(review("CREATE", "", both))); !got.Allowed {
			t.Errorf("with both modes: %+v", got.Result)
		}
	}
}

// Creations that nobody verified have the members read one after another: they are no way to have every edge read many
// times at once.
func TestCreationsThatAreNotVerifiedAreReadForOneAtATime(t *testing.T) {
	held, read := newHold(t)
	s := serve(t, read, noon, admit.Limits{}, func(h *admit.Handler) {
		h.Stored = func(context.Context, string, string) (verdict.Identity, error) { return verdict.Identity{}, nil }
	})
	first := make(chan bool, 1)
	go func() { first <- s.post(t, "", nil, review("CREATE", "", jwtOnly)).Allowed }()
	<-held.called
	if got := s.post(t, "?timeout=1s", nil, review("CREATE", "", jwtOnly)); got.Allowed ||
		got.Result.Code != http.StatusInternalServerError {
		t.Errorf("a second one: %+v", got.Result)
	}
	close(held.let)
	if <-first {
		t.Error("the first is admitted")
	}
	if n := len(held.called); n != 0 {
		t.Errorf("the second one was read for: %d", n)
	}
}
