package kongmesh_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// What is unreadable, missing or untold is unknown: never "no", never "no end", never "connected".

// claimed is a token of key 1 with claims as they are written here.
func claimed(t *testing.T, claims string) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, meshKeys()[1], crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(signature)
}

// What the product's own reader takes for the end of a token is its end, however it is written: authentication is not
// turned on over one that ends soon.
func TestTheEndOfATokenIsReadAsTheProductReadsIt(t *testing.T) {
	soon := noon.Add(90 * time.Second).Unix()
	far := noon.Add(90 * 24 * time.Hour).Unix()
	for _, tc := range []struct {
		name, exp string
		ends      time.Time
		turnsOn   bool
	}{
		{"a number", fmt.Sprintf(`,"exp":%d`, soon), time.Unix(soon, 0), false},
		{"a text", fmt.Sprintf(`,"exp":"%d"`, soon), time.Unix(soon, 0), false},
		{"a text with a fraction", fmt.Sprintf(`,"exp":"%d.5"`, soon), time.Unix(soon, 0), false},
		{"a text with an exponent", fmt.Sprintf(`,"exp":"%de0"`, soon), time.Unix(soon, 0), false},
		{"a text, far away", fmt.Sprintf(`,"exp":"%d"`, far), time.Unix(far, 0), true},
		{"none", ``, time.Time{}, true},
		{"null, which is none to that reader", `,"exp":null`, time.Time{}, true},
		{"a text that is no number", `,"exp":"tomorrow"`, time.Time{}, false},
		{"zero", `,"exp":0`, time.Time{}, false},
		{"true", `,"exp":true`, time.Time{}, false},
	} {
		text := claimed(t, fmt.Sprintf(`{"Zone":"west","Scope":["cp"],"jti":"11111111-1111-4111-8111-111111111111","nbf":%d%s}`, noon.Add(-time.Hour).Unix(), tc.exp))
		f := namespaced(mesh(text)).facts(t, kongmesh.Provider(), nil)
		if got := f.Member("west").Credential.Expires; !got.Equal(tc.ends) {
			t.Errorf("%s: it ends %v, want %v", tc.name, got, tc.ends)
		}
		if got := closes(t, f); got != tc.turnsOn {
			t.Errorf("%s: the next step turns authentication on: %v, want %v", tc.name, got, tc.turnsOn)
		}
	}
}

// sessions replaces what a global tells of west.
func sessions(objects []apifake.Object, all ...any) []apifake.Object {
	for _, o := range objects {
		if o["kind"] == "ZoneInsight" {
			o["spec"] = apifake.Object{"subscriptions": all}
		}
	}
	return objects
}

func session(id, instance string, began time.Time, provided bool) apifake.Object {
	o := apifake.Object{"id": id, "globalInstanceId": instance, "connectTime": began.Format(time.RFC3339Nano)}
	if provided {
		o["authTokenProvided"] = true
	}
	return o
}

// over is a session that was over at a time, as it is told.
func over(id, instance string, began time.Time, at string) apifake.Object {
	o := session(id, instance, began, true)
	o["disconnectTime"] = at
	return o
}

// started has the pod of a control plane made and its container started at times; a zero start leaves it waiting.
func started(objects []apifake.Object, made, since time.Time) []apifake.Object {
	for _, o := range objects {
		if o["kind"] != "Pod" {
			continue
		}
		meta(o)["creationTimestamp"] = made.Format(time.RFC3339)
		state, phase := apifake.Object{"running": apifake.Object{"startedAt": since.Format(time.RFC3339)}}, "Running"
		if since.IsZero() {
			state, phase = apifake.Object{"waiting": apifake.Object{"reason": "CreateContainerConfigError"}}, "Pending"
		}
		o["status"] = apifake.Object{"phase": phase, "conditions": []any{apifake.Object{"type": "Ready", "status": "True"}},
			"containerStatuses": []any{apifake.Object{"name": "control-plane", "state": state}, apifake.Object{"name": "sidecar",
				"state": apifake.Object{"running": apifake.Object{"startedAt": noon.Format(time.RFC3339)}}}}}
	}
	return objects
}

// A session that its process did not end, since it died, stays open in what the global tells. It is none.
func TestASessionOfAProcessThatDiedIsNone(t *testing.T) {
	const pod = "kong-mesh-control-plane-1-a"
	since := noon.Add(-10 * time.Minute)
	for _, tc := range []struct {
		name     string
		all      []any
		open     int
		unnamed  bool // the pod is on its node's network, so that its host's name is the node's
		unstated bool // nothing says when it was started
	}{
		{"of the process that runs", []any{session("a", pod+"-ab12", noon.Add(-time.Minute), true)}, 1, false, false},
		{"of that pod's process before", []any{session("a", pod+"-ab12", noon.Add(-time.Hour), true)}, 0, false, false},
		{"of a pod that is gone", []any{session("a", "kong-mesh-control-plane-0-z-ab12", noon.Add(-time.Minute), true)},
			0, false, false},
		{"older than each process, of nobody", []any{session("a", "", noon.Add(-time.Hour), true)}, 0, false, false},
		{"younger than each process, of nobody", []any{session("a", "", noon.Add(-time.Minute), true)}, 1, false, false},
		{"of another name, where processes are not called after pods", []any{session("a", "node-7-ab12",
			noon.Add(-time.Minute), true)}, 1, true, false},
		{"older than each process, where processes are not called after pods",
			[]any{session("a", "node-7-ab12", noon.Add(-time.Hour), true)}, 0, true, false},
		{"where the start is not known", []any{session("a", pod+"-ab12", noon.Add(-time.Hour), true)}, 1, false, true},
		{"which ended at a time that cannot be read", []any{over("a", pod+"-ab12", noon.Add(-time.Minute), "soon")},
			0, false, false},
		{"one dead, one alive", []any{session("a", "gone-ab12", noon.Add(-time.Minute), true),
			session("b", pod+"-ab12", noon.Add(-time.Minute), true)}, 1, false, false},
	} {
		global := started(sessions(mesh("")["global"], tc.all...), since, since)
		for _, o := range global {
			if o["kind"] == "Pod" && tc.unstated {
				o["status"] = apifake.Object{"phase": "Running"}
			}
			if o["kind"] == "Deployment" {
				o["spec"].(apifake.Object)["template"].(apifake.Object)["spec"].(apifake.Object)["hostNetwork"] = tc.unnamed
			}
		}
		f := fleet{"global": global, "west": mesh("")["west"]}.facts(t, kongmesh.Provider(), nil)
		open := slices.DeleteFunc(slices.Clone(f.Hub.Sessions["west"]),
			func(s plan.Session) bool { return !s.Ended.IsZero() })
		if len(open) != tc.open {
			t.Errorf("%s: %d open sessions, want %d: %+v", tc.name, len(open), tc.open, f.Hub.Sessions["west"])
		}
	}
}

// The clocks of two replicas do not order sessions: while one that brought no token is open, no zone counts as
// connected with one.
func TestSessionsOfTwoReplicasAreNotOrderedByTheirClocks(t *testing.T) {
	good := token(t, "west", nil)
	early, late := noon.Add(-2*time.Minute), noon.Add(-time.Minute)
	for name, tc := range map[string]struct {
		all  []any
		want bool
	}{
		"both brought one":           {[]any{session("a", "", early, true), session("b", "", late, true)}, true},
		"the later one brought none": {[]any{session("a", "", early, true), session("b", "", late, false)}, false},
		"the earlier brought none":   {[]any{session("a", "", early, false), session("b", "", late, true)}, false},
	} {
		fl := namespaced(mesh(good))
		fl["global"] = sessions(fl["global"], tc.all...)
		if got := closes(t, fl.facts(t, kongmesh.Provider(), nil)); got != tc.want {
			t.Errorf("%s: authentication is turned on: %v, want %v", name, got, tc.want)
		}
	}
}

// A global before 2.4 does not tell of tokens: that is said at once, and no proof is waited for that never comes.
func TestAGlobalThatDoesNotTellOfTokensIsNotWaitedFor(t *testing.T) {
	for version, want := range map[string]string{"2.2.9": "does not tell whether a zone brought a token",
		"2.3.4": "2.4.0 and later do", "2.4.0": "", "2.13.10": ""} {
		fl := namespaced(fleet{"global": append([]apifake.Object{key("1")}, apifake.Global(version,
			map[string]bool{"west": false})...),
			"west": append(apifake.Zone(version, "west", apifake.SecretVariable(oldInline, "cp-token", "token")),
				apifake.TokenSecret("cp-token", token(t, "west", nil)))})
		d := kongmesh.Provider()
		f := fl.facts(t, d, nil)
		p := plan.Build(d, f, d.Complete(f, plan.Goal{Pace: plan.Pace{Within: time.Minute}}))
		said := fmt.Sprint(p.Obstacles)
		if (want == "") != (len(p.Obstacles) == 0) || !strings.Contains(said, want) || want != "" && p.Changes() > 0 {
			t.Errorf("%s: blocked %s, %d changes; want %q", version, said, p.Changes(), want)
		}
		if p := plan.Build(d, f, d.Complete(f, plan.Goal{RollbackTask: plan.RollbackTask{Back: true},
			Pace: plan.Pace{Within: time.Minute}})); strings.Contains(fmt.Sprint(p.Obstacles), "does not tell") {
			t.Errorf("%s: a rollback waits for tokens: %v", version, p.Obstacles)
		}
	}
}

// What counts is when a pod's container was started, which is when it reads its token: a pod waits for its secret,
// and a container is started again in its place.
func TestAPodIsJudgedByTheStartOfItsContainer(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for _, tc := range []struct {
		name                    string
		podMade, started        time.Time
		secretMade, secretAgain time.Time
		immutable, known        bool
	}{
		{name: "started after the secret was made", podMade: at(-30), started: at(-30), secretMade: at(-40), known: true},
		{name: "made before the secret, and waited for it", podMade: at(-30), started: at(-10),
			secretMade: at(-20), known: true},
		{name: "made before the secret, and waits still", podMade: at(-30), secretMade: at(-20), known: true},
		{name: "started before the secret was made again", podMade: at(-30), started: at(-30), secretMade: at(-20)},
		{name: "started in the second in which the secret was made", podMade: at(-30), started: at(-20), secretMade: at(-20)},
		{name: "the same, of a secret that cannot have had another", podMade: at(-30), started: at(-20), secretMade: at(-20),
			immutable: true, known: true},
		{name: "started after the secret was written again", podMade: at(-30), started: at(-10), secretMade: at(-40),
			secretAgain: at(-20), known: true},
		{name: "started right after it was written again, from what the kubelet kept", podMade: at(-30), started: at(-19),
			secretMade: at(-40), secretAgain: at(-20)},
		{name: "started before it was written again", podMade: at(-30), started: at(-30), secretMade: at(-40),
			secretAgain: at(-20)},
	} {
		fl := mesh(token(t, "west", nil))
		started(fl["west"], tc.podMade, tc.started)
		secret := object(fl["west"], "Secret", "cp-token")
		meta(secret)["creationTimestamp"] = tc.secretMade.Format(time.RFC3339)
		if !tc.secretAgain.IsZero() {
			meta(secret)["managedFields"] = []any{apifake.Object{"manager": "x", "time": tc.secretAgain.Format(time.RFC3339),
				"fieldsType": "FieldsV1",
				"fieldsV1":   apifake.Object{"f:data": apifake.Object{"f:token": apifake.Object{}}}}}
		}
		secret["immutable"] = tc.immutable
		m := fl.facts(t, kongmesh.Provider(), nil).Member("west")
		if got := m.Evidence.Presents != nil; got != tc.known {
			t.Errorf("%s: known: %v, want %v: %s", tc.name, got, tc.known, m.Evidence.Why)
		}
	}
}

// A variable that is there twice is said, and nothing is changed: the kubelet takes the last, and a patch changes the
// first.
func TestAVariableThatIsThereTwiceIsLeftAlone(t *testing.T) {
	d := kongmesh.Provider()
	twice := func(name string) []any { return []any{apifake.Variable(name, "none"), apifake.Variable(name, "none")} }
	global := namespaced(fleet{"global": append([]apifake.Object{key("1")},
		apifake.Global("2.13.10", map[string]bool{"west": false}, twice(oldType)...)...),
		"west": apifake.Zone("2.13.10", "west")})
	zone := namespaced(fleet{"global": append([]apifake.Object{key("1")},
		apifake.Global("2.13.10", map[string]bool{"west": false})...),
		"west": apifake.Zone("2.13.10", "west", apifake.SecretVariable(oldInline, "a", "token"),
			apifake.SecretVariable(oldInline, "a", "token"))})
	for who, fl := range map[string]fleet{"hub": global, "west": zone} {
		f := fl.facts(t, d, nil)
		p := plan.Build(d, f, d.Complete(f, plan.Goal{Pace: plan.Pace{Within: time.Minute}}))
		if !slices.ContainsFunc(p.Obstacles, func(b plan.Obstacle) bool {
			return b.Member == who &&
				strings.Contains(b.Why, "2 times")
		}) {
			t.Errorf("%s: blocked %v", who, p.Obstacles)
		}
	}
}
