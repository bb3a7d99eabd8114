package kongmesh_test

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	oldInline = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	newInline = "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE"
	oldType   = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE"
	newType   = "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE"
)

var meshKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

// fleet is the objects of each cluster.
type fleet map[string][]apifake.Object

// facts is the state that a provider makes of a fleet at noon.
func (f fleet) facts(t *testing.T, d plan.Provider, skew map[string]time.Duration) plan.State {
	t.Helper()
	f2 := d.ReadState(f.snapshots(t, d, skew), plan.Selection{}, noon)
	if b, err := json.Marshal(f2); err != nil || strings.Contains(string(b), "eyJ") || strings.Contains(string(b), "MII") {
		t.Errorf("the facts hold a token or a key (%v)", err)
	}
	return f2
}

// snapshots are what an observer reads of the fleet at noon.
func (f fleet) snapshots(t *testing.T, d plan.Provider, skew map[string]time.Duration) []plan.Snapshot {
	t.Helper()
	var snaps []plan.Snapshot
	for context, objects := range f {
		h := apifake.Handler(slices.DeleteFunc(slices.Clone(objects), func(o apifake.Object) bool {
			return o["answers"] != nil
		})...)
		s := plan.Snapshot{Context: context, At: noon, Reads: map[plan.Read]plan.Result{}}
		if off, told := skew[context]; told {
			s.Skew = &off
		}
		for next := d.Reads(s.Reads, true); len(next) > 0; next = d.Reads(s.Reads, true) {
			for _, r := range next {
				if r.Asked != "" {
					s.Reads[r] = answered(objects, d, r)
					continue
				}
				path := r.Path()
				if r.Labels != "" {
					path += "?labelSelector=" + strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", ",", "%2C", "=",
						"%3D").Replace(r.Labels)
				}
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
				var err error
				if rec.Code != http.StatusOK {
					err = apierrors.NewNotFound(schema.GroupResource{Resource: r.Resource}, r.Name)
				}
				s.Reads[r] = observe.Result(d.Trim(r, rec.Body.Bytes()), err)
			}
		}
		snaps = append(snaps, s)
	}
	slices.SortFunc(snaps, func(a, b plan.Snapshot) int { return strings.Compare(a.Context, b.Context) })
	return snaps
}

// answer is what a global's own API answers to a path; Err is why it does not.
func answer(path, body string) apifake.Object { return apifake.Object{"answers": path, "body": body} }

func answered(objects []apifake.Object, d plan.Provider, r plan.Read) plan.Result {
	for _, o := range objects {
		if body, _ := o["body"].(string); o["answers"] == r.Asked {
			return plan.Result{Body: d.Trim(r, []byte(body))}.WithCache()
		}
	}
	return plan.Result{Err: "it was cut off"}
}

// key is the secret of a signing key.
func key(kid string) apifake.Object {
	return apifake.GlobalSecret(zonetoken.KeyName(kid), string(zonetoken.EncodeKey(meshKeys()[len(kid)%2])))
}

// token is a token of key 1 for a zone, and what is changed of it.
func token(t *testing.T, zone string, change func(*zonetoken.Grant, *time.Time)) string {
	t.Helper()
	g, at := zonetoken.Grant{Zone: zone, ValidFor: 720 * time.Hour, ID: "11111111-1111-4111-8111-111111111111",
		KeyID: "1"}, noon
	if change != nil {
		change(&g, &at)
	}
	s, _, err := zonetoken.Issue(g, meshKeys()[len(g.KeyID)%2], at)
	if err != nil {
		t.Fatal(err)
	}
	return string(s.Reveal())
}

// mesh is a global with key 1 and one zone, west, whose token is given.
func mesh(token string, global ...apifake.Object) fleet {
	f := fleet{"global": append(append([]apifake.Object{key("1")}, apifake.Global("2.13.10",
		map[string]bool{"west": token != ""})...), global...), "west": apifake.Zone("2.13.10", "west")}
	if token != "" {
		f["west"] = append(apifake.Zone("2.13.10", "west", apifake.SecretVariable(oldInline, "cp-token", "token")),
			apifake.TokenSecret("cp-token", token))
	}
	return f
}

func TestFactsOfAMesh(t *testing.T) {
	good := token(t, "west", nil)
	for _, tc := range []struct {
		name     string
		fleet    fleet
		none     guard.Tri // whether the global accepts none
		presents string    // of west
		state    plan.CredentialState
	}{
		{"no token, and nobody is authenticated", mesh(""), guard.Yes, "none", plan.CredentialMissing},
		{"a token", mesh(good), guard.Yes, "jti:11111111-1111-4111-8111-111111111111 kid:1", plan.CredentialReady},
		{"a token of another zone is none", mesh(token(t, "east", nil)), guard.Yes, "none", plan.CredentialBad},
		{"an expired one is none", mesh(token(t, "west", func(_ *zonetoken.Grant,
			at *time.Time) {
			*at = at.Add(-721 * time.Hour)
		})), guard.Yes, "none", plan.CredentialBad},
		{"a revoked one is none", mesh(good, apifake.GlobalSecret(zonetoken.RevocationsName,
			"x,11111111-1111-4111-8111-111111111111\n")), guard.Yes, "none", plan.CredentialBad},
		{"authentication on", fleet{"global": append([]apifake.Object{key("1")},
			apifake.Global("2.13.10", map[string]bool{"west": true}, apifake.Variable(oldType, "cpToken"))...),
			"west": mesh(good)["west"]}, guard.No, "jti:11111111-1111-4111-8111-111111111111 kid:1", plan.CredentialReady},
		{"by the new names", fleet{"global": append([]apifake.Object{key("1")},
			apifake.Global("2.14.6", map[string]bool{"west": true}, apifake.Variable(newType, "zoneToken"))...),
			"west": append(apifake.Zone("2.14.6", "west", apifake.SecretVariable(newInline, "cp-token", "token")),
				apifake.TokenSecret("cp-token", good))}, guard.No, "jti:11111111-1111-4111-8111-111111111111 kid:1",
			plan.CredentialReady},
		{"a name that the version does not read sets nothing", fleet{"global": append([]apifake.Object{key("1")},
			apifake.Global("2.13.10", map[string]bool{"west": true}, apifake.Variable(newType, "zoneToken"))...),
			"west": mesh(good)["west"]}, guard.Yes, "jti:11111111-1111-4111-8111-111111111111 kid:1", plan.CredentialReady},
		{"a secret that is not there is unknown", fleet{"global": mesh(good)["global"],
			"west": apifake.Zone("2.13.10", "west", apifake.SecretVariable(oldInline, "cp-token", "token"))}, guard.Yes, "",
			plan.CredentialMissing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tc.fleet.facts(t, kongmesh.Provider(), nil)
			m := f.Member("west")
			if !f.Hub.Found || m == nil {
				t.Fatalf("%+v", f)
			}
			var presents []string
			for _, c := range m.Evidence.Presents {
				presents = append(presents, string(c))
			}
			if f.Hub.Accepts.Accepts[state.None] != tc.none || strings.Join(presents, " ") != tc.presents ||
				m.Credential.State != tc.state {
				t.Errorf("it accepts none: %s; west presents %q (%s), its token is %s (%s)", f.Hub.Accepts.Accepts[state.None],
					presents, m.Evidence.Why, m.Credential.State, m.Credential.Why)
			}
		})
	}
}

// pkcs8 is a signing key in a form that the product does not read.
func pkcs8(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(meshKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func inNamespace(o apifake.Object, ns string) apifake.Object {
	o["metadata"].(apifake.Object)["namespace"] = ns
	return o
}

func ofType(o apifake.Object, kind string) apifake.Object { o["type"] = kind; return o }

// What would be refused, or break something, is found before anything is written.
func TestWhatIsWrongInAMeshIsFound(t *testing.T) {
	good := token(t, "west", nil)
	const id = "33333333-3333-4333-8333-333333333333"
	for _, tc := range []struct {
		name  string
		fleet fleet
		skew  map[string]time.Duration
		id    string // the name of its rule
		on    string // the hub or a zone
	}{
		{"a token of another zone", mesh(token(t, "east", nil)), nil, "token-zone", "west"},
		{"an expired token", mesh(token(t, "west",
			func(_ *zonetoken.Grant, at *time.Time) { *at = at.Add(-721 * time.Hour) })), nil, "token-expired", "west"},
		{"the global's clock is ten minutes behind", mesh(token(t, "west", nil)),
			map[string]time.Duration{"global": -10 * time.Minute}, "token-not-yet", "west"},
		{"a padded serial", mesh(good, key("0002")), nil, "key-padded", "hub"},
		{"a key in PKCS#8", mesh(good, apifake.GlobalSecret(zonetoken.KeyName("2"), pkcs8(t))), nil, "key-pkcs8", "hub"},
		{"spaces in the list", mesh(good, apifake.GlobalSecret(zonetoken.RevocationsName, "a, "+id)), nil,
			"revocations-spaces", "hub"},
		{"CRLF in the list", mesh(good, apifake.GlobalSecret(zonetoken.RevocationsName, id+"\r\n")), nil,
			"revocations-crlf", "hub"},
		{"the list in the wrong namespace", mesh(good, inNamespace(apifake.GlobalSecret(zonetoken.RevocationsName, id),
			zonetoken.KumaNamespace)), nil, "secret-misplaced", "hub"},
		{"the list of the wrong type", mesh(good, ofType(apifake.GlobalSecret(zonetoken.RevocationsName, id), "Opaque")), nil,
			"revocations-type", "hub"},
		{"a key of the wrong type", mesh(good, ofType(key("2"), "Opaque")), nil, "key-type", "hub"},
		{"values for production that leave the global open", fleet{"global": mesh(good)["global"],
			"west": append(apifake.Zone("2.13.10", "west", apifake.SecretVariable(oldInline, "cp-token", "token"),
				apifake.Variable(oldType, "cpToken")), apifake.TokenSecret("cp-token", good))}, nil, "zone-sets-global", "west"},
		{"a global that authenticates nobody", mesh(good), nil, "global-open", "hub"},
		{"a token that is not there", fleet{"global": mesh(good)["global"], "west": apifake.Zone("2.13.10", "west",
			apifake.SecretVariable(oldInline, "cp-token", "token"))}, nil, "token-missing", "west"},
		{"a zone that does not verify the global", fleet{"global": mesh(good)["global"],
			"west": apifake.Zone("2.13.10", "west", apifake.Variable("KUMA_MULTIZONE_ZONE_KDS_TLS_SKIP_VERIFY", "true"))}, nil,
			"zone-does-not-verify", "west"},
		{"variables on which 3.0 ends", fleet{"global": append([]apifake.Object{key("1")},
			apifake.Global("3.0.0", map[string]bool{"west": true}, apifake.Variable(oldType, "cpToken"))...),
			"west": apifake.Zone("3.0.0", "west")}, nil, "environment-exits", "hub"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ids := func(fl fleet) []string {
				f := fl.facts(t, kongmesh.CheckProvider(), tc.skew)
				in := f.Hub.Inspection
				if tc.on != "hub" {
					in = f.Member(tc.on).Inspection
				}
				var ids []string
				for _, r := range in.Findings {
					if ids = append(ids, r.Name); r.Found == "" || r.Name == tc.id && r.Severity != finding.Info && r.Remedy == "" {
						t.Errorf("%+v says too little", r)
					}
				}
				return ids
			}
			if got := ids(tc.fleet); !slices.Contains(got, tc.id) {
				t.Errorf("found %v, want %s", got, tc.id)
			}
			if healthy := (fleet{"global": append([]apifake.Object{key("1")}, apifake.Global("2.13.10",
				map[string]bool{"west": true}, apifake.Variable(oldType, "cpToken"))...),
				"west": mesh(good)["west"]}); tc.skew == nil {
				if got := ids(healthy); slices.Contains(got, tc.id) {
					t.Errorf("%s is found in a mesh that is as it should be", tc.id)
				}
			}
		})
	}
}

// Who may look at a mesh needs no right to look at anything of another product, and is not told that it lacks one.
func TestWhatIsUnreadOfAnotherProductIsNotSaid(t *testing.T) {
	for _, tc := range []struct {
		read plan.Read
		said bool
	}{
		{plan.Read{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "managementplanes"}, false},
		{plan.Read{Version: "v1", Resource: "secrets", Namespace: zonetoken.KumaNamespace, Name: zonetoken.RevocationsName},
			false},
		{plan.Read{Version: "v1", Resource: "secrets", Namespace: zonetoken.KongNamespace}, true},
		{plan.Read{Group: "kuma.io", Version: "v1alpha1", Resource: "zones"}, true},
	} {
		d := kongmesh.CheckProvider()
		facts := d.ReadState
		d.ReadState = func(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
			for i := range snaps {
				snaps[i].Reads[tc.read] = plan.Result{Err: "forbidden (403)"}
			}
			return facts(snaps, where, at)
		}
		all := mesh(token(t, "west", nil)).facts(t, d, nil).Contexts
		if said := slices.ContainsFunc(all, func(c plan.Context) bool { return len(c.Unread) > 0 }); said != tc.said {
			t.Errorf("%+v: said is %+v", tc.read, all)
		}
	}
}

// A zone may have connected this very moment, before the global has written down that it did.
func TestAZoneThatTheGlobalDoesNotListStandsInTheWay(t *testing.T) {
	for name, fl := range map[string]fleet{"without a token": mesh(""), "with one": mesh(token(t, "west", nil))} {
		fl["global"] = append([]apifake.Object{key("1"), {"apiVersion": "v1", "kind": "Namespace",
			"metadata": apifake.Object{"name": "xcpauth-system"}}}, apifake.Global("2.13.10", nil)...)
		d := kongmesh.Provider()
		f := fl.facts(t, d, nil)
		p := plan.Build(d, f, plan.Goal{Pace: plan.Pace{Within: time.Minute}})
		if p.Changes() != 0 || len(p.Obstacles) != 1 || p.Obstacles[0].Member != "west" ||
			!strings.Contains(p.Obstacles[0].Why, "does not list a zone") {
			t.Errorf("%s: %d changes, blocked %+v", name, p.Changes(), p.Obstacles)
		}
		if name == "without a token" {
			if stands := guard.Withdraw(f.Hub.Accepts, guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.None: guard.No}},
				f.GuardMembers(), noon); len(stands) == 0 {
				t.Error("nobody stands against turning authentication on")
			}
		}
	}
}

// A rotation that was begun is gone on with, and one that has ended is followed by another key.
func TestARotationAimsAtOneKeyUntilItHasEnded(t *testing.T) {
	hub := func(ended, past string, kids ...string) plan.State {
		f := plan.State{Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true}}}
		for i, kid := range kids {
			f.Hub.Keys = append(f.Hub.Keys, plan.Key{ID: kid, Serial: int(kid[0] - '0'), Signs: i == len(kids)-1})
		}
		if past != "" {
			f.Hub.History = []plan.WaveRecord{{Goal: "jwt-only", Result: "proved", Steps: []string{"reconnect"}},
				{Goal: past, Result: "proved"}, {Goal: past, Result: cmp.Or(ended, "begun"), Steps: []string{"reconnect"}},
				{Goal: "revocation"}}
		}
		return f
	}
	for _, tc := range []struct {
		name  string
		facts plan.State
		goal  plan.Goal
		to    guard.Cred
	}{
		{"no key", hub("", ""), plan.Goal{}, "kid:1"},
		{"no key, and a rotation", hub("", ""), plan.Goal{RotationTask: plan.RotationTask{Rotate: true}}, "kid:1"},
		{"one key", hub("", "", "1"), plan.Goal{}, "kid:1"},
		{"one key, and a rotation", hub("", "", "1"), plan.Goal{RotationTask: plan.RotationTask{Rotate: true}}, "kid:2"},
		{"two keys: a rotation goes on", hub("", "", "1", "2"), plan.Goal{RotationTask: plan.RotationTask{Rotate: true}},
			"kid:2"},
		{"the older keys are gone, and the end is not", hub("", "rotation to kid:2", "2"),
			plan.Goal{RotationTask: plan.RotationTask{Rotate: true}}, "kid:2"},
		{"it has ended", hub("proved", "rotation to kid:2", "2"),
			plan.Goal{RotationTask: plan.RotationTask{Rotate: true}}, "kid:3"},
		{"it has ended, and another was begun by hand", hub("proved", "rotation to kid:2", "2", "3"),
			plan.Goal{RotationTask: plan.RotationTask{Rotate: true}}, "kid:3"},
		{"a key that was named", hub("", "", "1", "2"), plan.Goal{RotationTask: plan.RotationTask{Rotate: true},
			To: "kid:7"}, "kid:7"},
		{"the way back has none", hub("", "", "1"), plan.Goal{RollbackTask: plan.RollbackTask{Back: true}}, ""},
	} {
		if got := kongmesh.Provider().Complete(tc.facts, tc.goal).To; got != tc.to {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.to)
		}
	}
}

// The global judges a token by its own clock: what it would not take yet, or any more, counts as none.
func TestATokenMustHoldByTheGlobalsClockToo(t *testing.T) {
	for off, want := range map[time.Duration]guard.Cred{0: state.Kid("1"), 10 * time.Second: state.Kid("1"),
		-10 * time.Minute: state.None, 721 * time.Hour: state.None} {
		f := mesh(token(t, "west", nil)).facts(t, kongmesh.Provider(), map[string]time.Duration{"global": off})
		if m := f.Member("west"); m.Declared != want || m.Evidence.Presents[0] != want &&
			!slices.Contains(m.Evidence.Presents, want) {
			t.Errorf("%s ahead: west presents %v (%s), want %s", off, m.Evidence.Presents, m.Credential.Why, want)
		}
	}
}

// Zone proxies outside of Kubernetes present tokens of the same keys, and nobody sees them.
func TestKeysAreNotRetiredUnderZoneProxiesThatAreNotSeen(t *testing.T) {
	handed := token(t, "vm", func(g *zonetoken.Grant, _ *time.Time) { g.KeyID = "22" })
	d := kongmesh.Provider()
	facts := d.ReadState
	d.ReadState = func(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
		where.Tokens = map[string]plan.Secret{"vm": plan.NewSecret([]byte(handed))}
		return facts(snaps, where, at)
	}
	fl := fleet{"global": append([]apifake.Object{key("1"), key("22"), {"apiVersion": "v1", "kind": "Namespace",
		"metadata": apifake.Object{"name": "xcpauth-system"}}}, apifake.Global("2.13.10", map[string]bool{"vm": true})...)}
	f := fl.facts(t, d, nil)
	goal := d.Complete(f, plan.Goal{RotationTask: plan.RotationTask{Rotate: true}, Pace: plan.Pace{Within: time.Minute}})
	if w := d.Next(f, goal); len(w.Steps) != 0 || len(w.Obstacles) != 1 ||
		!strings.Contains(w.Obstacles[0].Why, "--proxies-renewed") {
		t.Errorf("%+v", w)
	}
	goal.Others = true
	if w := d.Next(f, goal); len(w.Steps) != 1 || w.Steps[0].ID != "retire/1" {
		t.Errorf("%+v", w)
	}
}

// A canary that is named and cannot go says why, and which could.
func TestACanaryThatCannotGoSaysWhy(t *testing.T) {
	d := kongmesh.Provider()
	f := namespaced(mesh("")).facts(t, d, nil)
	for _, name := range []string{"mars", "east"} {
		blocked := name == "east"
		if blocked { // a zone that the global knows and no context leads to
			f.Members = append(f.Members, plan.Member{Identity: plan.Identity{Name: "east", ClusterName: "east",
				Role: plan.RoleEdge,
				Err:  "no context leads to it"}})
		}
		w := d.Next(f, d.Complete(f, plan.Goal{Pace: plan.Pace{Canary: name, Within: time.Minute}}))
		want := `no zone is called "mars", which is named as the canary; kubectl xcpauth status lists them`
		if blocked {
			want = "it is named as the canary, but it cannot be moved now: "
		}
		last := plan.Obstacle{}
		if len(w.Obstacles) > 0 {
			last = w.Obstacles[len(w.Obstacles)-1]
		}
		if len(w.Steps) > 0 || last.Member != name || !strings.HasPrefix(last.Why, want) ||
			!strings.HasSuffix(last.Why, "; name one that can be moved with --canary: west") {
			t.Errorf("%+v, %+v\nwant %s", w.Steps, last, want)
		}
	}
}

// BenchmarkZones makes the state of a global and its zones, each in a cluster of its own with a token to verify, and
// plans a rotation of all of them.
func BenchmarkZones(b *testing.B) {
	for _, zones := range []int{10, 100, 1000, 5000} {
		b.Run(fmt.Sprintf("members=%d", zones), func(b *testing.B) { benchmarkZones(b, zones) })
	}
}

func benchmarkZones(b *testing.B, zones int) {
	d := kongmesh.Provider()
	provided := map[string]bool{}
	var names []string
	for i := range zones {
		names = append(names, fmt.Sprintf("zone-%04d", i))
		provided[names[i]] = true
	}
	look := func(context string, objects []apifake.Object) plan.Snapshot {
		h := apifake.Handler(slices.DeleteFunc(slices.Clone(objects), func(o apifake.Object) bool {
			return o["answers"] != nil
		})...)
		s := plan.Snapshot{Context: context, At: noon, Reads: map[plan.Read]plan.Result{}}
		for next := d.Reads(s.Reads, true); len(next) > 0; next = d.Reads(s.Reads, true) {
			for _, r := range next {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, r.Path(), nil))
				if s.Reads[r] = (plan.Result{Missing: true}); rec.Code == http.StatusOK {
					s.Reads[r] = plan.Result{Body: d.Trim(r, rec.Body.Bytes())}
				}
			}
		}
		return s
	}
	global := append([]apifake.Object{key("1"), key("22"), {"apiVersion": "v1", "kind": "Namespace",
		"metadata": apifake.Object{"name": "xcpauth-system"}}}, apifake.Global("2.13.10", provided,
		apifake.Variable(oldType, "cpToken"))...)
	snaps := []plan.Snapshot{look("global", global)}
	for i, name := range names {
		g := zonetoken.Grant{Zone: name, ValidFor: 720 * time.Hour, ID: fmt.Sprintf("11111111-1111-4111-8111-%012d", i),
			KeyID: "1"}
		token, _, err := zonetoken.Issue(g, meshKeys()[1], noon)
		if err != nil {
			b.Fatal(err)
		}
		snaps = append(snaps, look(name, append(apifake.Zone("2.13.10", name,
			apifake.SecretVariable(oldInline, "cp-token", "token")), apifake.TokenSecret("cp-token", string(token.Reveal())))))
	}
	var f plan.State
	b.Run("facts", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, s := range snaps {
				for r, read := range s.Reads { // as a look leaves it: what is made of it is made once
					s.Reads[r] = plan.Result{Body: read.Body, Missing: read.Missing}.WithCache()
				}
			}
			if f = d.ReadState(snaps, plan.Selection{}, noon); len(f.Members) != zones ||
				f.Members[0].Credential.State != plan.CredentialReady {
				b.Fatalf("%d members, %+v", len(f.Members), f.Members[0].Credential)
			}
		}
	})
	b.Run("plan of a rotation", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if p := plan.Build(d, f, plan.Goal{RotationTask: plan.RotationTask{Rotate: true},
				Pace: plan.Pace{Within: time.Minute}}); p.Changes() < zones {
				b.Fatalf("%d changes", p.Changes())
			}
		}
	})
}
