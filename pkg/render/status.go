package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Status is what `kubectl xcpauth status` reports.
type Status struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	At         time.Time   `json:"at"`
	Summary    *Summary    `json:"summary,omitempty"`
	Members    []StatusRow `json:"members"`         // the hub first; each member and each other selected context once
	Keys       []KeyState  `json:"keys,omitempty"`  // with which the hub signs tokens, of a product where it does
	Sessions   []Session   `json:"zones,omitempty"` // of a product whose hub tells of them, one for each member
	Roster     string      `json:"roster,omitempty"`
	InFlight   string      `json:"inFlight,omitempty"` // what an interrupted run left, and the next one restores first
	Next       string      `json:"next"`               // what to do now, one sentence

	member string // what a member is called
	named  bool   // the members are those that were asked for
}

// StatusRow is one member.
type StatusRow struct {
	Member  string `json:"member"`
	Role    string `json:"role"` // hub (the standby too), edge, mpc, or context for one that holds no member
	Context string `json:"context,omitempty"`
	// Health is how it is now; "" for a context that holds no member. HealthWhy says what tells it.
	Health    Health `json:"health,omitempty"`
	HealthWhy string `json:"healthWhy,omitempty"`
	// State is where it is in the plan.
	State      RowState `json:"state"`
	Declared   string   `json:"declared"`
	Effective  string   `json:"effective"`
	Credential string   `json:"credential"`
	Expires    string   `json:"expires,omitempty"` // RFC 3339
	Proof      string   `json:"proof"`
	// of an edge: "verified 2026-01-02T12:00:00Z", "stored, not verified", "none", or why there can be none
	Fence string `json:"fence,omitempty"`
	// of an edge's token: when it was minted and whether renewing it was seen; "late: ...", "none: ..."
	Rotation  string   `json:"rotation,omitempty"`
	Witnesses []string `json:"witnesses,omitempty"`
	Next      string   `json:"next"` // what may be done now; "waits" when its turn comes later
	Why       []string `json:"why,omitempty"`

	// What programs read: the credentials that it may present, by the name that the plan has for them; how its wanted
	// credential lies there; and when it was last verified.
	Presents        []guard.Cred         `json:"presents,omitempty"`
	CredentialState plan.CredentialState `json:"credentialState,omitempty"`
	VerifiedAt      string               `json:"verifiedAt,omitempty"` // RFC 3339

	linked bool // it is known to be connected
}

// NewStatus makes the report of facts and of what is left to do. again makes a verb the command line of the same
// selection. What a team without a hub sees has no row of a hub.
func NewStatus(f plan.State, p plan.Plan, again func(verb string) string) Status {
	s := Status{member: f.Words.Member, APIVersion: APIVersion, Kind: "Status", At: f.At.UTC().Truncate(time.Second),
		Members: []StatusRow{}, Roster: rosterText(f, p.Goal), InFlight: inFlight(f),
		Next: nextText(f, p, "show them with: "+again("plan")+"; ", again)}
	s.sessions(f)
	todo, waiting := nextSteps(p)
	blocked := map[string]string{}
	for _, b := range p.Obstacles {
		blocked[b.Member] = b.Why
	}
	for _, w := range p.Waves {
		for _, b := range w.Obstacles {
			blocked[b.Member] = b.Why
		}
	}
	if !p.Goal.NoHub {
		s.Members = append(s.Members, hubRow("hub", f, f.Hub, f.At, todo["hub"], blocked["hub"]))
	}
	if f.Standby != nil {
		s.Members = append(s.Members, hubRow("standby", f, *f.Standby, f.At, todo["standby"], blocked["standby"]))
	}
	for _, m := range f.Members {
		r := memberRow(f.Words, m, f.At, todo[m.Name], blocked[m.Name])
		r.linked = m.Link.Connected == guard.Yes
		r.Presents, r.CredentialState = m.Evidence.Presents, m.Credential.State
		if st := m.Statement; st != nil && m.Err == "" && len(st.Presents) == 1 && m.Verified(st.Presents[0], f.At) {
			r.VerifiedAt = Stamp(st.Observed)
		}
		if !f.Hub.Found && !p.Goal.NoHub && r.State == RowOK { // without the hub nobody knows
			r.State, r.Next = RowBlocked, "blocked"
		}
		if f.TellsSessions {
			r.Role = f.Words.Member
		}
		r.Health, r.HealthWhy = healthOf(m, r)
		s.Members = append(s.Members, r)
	}
	s.Summary = summarize(s.Members, s.member)
	for _, o := range f.Others {
		if !f.Hub.Found && o.Context == f.Hub.Context {
			continue // the hub's own row
		}
		r := StatusRow{Member: "-", Role: "context", Context: o.Context, State: RowState(o.State),
			Declared: "-", Effective: "-",
			Credential: "-", Proof: "-", Next: "-", Why: []string{o.Why}}
		if o.State == "no-member" || o.State == "duplicate" {
			r.State = RowSkipped
		}
		s.Members = append(s.Members, r)
	}
	for i := range s.Members {
		r := &s.Members[i]
		if r.State == RowUnreachable && slices.Contains(f.Denied, r.Context) {
			r.State = RowForbidden
		}
		if w := waiting[r.Member]; w && r.Next != "blocked" {
			r.Next = "waits"
		}
	}
	return s
}

// Unreachable says whether a row could not be looked at.
func (s Status) Unreachable() bool { return slices.ContainsFunc(s.Members, StatusRow.unseen) }

// Down says whether a member is known not to be connected.
func (s Status) Down() bool {
	return slices.ContainsFunc(s.Members, func(r StatusRow) bool { return r.Health == NotConnected })
}

// Only leaves the members of these names, which may say what each is (edge/edge-1), and says what shows each of them. A
// name that no member has is an error.
func (s Status) Only(names []string) (Status, error) {
	var rows []StatusRow
	for _, name := range names {
		at := slices.IndexFunc(s.Members, func(r StatusRow) bool {
			return r.Member != "-" && (r.Member == name || memberName(r.Role, r.Member) == name)
		})
		if at < 0 {
			var all []string
			for _, r := range s.Members {
				if r.Member != "-" {
					all = append(all, r.Member)
				}
			}
			return s, fmt.Errorf("no member is called %q; there are: %s", name, plan.Few(all, 10))
		}
		if !slices.ContainsFunc(rows, func(r StatusRow) bool { return r.Member == s.Members[at].Member }) {
			rows = append(rows, s.Members[at])
		}
	}
	s.Members, s.named = rows, true
	s.Sessions = slices.DeleteFunc(slices.Clone(s.Sessions), func(z Session) bool {
		return !slices.ContainsFunc(rows, func(r StatusRow) bool { return r.Member == z.Member })
	})
	return s, nil
}

// nextSteps are the first step of each member, and the members whose first step is not of the first wave: it may not be
// taken yet.
func nextSteps(p plan.Plan) (first map[string]plan.Step, waiting map[string]bool) {
	first, waiting = map[string]plan.Step{}, map[string]bool{}
	for n, w := range p.Waves {
		for _, s := range w.Steps {
			if _, ok := first[s.Member]; !ok {
				first[s.Member], waiting[s.Member] = s, n > 0
			}
		}
	}
	return first, waiting
}

// hubRow is the row of a hub.
func hubRow(who string, f plan.State, h plan.Hub, at time.Time, todo plan.Step, blocked string) StatusRow {
	r := hubAuthentication(who, f, h, at, todo, blocked)
	r.Health, r.HealthWhy = hubHealth(h, r)
	return r
}

func hubAuthentication(who string, f plan.State, h plan.Hub, at time.Time, todo plan.Step, blocked string) StatusRow {
	r := StatusRow{Member: who, Role: "hub", Context: h.Context, State: RowOK, Declared: "-", Effective: "-",
		Credential: "-", Proof: "-", Next: "-"}
	if !h.Found {
		r.State, r.Why, r.Next = RowNotFound, []string{h.Err}, "blocked"
		if h.Context != "" {
			r.State = RowUnreachable
		}
		return r
	}
	if f.TellsSessions {
		return sessionsRow(r, f.Words, h, todo, blocked)
	}
	var accepted, unsure []string
	for _, c := range f.Words.Accepts {
		switch h.Accepts.Accepts[c] {
		case guard.Yes:
			accepted = append(accepted, f.Words.Credential(c))
		case guard.Unknown:
			unsure = append(unsure, f.Words.Credential(c)+"?")
		}
	}
	r.Declared = strings.Join(append(accepted, unsure...), "+")
	if r.Declared == "" {
		r.Declared = "none"
	}
	switch {
	case h.Server.Err != "":
		switch r.Credential = "unreadable"; {
		case h.Server.Missing:
			r.Credential = "no certificate"
		case h.Server.Denied:
			r.Credential = "forbidden"
		}
		r.Why = append(r.Why, h.Server.Err)
	default:
		r.Credential = "cert " + left(h.Server.Expires, at)
		r.Expires = Stamp(h.Server.Expires)
		r.Witnesses = append(r.Witnesses, fmt.Sprintf("certificate %s names %s", h.Server.Where,
			strings.Join(h.Server.Names, ", ")))
	}
	r.Effective = workloadText(f.Words, h.Workload)
	r.Proof = "-"
	if c := h.Connections; c != nil {
		r.Proof = fmt.Sprintf("%d connected", c.Config)
	}
	r.Why = append(r.Why, h.Anomalies...)
	if blocked != "" && len(h.Anomalies) == 0 {
		r.Why = append(r.Why, blocked)
	}
	if h.HelmNote != "" && todo.ID != "" {
		r.Why = append(r.Why, fmt.Sprintf("%s belongs to Helm release %s: set the same values there too, or its next upgrade takes the change back", h.Object, h.HelmNote))
	}
	r.State, r.Next = stateAndNext(todo, blocked)
	return r
}

func memberRow(words plan.Words, m plan.Member, at time.Time, todo plan.Step, blocked string) StatusRow {
	r := StatusRow{Member: m.Name, Role: string(m.Role), Context: m.Context, Declared: words.Credential(m.Declared),
		Effective: effective(words, m), Credential: credentialText(m, at)}
	r.Proof, r.Witnesses = proofText(words, m, at)
	r.Witnesses = slices.DeleteFunc(r.Witnesses, func(w string) bool { return w == "" }) // a sound session needs no words
	if !m.Credential.Expires.IsZero() {
		r.Expires = Stamp(m.Credential.Expires)
	}
	if m.Role == plan.RoleMPC {
		r.Declared, r.Credential = "as hub", "-"
	} else if r.Fence = fenceText(m); r.Fence != "" {
		r.Witnesses = append(r.Witnesses, "fence: "+r.Fence)
	}
	if renewal := renewalOf(words, m, at); renewal.state != renewalUnsaid {
		r.Rotation = renewal.String()
		r.Witnesses = append(r.Witnesses, "rotation: "+r.Rotation)
		switch renewal.state {
		case renewalLate:
			r.Credential += ", late"
		case renewalNone:
			r.Credential += ", not renewed"
		}
	}
	r.State, r.Next = stateAndNext(todo, blocked)
	switch {
	case m.Err != "" && m.Context != "":
		r.State, r.Next, r.Why = RowUnreachable, "blocked", []string{m.Err}
	case blocked != "":
		r.Why = []string{blocked}
	}
	if m.HelmNote != "" && todo.ID != "" {
		r.Why = append(r.Why, fmt.Sprintf("%s belongs to Helm release %s: set the same value there too, or its next upgrade takes the change back", m.Object, m.HelmNote))
	}
	if m.Renamed != "" {
		r.Why = append(r.Why, fmt.Sprintf("it is cluster %q; it is called %s here, since %s",
			m.ClusterName, m.Name, m.Renamed))
	}
	for _, p := range m.Workload.Processes {
		if p.Waiting != "" {
			r.Why = append(r.Why, fmt.Sprintf("pod %s waits: %s", p.Name, p.Waiting))
		}
	}
	return r
}

func stateAndNext(todo plan.Step, blocked string) (state RowState, next string) {
	switch {
	case blocked != "" && todo.ID == "":
		return RowBlocked, "blocked"
	case todo.ID != "":
		return RowPending, todo.Verb
	}
	return RowOK, "-"
}

// effective is what the member's own processes present, each credential of it while old and new ones overlap.
func effective(words plan.Words, m plan.Member) string {
	if m.Evidence.Presents == nil {
		return "unknown"
	}
	return cmp.Or(words.CredentialsOf(m.Evidence.Presents), "none")
}

func credentialText(m plan.Member, at time.Time) string {
	switch c := m.Credential; c.State {
	case plan.CredentialReady:
		if c.Expires.IsZero() {
			return "token, no expiry"
		}
		return "token " + left(c.Expires, at)
	case plan.CredentialMintable:
		return "to be minted"
	case plan.CredentialBad:
		if !c.Expires.IsZero() && !at.Before(c.Expires) {
			return "token expired"
		}
		return "token malformed"
	case plan.CredentialMissing:
		return "no token"
	}
	if m.Credential.Denied {
		return "forbidden"
	}
	return "unknown"
}

// proofText says how far it is known that the member presents what it should, and who the witnesses are.
func proofText(words plan.Words, m plan.Member, at time.Time) (string, []string) {
	var witnesses []string
	if !m.LastEvent.IsZero() {
		witnesses = append(witnesses, words.Server+" last heard of it at "+m.LastEvent.Format(time.RFC3339))
	}
	if m.ReadLive {
		witnesses = append(witnesses, "the webhook reads it live")
	}
	st := m.Statement
	switch {
	case st != nil && st.Invalid != "":
		return "void", append(witnesses, st.Invalid)
	case st != nil && m.Err == "" && m.Verified(m.Declared, at), st != nil && m.Role == plan.RoleMPC &&
		len(st.Presents) == 1 && m.Verified(st.Presents[0], at):
		return "verified " + ago(st.Observed, at), append(append([]string{}, st.Evidence...),
			append(witnesses, "published by "+st.Source)...)
	case st != nil && m.Err != "" && at.Before(st.Until):
		return "stated " + ago(st.Observed, at), append(append([]string{}, st.Evidence...),
			append(witnesses, "published by "+st.Source)...)
	case m.Evidence.Presents != nil && m.Err == "" && m.Context == "": // nobody looked at its processes
		return "seen connected", append(witnesses, m.Evidence.Why)
	case m.Evidence.Presents != nil && m.Err == "":
		return "seen in pods", append(witnesses, m.Evidence.Why)
	case m.Err != "":
		return "none", witnesses // its row says why
	}
	return "none", append(witnesses, m.Evidence.Why)
}

// fenceText says whether the member's own cluster denies every edit that would change what it presents.
func fenceText(m plan.Member) string {
	switch f := m.Fence; {
	case m.Err != "" && m.Statement != nil && m.Statement.Fence != "":
		return "stated " + Stamp(m.Statement.FenceSeen)
	case m.Err != "":
		return ""
	case f.Verified:
		return "verified " + Stamp(m.Statement.FenceSeen)
	case f.Unavailable != "":
		return "none: " + f.Unavailable
	case f.Policy.Name == "": // its product has none
		return ""
	case f.Current:
		return "stored, not verified"
	case f.Binding.UID != "" || f.Policy.UID != "":
		return "stored, and not as it should be"
	}
	return "none"
}

func workloadText(words plan.Words, w plan.Workload) string {
	ready := 0
	for _, p := range w.Processes {
		if p.Ready {
			ready++
		}
	}
	if !w.Found {
		return "no " + words.Server
	}
	return fmt.Sprintf("%s %d/%d", words.Server, ready, w.Replicas)
}

func rosterText(f plan.State, goal plan.Goal) string {
	switch r := f.Hub.Roster; {
	case goal.NoHub:
		return "in the hub, which --no-hub does not look at"
	case !f.Hub.Found:
		return "unknown"
	case r.Err != "":
		return r.Err
	case !r.Namespace || !r.Kind:
		return "not installed"
	}
	n := 0
	for _, m := range f.Members {
		if m.Registered {
			n++
		}
	}
	return fmt.Sprintf("%d of %s registered", n, plural(len(f.Members), "member"))
}

// nextText says what to do now; show is how to see the waves first, where they are not shown already.
func nextText(f plan.State, p plan.Plan, show string, again func(verb string) string) string {
	restore := ""
	if f.Hub.InFlight != "" && f.Hub.JournalErr == "" {
		restore = "the next run first restores what an interrupted one left; then "
	}
	switch {
	case !f.Hub.Found && !p.Goal.NoHub:
		return f.Hub.Err
	case len(p.Waves) > 0 && len(p.Obstacles) > 0:
		return fmt.Sprintf("%s%s can be done with: %s; then %s blocked", restore, plural(len(p.Waves), "wave"),
			again("migrate"), thingsAre(len(p.Obstacles)))
	case len(p.Waves) > 0:
		return fmt.Sprintf("%s%s left; %sdo them with: %s", restore, plural(len(p.Waves), "wave"), show, again("migrate"))
	case len(p.Obstacles) > 0:
		return fmt.Sprintf("%snothing can be done before what is blocked is fixed (%s)", restore,
			plural(len(p.Obstacles), "thing"))
	case restore != "":
		return "an interrupted run left a wave in flight; restore it with: " + again("migrate")
	}
	return "nothing to do"
}

// Interrupted says what an interrupted run left in flight; "" where nothing is known to be.
func Interrupted(f plan.State) string {
	if f.Hub.JournalErr != "" {
		return ""
	}
	return inFlight(f)
}

func inFlight(f plan.State) string {
	switch {
	case f.Hub.JournalErr != "":
		return "not known: " + f.Hub.JournalErr
	case f.Hub.InFlight == "":
		return ""
	}
	return f.Hub.InFlight + ", was interrupted or is still running; a new run restores it before anything else"
}
