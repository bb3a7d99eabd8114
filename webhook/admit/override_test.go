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
	"github.com/xcpauth/kubectl-xcpauth/webhook/events"
)

// withoutDryRun makes a review one that is not a dry run, and annotated one whose new object brings an override.
func withoutDryRun(review string) string {
	return strings.Replace(review, `"dryRun":true`, `"dryRun":false`, 1)
}

func annotated(review, digest string) string {
	at := strings.LastIndex(review, `"annotations":{`) + len(`"annotations":{`)
	return review[:at] + fmt.Sprintf(`"xcpauth.io/override":%q,`, digest) + review[at:]
}

func TestAnOverrideIsAskedForOnlyWhereItWouldCountAndIsTold(t *testing.T) {
	type answer struct {
		granted bool
		err     error
	}
	var reply answer
	var questions []string
	s := serve(t, edge, noon, admit.Limits{}, func(h *admit.Handler) {
		h.MayOverride = func(_ context.Context, user authenticationv1.UserInfo, ns, name string) (bool, error) {
			questions = append(questions, user.Username+" "+ns+"/"+name)
			return reply.granted, reply.err
		}
	})
	plain := review("UPDATE", both, jwtOnly)
	digest := s.post(t, "", nil, plain).AuditAnnotations["digest"]
	for _, tc := range []struct {
		name, body string
		reply      answer
		asks       bool
		allowed    bool
		audit      string
		reason     string // of the Event, "" without one
	}{
		{"no annotation", withoutDryRun(plain), answer{granted: true}, false, false, "", "WithdrawalDenied"},
		{"another digest", withoutDryRun(annotated(plain, "0123456789abcdef")), answer{granted: true}, false, false,
			"mismatch", "OverrideDenied"},
		{"granted", withoutDryRun(annotated(plain, digest)), answer{granted: true}, true, true, "admitted",
			"OverrideAdmitted"},
		{"granted in a dry run", annotated(plain, digest), answer{granted: true}, true, true, "admitted", ""},
		{"denied in a dry run", plain, answer{}, false, false, "", ""},
		{"not granted", withoutDryRun(annotated(plain, digest)), answer{}, true, false, "forbidden", "OverrideDenied"},
		{"not to be asked", withoutDryRun(annotated(plain, digest)), answer{err: errors.New("no route to host")}, true,
			false, "unknown", "OverrideDenied"},
		{"granted with an error", withoutDryRun(annotated(plain, digest)), answer{true, errors.New("no route to host")},
			true, false, "unknown", "OverrideDenied"},
		{"nothing is withdrawn", withoutDryRun(annotated(review("UPDATE", both, both), digest)), answer{granted: true},
			false, true, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply, questions = tc.reply, nil
			overrides, failures := metric(t, "xcpauth_webhook_overrides_total", ""),
				metric(t, "xcpauth_webhook_errors_total", "access-review")
			got := s.post(t, "", nil, tc.body)
			if got.Allowed != tc.allowed || got.AuditAnnotations["override"] != tc.audit {
				t.Errorf("allowed %v, override %q: %+v", got.Allowed, got.AuditAnnotations["override"], got.Result)
			}
			if tc.asks != (fmt.Sprint(questions) == "[alice tsb/mp]") || !tc.asks && questions != nil {
				t.Errorf("asked %q", questions)
			}
			told := events.Event{}
			select {
			case told = <-s.told:
			default:
			}
			if told.Reason != tc.reason || tc.reason != "" && (told.Namespace != "tsb" || told.Name != "mp" ||
				told.UID != "uid-of-mp" || told.APIVersion != "install.tetrate.io/v1alpha1" || told.Action != "Update" ||
				!strings.Contains(told.Note, "alice") || !strings.Contains(told.Note, "edge-1") ||
				!strings.Contains(told.Note, digest)) {
				t.Errorf("announced %+v", told)
			}
			if n := metric(t, "xcpauth_webhook_overrides_total", "") - overrides; n == 1 != (tc.reason == "OverrideAdmitted") {
				t.Errorf("%v overrides were counted", n)
			}
			if n := metric(t, "xcpauth_webhook_errors_total", "access-review") - failures; n == 1 != (tc.reply.err != nil) {
				t.Errorf("%v failed access reviews were counted", n)
			}
			if tc.audit == "admitted" && !strings.Contains(strings.Join(got.Warnings, "\n"), "- edge-1: mtls") {
				t.Errorf("the warnings do not name who is cut off: %q", got.Warnings)
			}
		})
	}
}

func TestAWebhookThatCannotAskOverridesNothing(t *testing.T) {
	s := serve(t, edge, noon, admit.Limits{}, nil)
	digest := s.review(t, "UPDATE", both, jwtOnly).AuditAnnotations["digest"]
	if got := s.post(t, "", nil, annotated(review("UPDATE", both, jwtOnly), digest)); got.Allowed ||
		got.Result.Code != http.StatusForbidden {
		t.Errorf("%+v", got)
	}
}
