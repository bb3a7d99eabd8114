package verdict

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// clocks are how far each is from the truth.
type clocks struct{ prover, hubThen, hubNow, webhook time.Duration }

// after is a statement that was seen and written at noon, and the decision from it when its age has passed in truth.
func (c clocks) after(age time.Duration, fenced, says bool) (Inventory, time.Time) {
	believed := roster.Believed
	seen := metav1.NewTime(noon.Add(c.prover))
	e := entry("eu-1", "uid-1", "jwt")
	if fenced {
		believed = roster.BelievedFenced
		e.Status.Fence = &api.FenceStatus{Binding: "xcpauth-fence", UID: "binding-1", ProvenTime: seen}
	}
	until, wrote := metav1.NewTime(seen.Add(believed)), metav1.NewTime(noon.Add(c.hubThen))
	e.Status.ObservedTime, e.Status.ValidUntil = &seen, &until
	inv := Inventory{Roster: []api.EdgeCluster{e}}
	if says {
		inv.Now = noon.Add(age + c.hubNow)
		inv.Roster[0].ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl-xcpauth", Subresource: "status",
			Time: &wrote, FieldsV1: metav1.NewFieldsV1(`{"f:status":{"f:observedTime":{},"f:presents":{}}}`)}}
	}
	return inv, noon.Add(age + c.webhook)
}

// Of three clocks any may be an hour off, either way: no statement is believed longer than it may be, but for the
// minute that clocks may always differ, and for as long as both of the hub's own clocks, its API server's and the
// webhook's, were set back together after it was written.
func TestNoClockLengthensTheLifeOfAStatement(t *testing.T) {
	hour := []time.Duration{-time.Hour, 0, time.Hour}
	minutes := []time.Duration{-60, -2, -1, 0, 1, 2, 14, 15, 16, 30, 59, 60, 61, 74, 75, 76, 90, 120, 134, 135, 136, 180}
	admitted, denied := 0, 0
	for _, fenced := range []bool{false, true} {
		longest := roster.Believed
		if fenced {
			longest = roster.BelievedFenced
		}
		for _, prover := range hour {
			for _, then := range hour {
				for _, now := range hour {
					for _, webhook := range hour {
						c := clocks{prover, then, now, webhook}
						for _, m := range minutes {
							for _, age := range []time.Duration{m * time.Minute, longest + m*time.Minute} {
								if age < 0 {
									continue
								}
								inv, at := c.after(age, fenced, true)
								v := ask(t, inv, at)
								if !v.Allowed {
									denied++
									if c == (clocks{}) && age < longest {
										t.Errorf("every clock is right, and after %s it is denied: %s", age, v.Message)
									}
									continue
								}
								admitted++
								if setBack := max(0, then-max(now, webhook)); age >= longest+time.Minute+setBack {
									t.Errorf("fenced %v, clocks %+v: believed after %s", fenced, c, age)
								}
							}
						}
					}
				}
			}
		}
	}
	if admitted == 0 || denied == 0 {
		t.Errorf("%d admitted, %d denied: this shows nothing", admitted, denied)
	}
	t.Logf("%d admitted, %d denied", admitted, denied)
}

func ask(t *testing.T, inv Inventory, now time.Time) Verdict {
	t.Helper()
	req := update(both, jwtOnly)
	req.Namespace, req.Name = "tsb", "managementplane"
	q, err := Ask(req)
	if err != nil {
		t.Fatal(err)
	}
	return q.Answer(inv, now)
}

func TestADenialForAClockNamesIt(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    clocks
		age  time.Duration
		deny string // "" = admitted
	}{
		{"all are right", clocks{}, time.Minute, ""},
		{"all are wrong alike", clocks{time.Hour, time.Hour, time.Hour, time.Hour}, time.Minute, ""},
		{"the webhook's is behind, within the time", clocks{prover: -time.Hour, hubThen: -time.Hour, hubNow: -time.Hour,
			webhook: -time.Hour}, time.Minute, ""},
		{"the webhook's is behind", clocks{webhook: -10 * time.Minute}, 20 * time.Minute,
			"too old to be believed by the API server's clock (2026-01-02T12:20:00Z), though not by the webhook's (2026-01-02T12:10:00Z): stated by ci@eu"},
		{"the API server's is ahead", clocks{hubNow: time.Hour}, time.Minute,
			"too old to be believed by the API server's clock"},
		{"the prover's is ahead", clocks{prover: time.Hour}, time.Minute, "seen later than now; a clock is wrong"},
		{"the prover's is ahead, an hour later", clocks{prover: time.Hour}, 61 * time.Minute,
			"seen later than it was written into the roster; a clock"},
		{"the hub's were behind when it was written, and still are", clocks{hubThen: -time.Hour, hubNow: -time.Hour,
			webhook: -time.Hour}, 61 * time.Minute, "seen later than it was written"},
		{"the prover's is behind", clocks{prover: -time.Hour}, time.Minute, "too old to be believed: stated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv, now := tc.c.after(tc.age, false, true)
			v := ask(t, inv, now)
			if v.Allowed != (tc.deny == "") || !strings.Contains(v.Message, tc.deny) {
				t.Errorf("allowed %v: %s\nwant a denial with %q", v.Allowed, v.Message, tc.deny)
			}
		})
	}
}

// An API server that says neither what time it is nor when a statement was written takes nothing away from what its
// times say.
func TestWithoutAnotherClockTheStatementsOwnTimesCount(t *testing.T) {
	for age, want := range map[time.Duration]bool{0: true, 14 * time.Minute: true, 15 * time.Minute: false} {
		inv, now := clocks{}.after(age, false, false)
		if v := ask(t, inv, now); v.Allowed != want {
			t.Errorf("after %s: allowed %v (%s)", age, v.Allowed, v.Message)
		}
	}
}

// A statement that only says to be old, new, eternal or of no time is believed by what it can be at most.
func TestTimesThatNobodyCanMeanAdmitNothing(t *testing.T) {
	far := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for i, times := range [][3]time.Time{{{}, far, {}}, {{}, {}, {}}, {far, far, far},
		{time.Unix(-1, 0), far, time.Unix(-1, 0)}, {time.Unix(0, 0), far, far}, {noon.AddDate(-1, 0, 0), far, far},
		{noon.AddDate(1, 0, 0), far, noon}} {
		for _, fenced := range []bool{false, true} {
			e := entry("eu-1", "uid-1", "jwt")
			seen, until := metav1.NewTime(times[0]), metav1.NewTime(times[1])
			if e.Status.ObservedTime, e.Status.ValidUntil = &seen, &until; fenced {
				e.Status.Fence = &api.FenceStatus{Binding: "xcpauth-fence", UID: "binding-1", ProvenTime: metav1.NewTime(times[2])}
			}
			if v := ask(t, Inventory{Roster: []api.EdgeCluster{e}}, noon); v.Allowed {
				t.Errorf("%d, fenced %v: admitted: %s", i, fenced, fmt.Sprint(times))
			}
		}
	}
}
