package state

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Source is where a process, or the template of processes to come, has its token from.
type Source struct {
	Token   []byte          // nil when it has none
	said    *zonetoken.Zone // what it says of itself; nil when it has none, or when that is none
	Where   string          // "kong-mesh-system/cp-token"; "" when it has none
	plain   bool            // the token itself stands in the Deployment
	made    time.Time       // when its secret was
	Written time.Time
	fixed   bool   // the secret cannot have had another one
	Missing string // the secret or key that is not there, so that the process does not start
	Unknown string // why it cannot be told
}

// TokenOf finds the token that a zone's control plane is given. Two that are both set, of which the product takes the
// path before the text, are unknown, since versions with two families of names do not say which goes first.
func TokenOf(cp ControlPlane, spec kube.PodSpec, secrets []secretObject) Source {
	var found []Source
	ns := cp.Object.Metadata.Namespace
	for _, e := range cp.environments() {
		inline := cp.set(spec, e.ZoneInline, inFile(e, "zone.kds.auth.cpTokenInline", "zone.kds.auth.tokenInline"))
		file := cp.set(spec, e.ZonePath, inFile(e, "zone.kds.auth.cpTokenPath", "zone.kds.auth.tokenPath"))
		switch {
		case !inline.known, !file.known:
			return Source{Unknown: fmt.Sprintf("its token comes from %s, which is not looked into",
				cmp.Or(inline.where, file.where))}
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
		return Source{}
	case 1:
		return found[0]
	}
	if same := found[0]; same.Where == found[1].Where && same.Unknown == "" {
		return same
	}
	return Source{Unknown: "two variables give it a token: " + found[0].Where + " and " + found[1].Where}
}

// plainSource is a token that stands somewhere in plain.
func plainSource(token, where string) Source {
	s := Source{Token: []byte(token), Where: where, plain: true}
	if z, err := zonetoken.ReadZone(s.Token); err == nil {
		s.said = &z
	}
	return s
}

// fromFile follows a path to the secret volume that is mounted there.
func fromFile(ns string, spec kube.PodSpec, file setting, secrets []secretObject) Source {
	if ref, ok := mounted(spec, file.text); ok {
		return fromSecret(ns, ref, secrets)
	}
	return Source{Unknown: fmt.Sprintf("its token is read from a file (%s), which is in no secret volume", file.where)}
}

func fromSecret(ns string, ref secretRef, secrets []secretObject) Source {
	s := Source{Where: ns + "/" + ref.name}
	i := slices.IndexFunc(secrets, func(o secretObject) bool { return o.Metadata.Name == ref.name })
	if i < 0 {
		s.Missing = "secret " + s.Where + " is not there"
		return s
	}
	o := secrets[i]
	s.made = kube.Stamp(o.Metadata.CreationTimestamp)
	s.Written = kube.Later(o.Metadata.Written("data"), s.made)
	s.fixed = o.Immutable
	token, ok := o.Data[ref.key]
	if !ok {
		s.Missing = fmt.Sprintf("secret %s has no key %s", s.Where, ref.key)
		return s
	}
	s.Token = token
	s.said = o.tokens[ref.key]
	return s
}

// secretsAge is how old the secret may be that a kubelet gives a container at its start: it keeps them for about a
// minute.
const secretsAge = 2 * time.Minute

// mayHaveBeenOther says whether a pod may have been started with another token than the one that its secret holds
// now. What counts is the start of its container, which is when the token is read, and not when the pod was made: a
// pod waits for its secret, and a container is started again in its place. Where that start is not known, the pod's
// own creation stands for it.
func (s Source) mayHaveBeenOther(p kube.Pod, proc plan.Process) bool {
	if s.Token == nil || s.plain || s.Written.IsZero() {
		return false
	}
	started := p.StartedAt(ContainerName)
	switch {
	case started.IsZero() && proc.Waiting != "" && !proc.Started:
		return false // it has not begun, and will with what is there then
	case started.IsZero():
		started = proc.Created
	case !s.fixed && s.Written.After(s.made): // written again since: the kubelet may have given it the one before
		return !started.After(s.Written.Add(secretsAge))
	}
	return s.Written.After(started) || s.Written.Equal(started) && !s.fixed
}

// issued is when a token says that it was issued; zero when it does not.
func (s Source) issued() time.Time {
	if s.said == nil {
		return time.Time{}
	}
	return kube.Later(s.said.Issued, s.said.NotBefore)
}

// credential describes the token of a zone for who reads, and for what is next; creds and why are what it presents.
func (s Source) credential(creds []guard.Cred, why string) plan.Credential {
	c := plan.Credential{Where: s.Where, Written: s.Written}
	switch {
	case s.Where == "" && s.Unknown == "":
		c.State, c.Why = plan.CredentialMissing, "it has no token"
		return c
	case s.Missing != "":
		c.State, c.Why = plan.CredentialMissing, s.Missing
		return c
	case creds == nil:
		c.Why = why
		return c
	}
	if z := s.said; z != nil {
		c.Key, c.ID, c.Expires = z.KeyID, z.ID, z.Expires
	}
	sum := sha256.Sum256(s.Token)
	c.Digest = hex.EncodeToString(sum[:6])
	if c.State = plan.CredentialReady; creds[0] != None {
		c.Key = KidOf(creds[0])
	} else {
		c.State, c.Why = plan.CredentialBad, "the global would refuse its token: "+why
	}
	return c
}

// KidOf is the kid of a credential, "" when it is none of a key.
func KidOf(c guard.Cred) string {
	kid, ok := strings.CutPrefix(string(c), "kid:")
	if !ok {
		return ""
	}
	return kid
}

// presents is what the hub takes a token for: its kid and its jti when it accepts it; else None, with what it says to
// it. Where that differs between our clock and that of the global's API server, it may be taken for either.
func (s Source) presents(hub *zonetoken.GlobalVerifier, zone string, at time.Time) (creds []guard.Cred, why string) {
	switch {
	case s.Unknown != "":
		return nil, s.Unknown
	case s.Where == "":
		return []guard.Cred{None}, ""
	case s.Missing != "":
		return nil, s.Missing
	case hub == nil:
		return nil, "its token was not verified: there is no global to verify it with"
	case hub.Unread != "":
		return nil, hub.Unread
	}
	if len(s.Token) > zonetoken.MaxToken {
		return nil, fmt.Sprintf("its token is %d bytes long, which is not judged here; issue another one", len(s.Token))
	}
	answer := hub.AskFor(s.Token, zone, at)
	by := answer
	if hub.Ahead != 0 {
		by = hub.AskFor(s.Token, zone, at.Add(hub.Ahead))
	}
	taken, takenBy := answer.Outcome == zonetoken.Accepted, by.Outcome == zonetoken.Accepted
	off := hub.Ahead.Round(time.Second)
	switch {
	case s.said == nil, !taken && !takenBy:
		return []guard.Cred{None}, answer.Text
	case !taken:
		answer, creds, why = by, []guard.Cred{None},
			fmt.Sprintf("by our clock, from which that of its API server is %s off: %s", off, answer.Text)
	case !takenBy:
		creds, why = []guard.Cred{None}, fmt.Sprintf("by the clock of its API server, which is %s off: %s", off, by.Text)
	}
	creds = append(creds, Kid(cmp.Or(answer.KeyID, s.said.KeyID)))
	if s.said.ID != "" {
		creds = append(creds, Jti(s.said.ID))
	}
	return creds, why
}

// None is what a zone presents that presents nothing, or something that only a global takes that authenticates nobody.
const None guard.Cred = "none"

// Kid is the credential of every token that is signed with a key, jti that of one token: both can be withdrawn.
func Kid(kid string) guard.Cred { return guard.Cred("kid:" + kid) }

func Jti(id string) guard.Cred { return guard.Cred("jti:" + id) }
