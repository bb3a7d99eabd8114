package live

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// counted is what a counter with one label has counted so far.
func counted(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			if f.GetName() == name && metric.GetLabel()[0].GetValue() == label {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestADecisionIsOneBurstOnAConnectionThatIsKept(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	e.mode(true)
	h.register(e)
	d := h.decider(decisionTime)
	for range 5 {
		d.admits("on JWT")
	}
	if reads, connections := e.reads.Load(), e.connections.Load(); reads != 20 || connections != 1 {
		t.Errorf("%d reads on %d connections, want 4 for each of 5 decisions on 1", reads, connections)
	}
	h.store(e) // the same again, with another resourceVersion
	d.admits("with the same kubeconfig")
	e.change(func() { e.token = canary + ".second" })
	h.store(e)
	d.admits("with a new token")
	if connections := e.connections.Load(); connections != 2 {
		t.Errorf("%d connections, want a new one for a new kubeconfig alone", connections)
	}
}

// The ReplicaSets of an edge are read beside the rest where a pod does not tell whose it is, and decide.
func TestAPodThatDoesNotTellWhoseItIsHasTheReplicaSetsRead(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	e.mode(true)
	h.register(e)
	d := h.decider(decisionTime)
	e.change(func() { e.objects = tsbobjects.WithoutHash(e.objects) })
	d.admits("on JWT")
	if reads := e.reads.Load(); reads != 5 {
		t.Errorf("%d reads, want 5", reads)
	}
	e.answering(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/replicasets") {
			return false
		}
		apifake.Status(w, http.StatusForbidden, "Forbidden", "no right")
		return true
	})
	d.denies("ReplicaSets that may not be read", "replicasets")
}

func TestAHungEdgeIsNamedAndKeepsNobodyElse(t *testing.T) {
	h := startHub(t)
	var edges []*fakeEdge
	for i := range 20 {
		e := startEdge(t, fmt.Sprintf("edge-%02d", i))
		e.mode(true)
		h.register(e)
		edges = append(edges, e)
	}
	d := h.decider(decisionTime)
	d.admits("all on JWT")
	before := counted(t, "xcpauth_webhook_live_reads_total", string(edgereader.Timeout))
	for _, i := range []int{3, 17} {
		edges[i].answering(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	}
	v := d.decide()
	var blocked []string
	for _, b := range v.Blockers {
		blocked = append(blocked, b.Member)
		if !strings.Contains(b.Why, "did not answer within 1.8s") {
			t.Errorf("%s: %s", b.Member, b.Why)
		}
	}
	if !slices.Equal(blocked, []string{"edge-03", "edge-17"}) {
		t.Errorf("blocked by %v", blocked)
	}
	if n := counted(t, "xcpauth_webhook_live_reads_total", string(edgereader.Timeout)) - before; n != 2 {
		t.Errorf("%v timeouts are counted, want 2", n)
	}
}

func TestATokenThatIsReplacedMeanwhileIsTakenWithinTheDecision(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	e.mode(true)
	h.register(e)
	d := h.decider(decisionTime)
	d.admits("at first")
	e.answering(func(http.ResponseWriter, *http.Request) bool { // the decision has listed the Secrets by now
		if e.change(func() { e.token = canary + ".second" }); h.kubeconfig(e.name).Token.Reveal() != nil {
			h.store(e)
		}
		return false
	})
	d.admits("replaced while the decision reads")
}

func TestAnEdgeThatAsksToWaitIsAskedAgainIfThereIsTime(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	e.mode(true)
	h.register(e)
	var refused atomic.Int64
	e.answering(func(w http.ResponseWriter, _ *http.Request) bool {
		if refused.Add(1) > 5 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		apifake.Status(w, http.StatusTooManyRequests, "TooManyRequests", "wait")
		return true
	})
	h.decider(5 * time.Second).admits("refused once each")
	refused.Store(0)
	h.decider(time.Second).denies("without the time to wait", "429")
}

// What is stated of an edge that the hub can read is checked by reading it: an editor of entries cannot make the
// webhook look away.
func TestAStatementOfAnEdgeThatTheHubCanReadIsChecked(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	h.register(e)
	h.roster[0].Spec.Evidence = api.EvidenceStatement
	d := h.decider(decisionTime)
	e.mode(true)
	d.admits("its statement and its cluster say JWT")
	e.mode(false)
	d.denies("its cluster says otherwise", "eu: mtls (stated by a statement", "read in its cluster")
	e.mode(true)
	h.roster[0].Spec.ControlPlane.UID = "uid-of-another"
	d.denies("its ControlPlane is another", "could not be read")
	h.roster[0].Spec.ControlPlane.UID = "uid-eu-controlplane"
	e.answering(func(w http.ResponseWriter, _ *http.Request) bool {
		apifake.Status(w, http.StatusForbidden, "Forbidden", "no")
		return true
	})
	d.denies("its cluster cannot be read", "whose kubeconfig is in the hub, could not be read")
	h.put(e.name, nil, nil)
	d.admits("by its statement alone, as it is when the kubeconfig is gone")
}

// Where the kubeconfigs could not be listed it is not known whose statement could have been checked, and none counts.
// Who may not list them has none.
func TestNoStatementCountsWhereItIsNotKnownWhichCanBeChecked(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	h.register(e)
	h.roster[0].Spec.Evidence = api.EvidenceStatement
	e.mode(true)
	d := h.decider(decisionTime)
	for code, reason := range map[int]string{500: "InternalError", 503: "ServiceUnavailable", 403: "Forbidden"} {
		h.mu.Lock()
		h.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != secretsPath {
				return false
			}
			apifake.Status(w, code, reason, "no")
			return true
		}
		h.mu.Unlock()
		if code == 403 {
			d.admits("by its statement alone: who may list no kubeconfigs reads no edge")
		} else {
			d.denies(reason, "could not be read")
		}
	}
}

func TestOnlyEntriesThatCanBeReadAreReadAndNobodyElsesSecretIsUsed(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	h.register(e)
	h.roster[0].Spec.Evidence = ""
	d := h.decider(decisionTime)
	h.put(e.name, nil, nil)
	h.put("another", m{"kubeconfig": e.kubeconfig()}, nil)
	d.admits("by its statement alone")
	if e.reads.Load() != 0 {
		t.Error("an edge was read by the Secret of another")
	}
	h.put("another", nil, nil)
	h.store(e)
	h.roster[0].Spec.Evidence = "Oracle"
	d.denies("evidence of a kind that is not known", `evidence of a kind "Oracle"`)
	h.roster[0].Spec.Evidence = "Live"
	h.roster[0].Spec.ControlPlane.UID = ""
	d.denies("an entry without a ControlPlane", "names no ControlPlane")
}

func TestAMemberThatNobodyReadIsUnknown(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	h.register(e)
	now, until := metav1.Now(), metav1.NewTime(time.Now().Add(time.Minute)) // its statement is as good as one can be
	h.roster[0].Status = api.EdgeClusterStatus{Presents: []string{"jwt"}, ObservedTime: &now, ValidUntil: &until,
		ControlPlaneUID: h.roster[0].Spec.ControlPlane.UID}
	q, err := verdict.Ask(verdict.Request{Operation: verdict.Update, Old: managementPlane(true),
		New: managementPlane(false)})
	if err != nil {
		t.Fatal(err)
	}
	for name, inv := range map[string]verdict.Inventory{
		"not read": {Roster: h.roster},
		"not clear": {Roster: h.roster, Live: map[string]verdict.Reading{"eu": {At: time.Now(),
			Until: time.Now().Add(time.Hour), Why: "torn"}}},
		"long ago": {Roster: h.roster, Live: map[string]verdict.Reading{"eu": {Presents: []guard.Cred{"jwt"},
			At: time.Now().Add(-time.Hour), Until: time.Now().Add(-time.Hour)}}},
		"of another": {Roster: h.roster, Live: map[string]verdict.Reading{"us": {Presents: []guard.Cred{"jwt"},
			At: time.Now(), Until: time.Now().Add(time.Hour)}}},
	} {
		if v := q.Answer(inv, time.Now()); v.Allowed {
			t.Errorf("%s: admitted", name)
		}
	}
	h.roster[0].Spec.Evidence = api.EvidenceStatement
	if v := q.Answer(verdict.Inventory{Roster: h.roster}, time.Now()); !v.Allowed {
		t.Errorf("its statement would not have been enough either: %s", v.Message)
	}
}

// due are the annotations of a token that is past two thirds of its life.
func due() map[string]string {
	return edgereader.Token{Issued: time.Now().Add(-50 * time.Minute),
		Expires: time.Now().Add(10 * time.Minute)}.Annotations()
}

func TestTokensAreRenewedAtTwoThirdsByOneReplicaOrTheOther(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	e.mode(true)
	h.register(e)
	one, other := h.decider(decisionTime), h.decider(decisionTime)
	one.reader.Tend(t.Context())
	if e.issued != 0 {
		t.Fatal("a token was renewed long before its time")
	}
	for round := range 5 {
		h.put(e.name, m{"kubeconfig": e.kubeconfig()}, due())
		before := counted(t, "xcpauth_webhook_live_token_renewals_total", renewed)
		var tending sync.WaitGroup
		for _, d := range []*decider{one, other} {
			tending.Go(func() { d.reader.Tend(context.Background()) })
		}
		tending.Wait()
		if n := counted(t, "xcpauth_webhook_live_token_renewals_total", renewed) - before; n != 1 {
			t.Errorf("round %d: %v renewals were stored, want 1", round, n)
		}
		k := h.kubeconfig(e.name)
		if string(k.Token.Reveal()) == e.token || k.Server != "https://"+e.address || k.Namespace != "istio-system" {
			t.Errorf("round %d: the Secret holds what it held, or something else", round)
		}
		e.change(func() { e.token = string(k.Token.Reveal()) }) // the old one is over
		one.admits("with the new token")
		other.admits("with the new token")
	}
	for _, d := range []*decider{one, other} {
		if strings.Contains(d.log.String(), canary) {
			t.Error("a token is in the log")
		}
	}
}

func TestARenewalThatFailsLeavesTheTokenThatIsThere(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"forbidden":      func(w http.ResponseWriter) { apifake.Status(w, http.StatusForbidden, "Forbidden", canary) },
		"no token":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated); w.Write([]byte(`{"status":{}}`)) },
		"no TokenReview": func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated); w.Write([]byte("<html>")) },
		"a header": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusCreated)
			w.Write([]byte(`{"spec":{"expirationSeconds":3600},"status":{"token":"a\r\nX: y","expirationTimestamp":"2030-01-01T00:00:00Z"}}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, e := startHub(t), startEdge(t, "eu")
			e.mode(true)
			h.register(e)
			h.put(e.name, m{"kubeconfig": e.kubeconfig()}, due())
			e.answering(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				answer(w)
				return true
			})
			d := h.decider(decisionTime)
			d.reader.Tend(t.Context())
			d.admits("with the token that is there")
			if log := d.log.String(); !strings.Contains(log, "could not be renewed") || strings.Contains(log, canary) {
				t.Errorf("the log: %s", log)
			}
		})
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	h.register(e)
	d := h.decider(300 * time.Millisecond)
	d.denies("warm", "eu: mtls")
	before := runtime.NumGoroutine()
	for _, f := range faults() {
		if strings.HasPrefix(f.name, "R2") || strings.HasPrefix(f.name, "R3") ||
			strings.HasPrefix(f.name, "R4 another certificate") {
			heal := f.begin(t, h, e)
			for range 3 {
				d.denies(f.name)
			}
			heal()
		}
	}
	for range 20 { // a kubeconfig that keeps changing
		e.change(func() { e.token += "x" })
		h.store(e)
		d.denies("with another token")
	}
	d.reader.Close()
	h.server.CloseClientConnections()
	e.stop()
	e.serve(e.own)
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(20 * time.Millisecond)
	}
	if left := d.reader.held; left.Left() != heldBytes {
		t.Errorf("%d bytes are counted as held", heldBytes-left.Left())
	}
}
