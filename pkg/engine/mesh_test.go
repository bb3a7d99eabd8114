package engine

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// mesh is a small model of a global control plane, its zones and everybody else, on the objects of which the real
// provider makes its facts: Deployments that roll out, pods with what they were started with, secrets, sessions of
// which the global tells late. It moves by chance whenever somebody pauses, and writes down every session that is
// refused.
type mesh struct {
	*mathrand.Rand
	meshSwitches
	ledger

	now       time.Time
	serial    int
	global    rollout
	keys      map[string]*signingKey // by the name of the secret
	made      map[string]string      // UIDs, by the same
	list      []byte                 // of revoked tokens; nil while its secret is not there
	zones     map[string]*zone
	told      map[string][]session // what the insights say
	home      Journal
	journal   string // home, as it is written down; "" when it never was
	namespace bool

	latest   map[string]plan.Snapshot // what this run saw last, by cluster
	answered map[place]plan.Result
	specs    map[*any]string // by the first variable of an environment
	issued   map[string]int  // how many tokens, by zone

	verified map[string]string // what was found out about tokens
	away     string            // a zone that cannot be reached for as long as goals change
	steady   bool              // every other zone is always reached
	apiOff   bool              // the global's own API does not answer
	mayNot   string            // the zone that the user of this run may only look at, "" when there is none

	writes, killAt, passed, cancelAt int
	changes                          int // writes of all runs
	cancel                           context.CancelFunc
	refused, log                     []string
}

// meshSwitches are what differs between versions and people.
type meshSwitches struct {
	version string
	// the global keeps its state in a store of its own, and its cluster's lists are empty
	universal bool
	memory    bool // that store does not last
	// a pod of the global dies now and then, and one that ends does not say that its sessions did
	crashes bool
	// a zone whose session lasts is authenticated again now and then, which ends the session when it is refused
	checksHealth   bool
	backsOff       bool            // a zone whose session ended waits before it connects again
	strangers      bool            // somebody else takes tokens away from zones, and restarts things
	hadTokens      bool            // zones had tokens before, in secrets of their own
	stuck          map[string]bool // zones whose pods cannot connect once they were given another token
	lateSessions   bool
	keyless        bool // the global has no key at first
	manyProcesses  bool
	authenticating bool
}

// rollout is a Deployment and its pods.
type rollout struct {
	uid      string
	env      []any
	restart  string
	version  int64 // generation
	replicas int
	pods     []*meshPod
}

type meshPod struct {
	name, uid      string
	made, since    time.Time
	of             int64 // the generation of its template
	env            []any
	token          []byte // that it was started with
	started, ready bool
	waiting        string
	ending         bool
	crashes        int      // how often it died and was started again
	session        *session // of a zone's leader
}

// session is a stream between a zone's pod and a pod of the global.
type session struct {
	id       string
	began    time.Time
	ended    time.Time
	provided bool
	at       *meshPod // of the global
	life     int      // of that pod
	gone     bool     // really over, whatever is told
}

type zone struct {
	rollout
	name      string
	secrets   map[string]tokenSecret
	sessions  []*session
	retry     time.Time // not before this does it connect again
	reachable bool
}

type tokenSecret struct {
	uid       string
	token     []byte
	written   time.Time
	immutable bool
	encoded   string // the token, as an object has it
}

func newSecret(uid string, token []byte, written time.Time, immutable bool) tokenSecret {
	return tokenSecret{uid, token, written, immutable, base64.StdEncoding.EncodeToString(token)}
}

// signingKey is a key and the value of its secret.
type signingKey struct {
	*rsa.PrivateKey
	value   []byte
	encoded string // the value, as an object has it
}

// signing is a pool of keys for all runs: they take long to make.
var signing = sync.OnceValue(func() []*signingKey {
	var keys []*signingKey
	for range 8 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		value := zonetoken.EncodeKey(k)
		keys = append(keys, &signingKey{k, value, base64.StdEncoding.EncodeToString(value)})
	}
	return keys
})

// grant is all that a token rests on, and named a key under a name.
type (
	grant struct {
		zonetoken.Grant
		key *signingKey
		at  time.Time
	}
	named struct {
		name string
		key  *signingKey
	}
)

// signed are the tokens of all runs, and known their keys as they are read: both take long to make, and are the same
// each time.
var signed, known sync.Map

const (
	oldType, oldOn, oldInline = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "cpToken",
		"KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	newType, newOn, newInline = "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "zoneToken",
		"KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE"
)

// newMesh is a mesh whose global keeps its state in Kubernetes; anyMesh is one that may keep it elsewhere.
func newMesh(seed uint64) *mesh { return makeMesh(seed, false) }
func anyMesh(seed uint64) *mesh { return makeMesh(seed, true) }

func makeMesh(seed uint64, elsewhere bool) *mesh {
	w := &mesh{Rand: mathrand.New(mathrand.NewPCG(seed, 2)), now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
		keys: map[string]*signingKey{}, made: map[string]string{}, zones: map[string]*zone{}, told: map[string][]session{},
		verified: map[string]string{}, answered: map[place]plan.Result{}, specs: map[*any]string{}, issued: map[string]int{}}
	w.version = []string{"2.11.0", "2.14.5", "2.14.6", "3.0.0"}[w.IntN(4)]
	w.crashes, w.strangers, w.hadTokens, w.lateSessions, w.manyProcesses = w.chance(3), w.chance(3), w.chance(3),
		w.chance(2), w.chance(3)
	w.keyless = !w.hadTokens && w.chance(6)
	w.authenticating = w.hadTokens && w.chance(2)
	w.checksHealth = w.chance(2)
	w.backsOff, w.universal = w.chance(3), elsewhere && (w.chance(16) || w.version == "3.0.0")
	if w.version == "3.0.0" && !w.universal {
		w.version = "2.14.6"
	}
	w.stuck = map[string]bool{}
	if !w.keyless {
		w.addKey("zone-token-signing-key-1")
	}
	w.global = rollout{uid: "global", version: 1, replicas: 1 + w.IntN(2), env: []any{env("KUMA_MODE", "global")}}
	environment, store := "kubernetes", "kubernetes"
	if w.universal {
		w.memory = w.chance(4)
		environment, store = "universal", map[bool]string{false: "postgres", true: "memory"}[w.memory]
	}
	w.global.env = append(w.global.env, env("KUMA_ENVIRONMENT", environment), env("KUMA_STORE_TYPE", store))
	if w.authenticating {
		name, on := w.authName()
		w.global.env = append(w.global.env, env(name, on))
	}
	for range w.global.replicas {
		w.global.pods = append(w.global.pods, w.pod(&w.global, nil))
	}
	for i := range 1 + w.IntN(4) {
		z := &zone{name: fmt.Sprintf("zone-%d", i+1), reachable: true, secrets: map[string]tokenSecret{}}
		z.rollout = rollout{uid: z.name, version: 1, replicas: 1, env: []any{env("KUMA_MODE", "zone"),
			env("KUMA_MULTIZONE_ZONE_NAME", z.name), env("KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS", "grpcs://global:5685")}}
		if w.manyProcesses {
			z.replicas = 2
		}
		if w.hadTokens {
			z.secrets["cp-token"] = newSecret(z.name+"-cp-token", w.issue(z.name, "1", 1000*time.Hour),
				w.now.Add(-time.Hour), false)
			z.env = append(z.env, map[string]any{"name": w.inlineName(),
				"valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "cp-token", "key": "token"}}})
		}
		for range z.replicas {
			z.pods = append(z.pods, w.pod(&z.rollout, z))
		}
		w.stuck[z.name] = w.chance(10)
		w.zones[z.name] = z
	}
	if w.chance(4) {
		w.away = w.names()[w.IntN(len(w.zones))]
		w.zones[w.away].reachable = false
	}
	for range 4 {
		w.connect()
	}
	w.tell(true)
	return w
}

func env(name, value string) map[string]any { return map[string]any{"name": name, "value": value} }

func (w *mesh) chance(oneIn int) bool { return w.IntN(oneIn) == 0 }

func (w *mesh) names() []string { return slices.Sorted(maps.Keys(w.zones)) }

func (w *mesh) id(of string) string { w.serial++; return fmt.Sprintf("%s-%d", of, w.serial) }

func (w *mesh) note(format string, args ...any) {
	w.log = append(w.log, w.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// renamed says whether the version takes the new names, and old whether it takes the old ones.
func (w *mesh) renamed() bool { return w.version == "2.14.6" || w.version == "3.0.0" }
func (w *mesh) old() bool     { return w.version != "3.0.0" }

func (w *mesh) authName() (name, on string) {
	if w.renamed() && (!w.old() || w.chance(2)) {
		return newType, newOn
	}
	return oldType, oldOn
}

func (w *mesh) inlineName() string {
	if w.renamed() && (!w.old() || w.chance(2)) {
		return newInline
	}
	return oldInline
}

func (w *mesh) addKey(name string) {
	w.keys[name], w.made[name] = signing()[len(w.made)%len(signing())], w.id("key")
}

// issue issues a token as of the full hour. No two of a run have one ID.
func (w *mesh) issue(zone, kid string, life time.Duration) []byte {
	w.issued[zone]++
	id := zonetoken.TokenID([16]byte{byte(w.issued[zone]), byte(w.issued[zone] >> 8), zone[len(zone)-1]})
	g := grant{zonetoken.Grant{Zone: zone, ValidFor: life, ID: id, KeyID: kid}, w.keys[zonetoken.KeyName(kid)],
		w.now.Truncate(time.Hour)}
	if text, there := signed.Load(g); there {
		return text.([]byte)
	}
	token, _, err := zonetoken.Issue(g.Grant, g.key.PrivateKey, g.at)
	if err != nil {
		panic(err)
	}
	signed.Store(g, token.Reveal())
	return token.Reveal()
}

// pod starts a pod of a rollout, ready; of a zone with the token that its environment has now.
func (w *mesh) pod(r *rollout, z *zone) *meshPod {
	name := w.id(r.uid)
	p := &meshPod{name: name, uid: name, made: w.now, of: r.version, env: r.env}
	w.start(p, z)
	p.ready = p.started
	return p
}

// start starts a pod if its environment can be made.
func (w *mesh) start(p *meshPod, z *zone) {
	if z != nil {
		for _, name := range []string{oldInline, newInline} {
			e := variable(p.env, name)
			from, _ := e["valueFrom"].(map[string]any)
			ref, ok := from["secretKeyRef"].(map[string]any)
			if !ok {
				continue
			}
			s, there := z.secrets[fmt.Sprint(ref["name"])]
			if !there {
				p.waiting = "CreateContainerConfigError secret not found"
				return
			}
			p.token = s.token
		}
	}
	p.started, p.since, p.waiting = true, w.now, ""
}

func variable(list []any, name string) map[string]any {
	for _, e := range list {
		if m, _ := e.(map[string]any); m["name"] == name {
			return m
		}
	}
	return nil
}

// authenticates says whether a pod of the global does.
func authenticates(p *meshPod) bool {
	for _, name := range []string{oldType, newType} {
		if v, _ := variable(p.env, name)["value"].(string); v != "" && v != "none" {
			return true
		}
	}
	return false
}

// tick lets everybody but the plugin move a little.
func (w *mesh) tick() {
	w.now = w.now.Add(time.Duration(1+w.IntN(3)) * time.Second)
	w.roll(&w.global, nil)
	for _, name := range w.names() {
		z := w.zones[name]
		w.roll(&z.rollout, z)
		z.reachable = (w.steady || !w.chance(8) || z.reachable && w.chance(2)) && name != w.away
	}
	if w.crashes && w.chance(30) {
		if p := w.global.pods[w.IntN(len(w.global.pods))]; p.started {
			w.note("pod %s of the global dies, and starts again", p.name)
			p.crashes, p.since = p.crashes+1, w.now
		}
	}
	w.storeAway()
	w.connect()
	w.tell(!w.lateSessions || w.chance(2))
	if w.strangers && w.chance(40) {
		w.stranger()
	}
}

// storeAway has the store of a global's own be away for a while, and its API with it.
func (w *mesh) storeAway() {
	if w.universal {
		w.apiOff = !w.steady && (w.apiOff && !w.chance(3) || w.chance(20))
	}
}

// roll replaces pods of an older template: a new one first, an old one when that is ready.
func (w *mesh) roll(r *rollout, z *zone) {
	for _, p := range r.pods {
		if !p.started && !p.ending {
			w.start(p, z)
		}
		p.ready = p.ready || p.started && w.chance(2)
	}
	fresh, olds := 0, 0
	ready := 0
	for _, p := range r.pods {
		switch {
		case p.ending:
		case p.of == r.version:
			fresh++
			if p.ready {
				ready++
			}
		default:
			olds++
		}
	}
	switch {
	case fresh < r.replicas && fresh+olds <= r.replicas && w.chance(2):
		p := w.pod(r, z)
		p.ready = false
		r.pods = append(r.pods, p)
	case olds > 0 && ready+olds > r.replicas:
		for _, p := range r.pods {
			if p.of != r.version && !p.ending {
				p.ending = true
				break
			}
		}
	}
	r.pods = slices.DeleteFunc(r.pods, func(p *meshPod) bool { return p.ending && w.chance(2) })
}

// connect lets each zone's leader have a session, as the product does: what it presents is looked at when a session
// begins, and again by each health check, where there are any.
func (w *mesh) connect() {
	up := slices.DeleteFunc(slices.Clone(w.global.pods), func(p *meshPod) bool { return !p.ready || p.ending })
	for _, name := range w.names() {
		z := w.zones[name]
		var leader *meshPod
		for _, p := range z.pods {
			alive := p.started && !p.ending
			if p.session != nil && (!alive || !slices.Contains(w.global.pods, p.session.at) || p.session.at.ending ||
				p.session.life != p.session.at.crashes) {
				p.session.gone = true
				if crashed := !slices.Contains(w.global.pods, p.session.at) || p.session.life != p.session.at.crashes; !crashed ||
					!w.crashes {
					p.session.ended = w.now
				}
				p.session = nil
				if w.backsOff {
					z.retry = w.now.Add(time.Duration(w.IntN(10)) * time.Second)
				}
			}
			if alive && leader == nil {
				leader = p
			}
			if p.session != nil && w.checksHealth && authenticates(p.session.at) && w.chance(6) {
				if why := w.verify(z.name, p.token); why != "" {
					w.refuse(z.name, why+", by a health check")
					p.session.gone, p.session.ended, p.session = true, w.now, nil
				}
			}
		}
		for _, s := range z.sessions { // of pods that are gone
			if !s.gone && !slices.ContainsFunc(z.pods, func(p *meshPod) bool { return p.session == s }) {
				s.gone, s.ended = true, w.now
			}
		}
		if leader == nil || leader.session != nil || len(up) == 0 || w.now.Before(z.retry) || w.stuck[name] &&
			leader.of > 1 && leader.token != nil {
			continue
		}
		to := up[w.IntN(len(up))]
		if authenticates(to) {
			if why := w.verify(z.name, leader.token); why != "" {
				w.refuse(z.name, why)
				continue
			}
		}
		for _, s := range z.sessions { // a new session is how the global learns that the one before is over
			if s.ended.IsZero() {
				s.ended = w.now
			}
		}
		leader.session = &session{id: w.id("session"), began: w.now, provided: leader.token != nil, at: to, life: to.crashes}
		z.sessions = append(z.sessions, leader.session)
	}
}

// refuse writes down that a zone was refused.
func (w *mesh) refuse(zone, why string) {
	w.refused = append(w.refused, fmt.Sprintf("%s: %s", zone, why))
	w.note("REFUSED %s: %s", zone, why)
}

// verify says why the global refuses a token.
func (w *mesh) verify(zone string, token []byte) string {
	id := fmt.Sprint(zone, string(token), slices.Sorted(maps.Keys(w.keys)), string(w.list))
	if why, known := w.verified[id]; known {
		return why
	}
	w.verified[id] = w.judge(zone, token)
	return w.verified[id]
}

// judge is verify, without remembering. Tokens outlive every story.
func (w *mesh) judge(zone string, token []byte) string {
	v := zonetoken.Verifier{Zone: zone, Revocations: zonetoken.ParseRevocations(w.list)}
	for name, key := range w.keys {
		set, there := known.Load(named{name, key})
		if !there {
			set = zonetoken.ReadKeys(zonetoken.KongNamespace, []zonetoken.Secret{{Namespace: zonetoken.KongNamespace, Name: name,
				Type: zonetoken.SecretType, Value: plan.NewSecret(key.value)}})
			known.Store(named{name, key}, set)
		}
		v.Keys.Keys = append(v.Keys.Keys, set.(zonetoken.KeySet).Keys...)
	}
	if token == nil {
		return "no token"
	}
	if a := v.Ask(token, w.now); a.Outcome != zonetoken.Accepted {
		return a.Text
	}
	return ""
}

// tell writes the insights.
func (w *mesh) tell(now bool) {
	if !now {
		return
	}
	for name, z := range w.zones {
		var all []session
		for _, s := range z.sessions[max(0, len(z.sessions)-10):] {
			all = append(all, *s)
		}
		w.told[name] = all
	}
}

// stranger is somebody else who does something that cuts nobody off now, and that a plan must not rest on.
func (w *mesh) stranger() {
	z := w.zones[w.names()[w.IntN(len(w.zones))]]
	switch w.IntN(3) {
	case 0:
		w.note("somebody restarts %s", z.name)
		z.version++
	case 1:
		w.note("somebody restarts the global")
		w.global.version++
	case 2: // takes a token away, where that cuts nobody off: nobody authenticates, and nobody is about to
		if w.open() {
			w.note("somebody takes the token of %s away", z.name)
			z.env = slices.DeleteFunc(slices.Clone(z.env), func(e any) bool {
				m, _ := e.(map[string]any)
				return m["name"] == oldInline || m["name"] == newInline
			})
			z.version++
		}
	}
}

// open says whether no pod of the global authenticates, nor its template, nor a run is at it.
func (w *mesh) open() bool {
	return !authenticates(&meshPod{env: w.global.env}) && !slices.ContainsFunc(w.global.pods, authenticates) &&
		w.home.InFlight == nil
}
