package kongmesh_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

const cpNamespace, cpName = "kong-mesh-system", "kong-mesh-control-plane"

// object finds an object of a list by kind and the beginning of its name.
func object(objects []apifake.Object, kind, prefix string) apifake.Object {
	for _, o := range objects {
		if name, _ := o["metadata"].(apifake.Object)["name"].(string); o["kind"] == kind && strings.HasPrefix(name, prefix) {
			return o
		}
	}
	return nil
}

func meta(o apifake.Object) apifake.Object { return o["metadata"].(apifake.Object) }

// namespaced has the journal's namespace there, so that what is next is about the zones.
func namespaced(f fleet) fleet {
	f["global"] = append(f["global"], apifake.Object{"apiVersion": "v1", "kind": "Namespace",
		"metadata": apifake.Object{"name": "xcpauth-system"}})
	return f
}

// closes says whether authentication would be turned on now, and that the one rule lets it.
func closes(t *testing.T, f plan.State) bool {
	t.Helper()
	d := kongmesh.Provider()
	w := d.Next(f, d.Complete(f, plan.Goal{Pace: plan.Pace{Within: time.Minute}}))
	for _, s := range w.Steps {
		if s.ID == "close" {
			return len(guard.Withdraw(f.Hub.Accepts, *s.Withdraws, f.GuardMembers(), noon)) == 0
		}
	}
	return false
}

// Whatever may still present nothing, or another token than the one that lies there now, keeps authentication off.
func TestNothingIsTurnedOnOverWhatMayStillBePresented(t *testing.T) {
	good := token(t, "west", nil)
	made := func(f fleet, pod, secret time.Duration, immutable bool) fleet {
		meta(object(f["west"], "Pod", cpName))["creationTimestamp"] = noon.Add(pod).Format(time.RFC3339)
		s := object(f["west"], "Secret", "cp-token")
		meta(s)["creationTimestamp"], s["immutable"] = noon.Add(secret).Format(time.RFC3339), immutable
		return f
	}
	if !closes(t, namespaced(made(mesh(good), -time.Hour, -2*time.Hour, false)).facts(t, kongmesh.Provider(), nil)) {
		t.Fatal("authentication is not turned on for a zone that is ready")
	}
	if !closes(t, namespaced(made(mesh(good), -time.Hour, -time.Hour, true)).facts(t, kongmesh.Provider(), nil)) {
		t.Error("a secret that nobody can write again, made in the second of its pod, does not count")
	}
	released := func() fleet {
		f := mesh(good)
		pod := maps.Clone(object(apifake.Zone("2.13.10", "west"), "Pod", cpName)) // without a token
		pod["metadata"] = apifake.Object{"name": "released", "namespace": cpNamespace, "uid": "released"}
		f["west"] = append(f["west"], pod)
		return f
	}
	unnamed := func() fleet {
		f := mesh(good)
		other := apifake.Zone("2.13.10", "west")
		for _, kind := range []string{"Deployment", "Pod"} {
			spec := object(other, kind, cpName)["spec"].(apifake.Object)
			if kind == "Deployment" {
				spec = spec["template"].(apifake.Object)["spec"].(apifake.Object)
			}
			c := spec["containers"].([]any)[0].(apifake.Object)
			c["env"], c["envFrom"] = []any{}, []any{apifake.Object{"configMapRef": apifake.Object{"name": "x"}}}
		}
		other[0] = apifake.KubeSystem("west-2")
		f["west-2"] = other
		return f
	}
	for name, f := range map[string]fleet{
		"a secret that was written after its pod was made": made(mesh(good), -time.Hour,
			-10*time.Minute, false),
		"an immutable one that was made again": made(mesh(good), -time.Hour,
			-10*time.Minute, true),
		"one that was written in the same second":                         made(mesh(good), -time.Hour, -time.Hour, false),
		"a pod without a token that its ReplicaSet does not own any more": released(),
		"a control plane that does not say in plain what it is a zone of": unnamed(),
	} {
		if closes(t, namespaced(f).facts(t, kongmesh.Provider(), nil)) {
			t.Errorf("%s: authentication is turned on", name)
		}
	}
}

// A token that was provided counts for a session that began after it was issued.
func TestAHandedTokenDoesNotCountForAnOlderSession(t *testing.T) {
	d := kongmesh.Provider()
	facts := d.ReadState
	for name, tc := range map[string]struct {
		issued time.Time
		counts bool
	}{
		"issued before the session began": {time.Date(2026, 1, 2, 11, 0, 0, 0, time.UTC), true}, // see apifake.Global
		"issued after":                    {noon.Add(time.Minute), false},
	} {
		handed := token(t, "vm", func(_ *zonetoken.Grant, at *time.Time) { *at = tc.issued })
		d.ReadState = func(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
			where.Tokens = map[string]plan.Secret{"vm": plan.NewSecret([]byte(handed))}
			return facts(snaps, where, at.Add(time.Hour))
		}
		f := fleet{"global": append([]apifake.Object{key("1")}, apifake.Global("2.13.10",
			map[string]bool{"vm": true})...)}.facts(t, d, nil)
		if m := f.Member("vm"); (m.Err == "") != tc.counts {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// Cutting a zone off is for the tokens that were named: what the list was evidently meant to revoke is asked about
// all the same.
func TestCuttingOffRevokesNobodyElse(t *testing.T) {
	fl := namespaced(mesh(token(t, "west", nil), apifake.GlobalSecret(zonetoken.RevocationsName,
		"x, 11111111-1111-4111-8111-111111111111")))
	d := kongmesh.Provider()
	f := fl.facts(t, d, nil)
	w := d.Next(f, d.Complete(f, plan.Goal{RevocationTask: plan.RevocationTask{Revoke: []string{"99999999-9999-4999-8999-999999999999"}, CutOff: true}, Pace: plan.Pace{Within: time.Minute}}))
	if len(w.Steps) != 1 || w.Steps[0].Withdraws == nil || !strings.Contains(w.Steps[0].Why,
		"11111111-1111-4111-8111-111111111111") {
		t.Fatalf("%+v", w)
	}
	if stands := guard.Withdraw(f.Hub.Accepts, *w.Steps[0].Withdraws, f.GuardMembers(), noon); len(stands) != 1 ||
		stands[0].Member != "west" {
		t.Errorf("who stands against it: %v", stands)
	}
}

// A journal is an object that others can write: only what this provider writes itself is done for it, and leads to a
// credential that is good.
func TestAJournalCannotAskForAnythingElse(t *testing.T) {
	f := namespaced(mesh(token(t, "west", nil))).facts(t, kongmesh.Provider(), nil)
	west, d := f.Member("west"), kongmesh.Provider()
	env := func(container, name string, value, ref any) map[string]any {
		return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": container,
			"env": []any{map[string]any{"name": name, "value": value, "valueFrom": ref}}}}}}}}
	}
	with := func(values map[string]any, key string, value any) map[string]any {
		pod := values["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
		pod["containers"].([]any)[0].(map[string]any)["env"].([]any)[0].(map[string]any)[key] = value
		return values
	}
	secret := func(name string) any {
		return map[string]any{"secretKeyRef": map[string]any{"name": name, "key": "token"}}
	}
	patch := func(o plan.Ref, after map[string]any) plan.Write {
		return plan.Write{Context: "west", Object: o, ListsByName: true, Before: env("control-plane", oldInline, nil, nil),
			After: after}
	}
	other := west.Object
	other.Name, other.Namespace, other.UID = "shop", "prod", "anything"
	for _, tc := range []struct {
		name   string
		patch  plan.Write
		from   guard.Cred
		ok     bool
		yields guard.Cred
	}{
		{"its token", patch(west.Object, env("control-plane", oldInline, nil, secret("cp-token"))), "kid:1", true, "kid:1"},
		{"none", patch(west.Object, env("control-plane", oldInline, nil, nil)), "none", true, "none"},
		{"none, in place of a token", patch(west.Object, env("control-plane", oldInline, nil, nil)), "kid:1", true, "none"},
		{"a secret that is no token", patch(west.Object, env("control-plane", oldInline, nil, secret("db-admin"))),
			"kid:1", true, ""},
		{"another Deployment", patch(other, env("control-plane", oldInline, nil, secret("cp-token"))), "kid:1", false, ""},
		{"another container", patch(west.Object, env("sidecar", oldInline, nil, secret("cp-token"))), "kid:1", false, ""},
		{"another variable", patch(west.Object, env("control-plane", "KUMA_MODE", "global", nil)), "kid:1", false, ""},
		{"a token in plain", patch(west.Object, env("control-plane", oldInline, "eyJ", nil)), "kid:1", false, ""},
		{"a list that is not by name", plan.Write{Object: west.Object, After: env("control-plane", oldInline, nil, nil)},
			"none", false, ""},
		{"authentication turned on", plan.Write{Object: f.Hub.Object, ListsByName: true,
			Before: env("control-plane", oldType, nil, nil), After: env("control-plane", oldType, "cpToken", nil)}, "", false,
			""},
		{"a deletion", plan.Write{Object: west.Object, Op: plan.OpDelete}, "kid:1", false, ""},
		{"a directive of the patch", patch(west.Object, with(env("control-plane", oldInline, nil, secret("cp-token")),
			"$patch", "replace")), "kid:1", false, ""},
	} {
		if got := d.AllowsUndo(f, tc.patch, tc.from); got != tc.ok {
			t.Errorf("%s: restores %v, want %v", tc.name, got, tc.ok)
		}
		if tc.ok {
			if got, known := d.CredentialAfter(f, tc.patch); !known || got != tc.yields {
				t.Errorf("%s: it yields %q (known: %v), want %q", tc.name, got, known, tc.yields)
			}
		}
	}
}

// Two zones in one namespace have secrets of their own: neither is given the other's name, nor is the other's token
// left over.
func TestZonesOfOneNamespaceDoNotShareSecrets(t *testing.T) {
	f := fleet{"global": append([]apifake.Object{key("1")}, apifake.Global("2.13.10",
		map[string]bool{"west": true, "east": true})...)}
	both := apifake.Zone("2.13.10", "west", apifake.SecretVariable(oldInline, "xcpauth-zone-token-west-1", "token"))
	for _, o := range apifake.Zone("2.13.10", "east", apifake.SecretVariable(oldInline,
		"xcpauth-zone-token-east-4", "token"))[1:] {
		name := meta(o)["name"].(string)
		meta(o)["name"] = "east-" + name
		both = append(both, o)
	}
	f["both"] = append(both, apifake.TokenSecret("xcpauth-zone-token-west-1", token(t, "west", nil)),
		apifake.TokenSecret("xcpauth-zone-token-east-4", token(t, "east", nil)),
		apifake.TokenSecret("xcpauth-zone-token-east-3", token(t, "east", nil)))
	facts := f.facts(t, kongmesh.Provider(), nil)
	for zone, want := range map[string]string{"west": "xcpauth-zone-token-west-2", "east": "xcpauth-zone-token-east-5"} {
		m := facts.Member(zone)
		if m == nil || len(m.Credential.MissingSecrets) != 1 || m.Credential.MissingSecrets[0] != want {
			t.Fatalf("%s: %+v", zone, m)
		}
		var left []string
		for _, l := range m.Leftovers {
			left = append(left, l.Object.Name)
		}
		if got := strings.Join(left, ","); got != map[string]string{"east": "xcpauth-zone-token-east-3"}[zone] {
			t.Errorf("%s leaves %s", zone, got)
		}
	}
}

// What an object said before is kept in a ConfigMap that others can write: of that only what this provider changes is
// a way back.
func TestWhatIsKeptOfAnObjectCannotAskForAnythingElse(t *testing.T) {
	d := kongmesh.Provider()
	container := func(more string, value any) map[string]any {
		return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "control-plane", more: value}}}}}}
	}
	ref := map[string]any{"secretKeyRef": map[string]any{"name": "before", "key": "token"}}
	of := func(name string, value, from any) any {
		return map[string]any{"name": name, "value": value, "valueFrom": from}
	}
	wrote := func(global bool, original map[string]any) (any, string) {
		on := apifake.Global("2.13.10", map[string]bool{"west": true}, apifake.Variable(oldType, "cpToken"))
		fl := namespaced(fleet{"global": append([]apifake.Object{key("1")}, on...),
			"west": mesh(token(t, "west", nil))["west"]})
		fl["west"] = append(fl["west"], apifake.TokenSecret("before", token(t, "west", nil)))
		f := fl.facts(t, d, nil)
		object := f.Member("west").Object
		if global {
			object = f.Hub.Object
		}
		b, err := json.Marshal(map[string]any{object.UID: original})
		if err != nil {
			t.Fatal(err)
		}
		fl["global"] = append(fl["global"], apifake.Object{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": apifake.Object{"name": "xcpauth-journal", "namespace": "xcpauth-system"},
			"data":     apifake.Object{"originals": string(b)}})
		f = fl.facts(t, d, nil)
		w, said := d.Next(f, d.Complete(f, plan.Goal{RollbackTask: plan.RollbackTask{Back: true},
			Pace: plan.Pace{Within: time.Minute}})), ""
		for _, b := range w.Obstacles {
			said += b.Why
		}
		for _, s := range w.Steps {
			if len(s.Writes) > 0 {
				return s.Writes[0].After, said
			}
		}
		return nil, said
	}
	for _, tc := range []struct {
		name     string
		global   bool
		original map[string]any
		ok       bool
	}{
		{"its variables", false, container("env", []any{of(oldInline, nil, ref)}), true},
		{"another variable", false, container("env", []any{of(oldInline, nil, ref), of("LD_PRELOAD", "/tmp/x.so", nil)}),
			false},
		{"another variable from the secret", false, container("env", []any{of("KUMA_X", nil, ref)}), false},
		{"another container", false, map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "sidecar", "env": []any{of(oldInline, nil, ref)}}}}}}}, false},
		{"a token in plain", false, container("env", []any{of(oldInline, "abc", nil)}), false},
		{"its variable", true, container("env", []any{of(oldType, nil, nil)}), true},
		{"another variable", true, container("env", []any{of(oldType, nil, nil), of("LD_PRELOAD", "/tmp/x.so", nil)}), false},
		{"an image", true, container("image", "example.test/other:1"), false},
		{"replicas", true, map[string]any{"spec": map[string]any{"replicas": 0}}, false},
	} {
		if after, said := wrote(tc.global, tc.original); (after != nil) != tc.ok {
			t.Errorf("%s (of the global: %v): it writes %v; %s", tc.name, tc.global, after, said)
		} else if !tc.ok && !tc.global && said == "" {
			t.Errorf("%s (of the global: %v): nothing is said", tc.name, tc.global)
		}
	}
}

// A rotation is taken back while its key is the newest and the key that its zones go back to the one before: whoever
// planned that before another run changed the keys retires nothing.
func TestARotationIsTakenBackOnlyWhileItIsTheLast(t *testing.T) {
	d := kongmesh.Provider()
	for _, tc := range []struct {
		name    string
		keys    []string
		to      guard.Cred
		retires string
		says    string
	}{
		{"the last", []string{"1", "2"}, state.Kid("1"), "retire/2", ""},
		{"with gaps between the keys", []string{"1", "3", "7"}, state.Kid("3"), "retire/7", ""},
		{"taken back by another run", []string{"1"}, state.Kid("1"), "", ""},
		{"taken back by another run, and an older key there", []string{"1", "2"}, state.Kid("2"), "", ""},
		{"ended by another run", []string{"2"}, state.Kid("1"), "", "key 1 is not the one before the newest any more"},
		{"gone on with by another run", []string{"1", "2", "3"}, state.Kid("1"), "",
			"key 1 is not the one before the newest any more"},
	} {
		var more []apifake.Object
		for _, kid := range tc.keys {
			more = append(more, key(kid))
		}
		fl := namespaced(mesh(""))
		fl["global"] = append(fl["global"][1:], more...) // without mesh's own key
		f := fl.facts(t, d, nil)
		w := d.Next(f, d.Complete(f, plan.Goal{RollbackTask: plan.RollbackTask{Back: true},
			RotationTask: plan.RotationTask{Rotate: true}, To: tc.to, Pace: plan.Pace{Within: time.Minute}}))
		said, retires := "", ""
		for _, b := range w.Obstacles {
			said += b.Why
		}
		for _, s := range w.Steps {
			retires += s.ID
		}
		if retires != tc.retires || (said == "") != (tc.says == "") || !strings.Contains(said, tc.says) {
			t.Errorf("%s: it does %q, and says %q", tc.name, retires, said)
		}
	}
}

// untaken is what the way back of a rotation from key 1 to key 2 does with west, which has a token, and says; beside
// it lie others.
func untaken(t *testing.T, d plan.Provider, skew map[string]time.Duration, west string,
	beside ...string) (does, said string) {
	t.Helper()
	fl := namespaced(mesh(west, key("2")))
	for i, token := range beside {
		fl["west"] = append(fl["west"], apifake.TokenSecret(fmt.Sprintf("xcpauth-zone-token-west-%d", i+1), token))
	}
	f := fl.facts(t, d, skew)
	w := d.Next(f, d.Complete(f, plan.Goal{RollbackTask: plan.RollbackTask{Back: true},
		RotationTask: plan.RotationTask{Rotate: true}, Pace: plan.Pace{Within: time.Minute}}))
	for _, s := range w.Steps {
		if does += s.ID; s.Withdraws != nil && len(guard.Withdraw(f.Hub.Accepts, *s.Withdraws, f.GuardMembers(), noon)) > 0 {
			does = ""
		}
	}
	for _, b := range w.Obstacles {
		said += b.Why
	}
	return does, said
}

// ofKey is a token of west, of a key, which was issued a while before noon, for a time.
func ofKey(t *testing.T, kid string, before, life time.Duration) string {
	t.Helper()
	return token(t, "west", func(g *zonetoken.Grant, at *time.Time) {
		g.KeyID, g.ValidFor, *at = kid, life,
			noon.Add(-before)
	})
}

// A key is not retired while a token of it is good by the global's clock, whatever ours says.
func TestAKeyIsNotRetiredByAClockThatIsOff(t *testing.T) {
	for _, tc := range []struct {
		name   string
		issued time.Duration // before noon, by our clock
		life   time.Duration
		ahead  time.Duration // the global's clock
	}{
		{"expired by our clock, which is ahead", 2 * time.Hour, time.Hour, -90 * time.Minute},
		{"not valid yet by our clock, which is behind", -time.Hour, 720 * time.Hour, 90 * time.Minute},
	} {
		does, said := untaken(t, kongmesh.Provider(), map[string]time.Duration{"global": tc.ahead},
			ofKey(t, "2", tc.issued, tc.life))
		if strings.Contains(does, "retire") || said == "" {
			t.Errorf("%s: it does %q, and says %q", tc.name, does, said)
		}
	}
}

// A zone does not go back to a token that it cannot keep.
func TestARotationIsNotTakenBackToWhatExpiresSoon(t *testing.T) {
	d := kongmesh.Provider()
	soon, long := ofKey(t, "1", 719*time.Hour, 720*time.Hour), ofKey(t, "1", time.Hour, 720*time.Hour)
	for _, tc := range []struct {
		name, west string
		beside     []string
		does, says string
	}{
		{"to one that is good for long", ofKey(t, "2", time.Hour, 720*time.Hour), []string{long}, "return/west", ""},
		{"to one that expires soon", ofKey(t, "2", time.Hour, 720*time.Hour), []string{soon}, "", "pass --tokens-from=key"},
		{"to the one that does not", ofKey(t, "2", time.Hour, 720*time.Hour), []string{long, soon}, "return/west", ""},
		{"back already", long, nil, "retire/2", ""},
	} {
		if does, said := untaken(t, d, nil, tc.west, tc.beside...); does != tc.does || !strings.Contains(said, tc.says) ||
			(said == "") != (tc.says == "") {
			t.Errorf("%s: it does %q, and says %q", tc.name, does, said)
		}
	}
}

// A zone without a context that provides a token of the key before may have been started with one of the newest
// since: its session says nothing against that unless it is older than that key, or the token newer.
func TestAnOldTokenThatIsHandedOverDoesNotRetireTheNewestKey(t *testing.T) {
	d := kongmesh.Provider()
	facts := d.ReadState
	session := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) // see apifake.Global
	for _, tc := range []struct {
		name         string
		issued, made time.Duration // after the session began
		ok           bool
	}{
		{"issued and connected before the key was made", -2 * time.Hour, time.Hour, true},
		{"issued before the key was made, and connected after it", -2 * time.Hour, -time.Hour, false},
		{"issued after the key was made, and connected after that", -time.Hour, -2 * time.Hour, true},
		{"issued with the key, as far as seconds tell", -time.Hour, -time.Hour, false},
	} {
		handed := token(t, "vm", func(_ *zonetoken.Grant, at *time.Time) { *at = session.Add(tc.issued) })
		d.ReadState = func(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
			where.Tokens = map[string]plan.Secret{"vm": plan.NewSecret([]byte(handed))}
			return facts(snaps, where, at.Add(2*time.Hour))
		}
		second := key("2")
		meta(second)["creationTimestamp"] = session.Add(tc.made).Format(time.RFC3339)
		f := namespaced(fleet{"global": append([]apifake.Object{key("1"), second},
			apifake.Global("2.13.10", map[string]bool{"vm": true})...)}).facts(t, d, nil)
		w := d.Next(f, d.Complete(f, plan.Goal{RollbackTask: plan.RollbackTask{Back: true},
			RotationTask: plan.RotationTask{Rotate: true, Others: true}, Pace: plan.Pace{Within: time.Minute}}))
		if (len(w.Steps) > 0) != tc.ok || (len(w.Obstacles) == 0) != tc.ok {
			t.Errorf("%s: %v, %v", tc.name, w.Steps, w.Obstacles)
		}
	}
}

// What a zone presents is known by the key that verifies its token, not by what the token says of it.
func TestATokenIsOfTheKeyThatVerifiesIt(t *testing.T) {
	secret := []byte("an old key, of which the bytes sign")
	for _, tc := range []struct{ name, version, alg, kid, want string }{
		{"a padded kid, where it is a number", "2.0.5", "RS256", "01", "kid:1"},
		{"HS256, where the kid does not matter", "2.13.10", "HS256", "1", "kid:0"},
		{"as it is made", "2.13.10", "RS256", "1", "kid:1"},
	} {
		j := jwt.NewWithClaims(jwt.GetSigningMethod(tc.alg), jwt.MapClaims{"Zone": "west", "Scope": []string{"cp"},
			"jti": "11111111-1111-4111-8111-111111111111", "exp": noon.Add(time.Hour).Unix()})
		j.Header["kid"] = tc.kid
		var with any = meshKeys()[1]
		if tc.alg == "HS256" {
			with = secret
		}
		text, err := j.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		fl := fleet{"global": append([]apifake.Object{key("1"), apifake.GlobalSecret(zonetoken.KeyPrefix, string(secret))},
			apifake.Global(tc.version, map[string]bool{"west": true})...),
			"west": append(apifake.Zone(tc.version, "west", apifake.SecretVariable(oldInline, "cp-token", "token")),
				apifake.TokenSecret("cp-token", text))}
		if got := fl.facts(t, kongmesh.Provider(), nil).Member("west").Declared; string(got) != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// The history is an object that others can write: a rotation goes on with the kid in it when the product itself could
// have given it to the next key, or did to the newest.
func TestAHistoryCannotNameTheNextKey(t *testing.T) {
	d := kongmesh.Provider()
	for to, want := range map[string]guard.Cred{
		"kid:2": "kid:2", "kid:1": "kid:1", // made already
		"kid:007": "kid:2", "kid:+2": "kid:2", "kid:02": "kid:2", "kid:-3": "kid:2", "kid:": "kid:2",
		"kid:9223372036854775807": "kid:2", "kid:5": "kid:2", "kid:x": "kid:2",
	} {
		b, err := json.Marshal([]plan.WaveRecord{{Wave: "signing key", Goal: plan.RotationTo + to, Result: "begun"}})
		if err != nil {
			t.Fatal(err)
		}
		fl := namespaced(mesh(token(t, "west", nil)))
		fl["global"] = append(fl["global"], apifake.Object{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": apifake.Object{"name": "xcpauth-journal", "namespace": "xcpauth-system"},
			"data":     apifake.Object{"history": string(b)}})
		if got := d.Complete(fl.facts(t, d, nil), plan.Goal{RotationTask: plan.RotationTask{Rotate: true}}).To; got != want {
			t.Errorf("a rotation to %s was begun: it goes on to %s, want %s", to, got, want)
		}
	}
}

// A rollback is not done while it cannot be seen that a zone is back.
func TestARollbackIsNotDoneUnseen(t *testing.T) {
	d := kongmesh.Provider()
	f := namespaced(mesh(token(t, "west", nil))).facts(t, d, nil)
	west := f.Member("west")
	west.Original = west.DeclaredFields
	goal := d.Complete(f, plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, Pace: plan.Pace{Within: time.Minute}})
	if w := d.Next(f, goal); len(w.Steps)+len(w.Obstacles) > 0 {
		t.Fatalf("it is back, and seen so: %+v", w)
	}
	west.Workload.Err, west.Evidence.Presents, west.Evidence.Why = "its pods could not be listed", nil,
		"its pods could not be listed"
	if w := d.Next(f, goal); len(w.Obstacles) != 1 || w.Obstacles[0].Member != "west" ||
		w.Obstacles[0].Why != "its pods could not be listed" {
		t.Errorf("its pods are not seen: %+v", w)
	}
	west.Workload.Err, west.Evidence.Why = "", "pod a: secret b was written after the pod was made"
	if w := d.Next(f, goal); len(w.Steps) != 1 || w.Steps[0].ID != "prove/west" {
		t.Errorf("what a pod presents is not known: %+v", w)
	}
}
