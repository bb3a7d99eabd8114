package xcpsim

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Credential is what a client presented to Central.
type Credential string

const (
	MTLS Credential = "mtls"
	JWT  Credential = "jwt"
	None Credential = "none"
)

// Reason is why a dial did not become a session; empty for an accepted one.
type Reason string

const (
	ModeNotAccepted Reason = "ModeNotAccepted" // Central does not accept this kind of credential
	// the client's certificate is not from Central's ca.crt, expired, or not for client use
	ClientCertUntrusted Reason = "ClientCertUntrusted"
	TokenMissing        Reason = "TokenMissing" // no credential at all, or an empty token
	TokenExpired        Reason = "TokenExpired" // the token's exp has passed
	TokenInvalid        Reason = "TokenInvalid" // not a JWT, another issuer's key, or rejected by EdgeSwitches
	WrongCluster        Reason = "WrongCluster" // the token was made for another cluster
	// the client refused Central's certificate, by its name or by its CA
	ServerNotTrusted   Reason = "ServerNotTrusted"
	ClientUnconfigured Reason = "ClientUnconfigured" // the client could not read its own certificate or CA
	// no authentication took place: no such host, no ready Central, cut off
	Unreachable Reason = "Unreachable"
)

// Dial is one attempt to reach Central and what became of it.
type Dial struct {
	Time       time.Time
	Member     string     // edge (cluster) name, or MPCMember
	Pod        string     // the client's pod
	Central    string     // the Central pod, if one was reached
	Hub        string     // the cluster of that pod
	Mode       Credential // what the client is configured to present
	Credential Credential // what it presented on the wire: None where the client hung up before
	Accepted   bool
	Reason     Reason
	Text       string
}

// Refused says whether the dial failed for a credential: one side turned the other away, or the client had none that
// it could show. An Unreachable Central refuses nobody.
func (d Dial) Refused() bool { return !d.Accepted && d.Reason != Unreachable }

func (d Dial) String() string {
	what := "accepted"
	if !d.Accepted {
		what = fmt.Sprintf("%s: %s", d.Reason, d.Text)
	}
	return fmt.Sprintf("%s %s/%s presents %s to %s: %s", d.Time.UTC().Format("15:04:05.000"), d.Member, d.Pod,
		d.Credential, d.Central, what)
}

// Session is one live stream between a pod and a Central pod.
type Session struct {
	Member, Pod  string
	Central      string
	Hub          string // the cluster of the Central pod
	Credential   Credential
	Since        time.Time
	TokenExpires time.Time // zero for mutual TLS
}

// record keeps every dial and the live sessions. Central decides a dial that reaches it; the client closes one that
// did not get so far; whoever comes first counts, so a dial is never recorded twice.
type record struct {
	mu       sync.Mutex
	next     int
	open     map[int]Dial
	dials    []Dial
	sessions map[int]Session
}

func newRecord() *record { return &record{open: map[int]Dial{}, sessions: map[int]Session{}} }

// begin opens a dial and returns its number, which travels with it.
func (r *record) begin(member, pod string, mode Credential) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	r.open[r.next] = Dial{Member: member, Pod: pod, Mode: mode, Credential: None}
	return r.next
}

// place is a Central pod and its hub; empty where none was reached.
type place struct{ hub, pod string }

// decide closes dial id; a dial that is already closed, or was never opened, stays as it is.
func (r *record) decide(id int, central place, presented Credential, reason Reason, text string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.open[id]
	if !ok {
		return
	}
	delete(r.open, id)
	d.Time, d.Central, d.Hub = now, central.pod, central.hub
	d.Credential, d.Accepted, d.Reason, d.Text = presented, reason == "", reason, text
	r.dials = append(r.dials, d)
}

// session notes s as live until the returned function is called.
func (r *record) session(id int, s Session) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[id] = s
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.sessions, id)
	}
}

func (r *record) allDials() []Dial {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.dials)
}

func (r *record) liveSessions() []Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Session, 0, len(r.sessions))
	for _, s := range r.sessions {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Session) int { return a.Since.Compare(b.Since) })
	return out
}
