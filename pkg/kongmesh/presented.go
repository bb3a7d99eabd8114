package kongmesh

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// None is what a zone presents that presents nothing, or something that only a global takes that authenticates nobody.
const None guard.Cred = "none"

// Kid is the credential of every token that is signed with a key, jti that of one token: both can be withdrawn.
func Kid(kid string) guard.Cred { return guard.Cred("kid:" + kid) }

func jti(id string) guard.Cred { return guard.Cred("jti:" + id) }

// kidOf is the kid of a credential, "" when it is none of a key.
func kidOf(c guard.Cred) string {
	kid, ok := strings.CutPrefix(string(c), "kid:")
	if !ok {
		return ""
	}
	return kid
}

// source is where a process, or the template of processes to come, has its token from.
type source struct {
	token   []byte    // nil when it has none
	said    *Zone     // what it says of itself; nil when it has none, or when that is none
	where   string    // "kong-mesh-system/cp-token"; "" when it has none
	plain   bool      // the token itself stands in the Deployment
	made    time.Time // when its secret was
	written time.Time
	fixed   bool   // the secret cannot have had another one
	missing string // the secret or key that is not there, so that the process does not start
	unknown string // why it cannot be told
}

// tokenOf finds the token that a zone's control plane is given. Two that are both set, of which the product takes the path before the
// text, are unknown, since versions with two families of names do not say which goes first.
func tokenOf(cp controlPlane, spec kube.PodSpec, secrets []secretObject) source {
	var found []source
	ns := cp.object.Metadata.Namespace
	for _, e := range cp.environments() {
		inline := cp.set(spec, e.ZoneInline, inFile(e, "zone.kds.auth.cpTokenInline", "zone.kds.auth.tokenInline"))
		file := cp.set(spec, e.ZonePath, inFile(e, "zone.kds.auth.cpTokenPath", "zone.kds.auth.tokenPath"))
		switch {
		case !inline.known, !file.known:
			return source{unknown: fmt.Sprintf("its token comes from %s, which is not looked into", cmp.Or(inline.where, file.where))}
		case file.secret != nil || file.text != "":
			found = append(found, fromFile(ns, spec, file, secrets))
		case inline.secret != nil:
			found = append(found, fromSecret(ns, *inline.secret, secrets))
		case inline.text != "":
			found = append(found, plainSource(inline.text, inline.where))
		}
	}
	switch len(found) {
	case 0:
		return source{}
	case 1:
		return found[0]
	}
	if same := found[0]; same.where == found[1].where && same.unknown == "" {
		return same
	}
	return source{unknown: "two variables give it a token: " + found[0].where + " and " + found[1].where}
}

func fromSecret(ns string, ref secretRef, secrets []secretObject) source {
	s := source{where: ns + "/" + ref.name}
	i := slices.IndexFunc(secrets, func(o secretObject) bool { return o.Metadata.Name == ref.name })
	if i < 0 {
		s.missing = "secret " + s.where + " is not there"
		return s
	}
	o := secrets[i]
	s.made = kube.Stamp(o.Metadata.CreationTimestamp)
	s.written = later(o.Metadata.Written("data"), s.made)
	s.fixed = o.Immutable
	token, ok := o.Data[ref.key]
	if !ok {
		s.missing = fmt.Sprintf("secret %s has no key %s", s.where, ref.key)
		return s
	}
	s.token = token
	if z, is := o.tokens[ref.key]; is {
		s.said = &z
	}
	return s
}

// plainSource is a token that stands somewhere in plain.
func plainSource(token, where string) source {
	s := source{token: []byte(token), where: where, plain: true}
	if z, err := ReadZone(s.token); err == nil {
		s.said = &z
	}
	return s
}

// fromFile follows a path to the secret volume that is mounted there.
func fromFile(ns string, spec kube.PodSpec, file setting, secrets []secretObject) source {
	if ref, ok := mounted(spec, file.text); ok {
		return fromSecret(ns, ref, secrets)
	}
	return source{unknown: fmt.Sprintf("its token is read from a file (%s), which is in no secret volume", file.where)}
}

// secretsAge is how old the secret may be that a kubelet gives a container at its start: it keeps them for about a minute.
const secretsAge = 2 * time.Minute

// mayHaveBeenOther says whether a pod may have been started with another token than the one that its secret holds now. What counts is the
// start of its container, which is when the token is read, and not when the pod was made: a pod waits for its secret, and a container is
// started again in its place. Where that start is not known, the pod's own creation stands for it.
func (s source) mayHaveBeenOther(p kube.Pod, proc plan.Process) bool {
	if s.token == nil || s.plain || s.written.IsZero() {
		return false
	}
	started := p.StartedAt(containerName)
	switch {
	case started.IsZero() && proc.Waiting != "" && !proc.Started:
		return false // it has not begun, and will with what is there then
	case started.IsZero():
		started = proc.Created
	case !s.fixed && s.written.After(s.made): // written again since: the kubelet may have given it the one before
		return !started.After(s.written.Add(secretsAge))
	}
	return s.written.After(started) || s.written.Equal(started) && !s.fixed
}

// issued is when a token says that it was issued; zero when it does not.
func (s source) issued() time.Time {
	if s.said == nil {
		return time.Time{}
	}
	return later(s.said.Issued, s.said.NotBefore)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// presents is what the hub takes a token for: its kid and its jti when it accepts it; else None, with what it says to it. Where that differs
// between our clock and that of the global's API server, it may be taken for either.
func (s source) presents(hub *verifier, zone string, at time.Time) (creds []guard.Cred, why string) {
	switch {
	case s.unknown != "":
		return nil, s.unknown
	case s.where == "":
		return []guard.Cred{None}, ""
	case s.missing != "":
		return nil, s.missing
	case hub == nil:
		return nil, "its token was not verified: there is no global to verify it with"
	case hub.unread != "":
		return nil, hub.unread
	}
	if len(s.token) > maxToken {
		return nil, fmt.Sprintf("its token is %d bytes long, which is not judged here; issue another one", len(s.token))
	}
	answer := hub.ask(s.token, zone, at)
	by := answer
	if hub.ahead != 0 {
		by = hub.ask(s.token, zone, at.Add(hub.ahead))
	}
	taken, takenBy := answer.Outcome == Accepted, by.Outcome == Accepted
	off := hub.ahead.Round(time.Second)
	switch {
	case s.said == nil, !taken && !takenBy:
		return []guard.Cred{None}, answer.Text
	case !taken:
		answer, creds, why = by, []guard.Cred{None}, fmt.Sprintf("by our clock, from which that of its API server is %s off: %s", off, answer.Text)
	case !takenBy:
		creds, why = []guard.Cred{None}, fmt.Sprintf("by the clock of its API server, which is %s off: %s", off, by.Text)
	}
	creds = append(creds, Kid(verifiedBy(answer, s.said.KeyID)))
	if s.said.ID != "" {
		creds = append(creds, jti(s.said.ID))
	}
	return creds, why
}

// verifiedBy is the kid of the key that verified a token, which may say another: up to 2.0 a kid is a number, and that of HS256 is not asked.
func verifiedBy(a Answer, said string) string {
	name, secret := strings.CutPrefix(a.Key, "secret "+KeyPrefix)
	switch {
	case !secret:
		return said
	case name == "":
		return "0"
	}
	return strings.TrimPrefix(name, "-")
}

// credential describes the token of a zone for who reads, and for what is next.
func (s source) credential(hub *verifier, zone string, at time.Time) plan.Credential {
	c := plan.Credential{Where: s.where, Written: s.written}
	creds, why := s.presents(hub, zone, at)
	switch {
	case s.where == "" && s.unknown == "":
		c.State, c.Why = plan.CredentialMissing, "it has no token"
		return c
	case s.missing != "":
		c.State, c.Why = plan.CredentialMissing, s.missing
		return c
	case creds == nil:
		c.Why = why
		return c
	}
	if z := s.said; z != nil {
		c.Key, c.ID, c.Expires = z.KeyID, z.ID, z.Expires
	}
	sum := sha256.Sum256(s.token)
	c.Digest = hex.EncodeToString(sum[:6])
	if c.State = plan.CredentialReady; creds[0] != None {
		c.Key = kidOf(creds[0])
	} else {
		c.State, c.Why = plan.CredentialBad, "the global would refuse its token: "+why
	}
	return c
}
