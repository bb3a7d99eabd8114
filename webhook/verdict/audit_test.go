package verdict

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

func TestWhatTheAuditorFindsOfAMember(t *testing.T) {
	unset := managementPlane(nil)
	stale := entry("eu-1", "uid-1", "jwt")
	stale.Status.ValidUntil = &metav1.Time{Time: noon}
	void := entry("eu-1", "uid-1", "mtls")
	void.Status.ControlPlaneUID = "uid-0"
	for _, tc := range []struct {
		name    string
		mp      m
		entry   api.EdgeCluster
		status  metav1.ConditionStatus
		reason  string
		message string
	}{
		{"on jwt, both accepted", managementPlane(both), entry("eu-1", "uid-1", "jwt"), "True", ReasonAccepted,
			"ManagementPlane tsb/managementplane accepts all that it may present"},
		{"on jwt, jwt only", managementPlane(jwtOnly), entry("eu-1", "uid-1", "jwt"), "True", ReasonAccepted, "accepts all"},
		{"on mtls, jwt only", managementPlane(jwtOnly), entry("eu-1", "uid-1", "mtls"), "False", ReasonRefused,
			"does not accept mtls, which it may present (stated by ci@eu"},
		{"on both, jwt only", managementPlane(jwtOnly), entry("eu-1", "uid-1", "jwt", "mtls"), "False", ReasonRefused,
			"does not accept mtls"},
		{"on jwt, mtls only", managementPlane(mtlsOnly), entry("eu-1", "uid-1", "jwt"), "False", ReasonRefused,
			"does not accept jwt"},
		{"on mtls, the stanza is gone", unset, entry("eu-1", "uid-1", "mtls"), "False", ReasonNotSure,
			"does not say whether it accepts mtls"},
		{"on jwt, mtls misspelt", managementPlane(stanza(m{"jwt": true, "mutual_tls": true})), entry("eu-1", "uid-1", "jwt"),
			"False", ReasonNotSure, "does not say whether it accepts jwt"},
		{"nothing known, both accepted", managementPlane(both), fleet(cases.Unknown).Roster[0], "True",
			ReasonAccepted, "accepts all"},
		{"nothing known, jwt only", managementPlane(jwtOnly), fleet(cases.Unknown).Roster[0], "Unknown", ReasonNotKnown,
			"whether it presents that is not known: in the roster, but nothing is verified"},
		{"a statement that is over, jwt only", managementPlane(jwtOnly), stale, "Unknown", ReasonNotKnown,
			"valid until 2026-01-02T12:00:00Z, which is over"},
		{"a void statement is no reason to cry refused", managementPlane(jwtOnly), void, "Unknown",
			ReasonNotKnown, "re-created"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Audit(tc.mp, Inventory{Roster: []api.EdgeCluster{tc.entry}}, noon)
			if len(got) != 1 || got[0].Entry != "eu-1" || got[0].Status != tc.status || got[0].Reason != tc.reason ||
				!strings.Contains(got[0].Message, tc.message) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The auditor and the webhook are one rule: what a member stands against at a CREATE is what is found of it in the
// same object stored.
func TestTheAuditorFindsWhatCreatingWouldBeDeniedFor(t *testing.T) {
	for _, c := range cases.All() {
		for _, edges := range []cases.Edges{cases.OnMTLS, cases.OnJWT, cases.Unknown} {
			mp := managementPlane(c.New)
			denied := !decide(t, Request{Operation: Create, New: mp}, fleet(edges)).Allowed
			found := Audit(mp, fleet(edges), noon)
			want := metav1.ConditionTrue
			if denied {
				want = map[bool]metav1.ConditionStatus{true: metav1.ConditionUnknown,
					false: metav1.ConditionFalse}[edges == cases.Unknown]
			}
			if len(found) != 1 || found[0].Status != want {
				t.Errorf("%s with edges %s: denied %v, found %+v", c.Name, edges, denied, found)
			}
		}
	}
}

func TestMembersBesideTheRosterAreFoundAsUnknown(t *testing.T) {
	inv := Inventory{Roster: []api.EdgeCluster{entry("eu-1", "uid-1", "jwt")}, Clusters: []string{"us-1"},
		CentralErr: "no route"}
	var got []string
	for _, f := range Audit(managementPlane(jwtOnly), inv, noon) {
		got = append(got, fmt.Sprintf("%s/%s/%s", f.Member, f.Entry, f.Status))
	}
	if want := "any edge that Central's metrics would name//Unknown eu-1/eu-1/True us-1//Unknown"; strings.Join(got,
		" ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAHubThatIsBeingDeletedIsNotAudited(t *testing.T) {
	mp := managementPlane(jwtOnly)
	mp["metadata"].(m)["deletionTimestamp"] = "2026-01-02T11:00:00Z"
	if got := Audit(mp, fleet(cases.OnMTLS), noon); got != nil {
		t.Errorf("%+v", got)
	}
	if got := WithoutHub(fleet(cases.OnMTLS)); len(got) != 1 || got[0].Status != metav1.ConditionUnknown ||
		got[0].Entry != "eu-1" {
		t.Errorf("without a hub: %+v", got)
	}
}

func TestAMemberOfSeveralHubsIsAsSafeAsWithTheWorst(t *testing.T) {
	at := func(member string, status metav1.ConditionStatus, hub string) Finding {
		return Finding{Member: member, Status: status, Hub: hub}
	}
	got := Worst([]Finding{at("b", "True", "1"), at("a", "True", "1"), at("a", "False", "2"), at("b", "Unknown", "2"),
		at("a", "Unknown", "3")})
	if want := []Finding{at("a", "False", "2"), at("b", "Unknown", "2")}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
