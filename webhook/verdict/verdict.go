package verdict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// The codes of HTTP that an answer carries.
const (
	badRequest    = 400
	forbidden     = 403
	conflict      = 409
	internalError = 500
)

// Operation is what the request does to the ManagementPlane, as the API server spells it.
type Operation string

// The operations that are decided; any other is denied as malformed.
const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
	Delete Operation = "DELETE"
)

// Request is one admission request for a ManagementPlane. Old and New are the decoded objects, nil where the operation
// has none. A dry run is decided like any other request, so nothing here says that it is one.
type Request struct {
	Operation       Operation
	Namespace, Name string
	User            string // who asks; a deletion is overridden by the user to whom it was denied
	Old, New        map[string]any
}

// Verdict is the answer.
type Verdict struct {
	Allowed   bool
	Code      int32    // HTTP status of a denial: 403 by the rule, 400 malformed, 500 undecidable
	Decision  string   // one word for logs, metrics and audit: allowed, denied, overridden, error
	Rule      string   // one word for what decided
	Message   string   // of a denial: who stands against it, why, and what to do next
	Warnings  []string // each at most 256 runes, one line
	Withdrawn []guard.Cred
	Blockers  []guard.Blocker
	Digest    string   // of the blockers; "" without any
	Roster    string   // digest of the members that were looked at; "" where nobody was
	Override  Override // how far the override got that the edit brings
	// of a denial, an override or an admitted withdrawal in one line: what is withdrawn, and from whom
	Summary  string
	Cause    string     // why nothing could be decided, for the log
	Evidence []Evidence // what an admitted withdrawal rested on, the oldest first
}

// The words of Verdict.Decision.
const (
	Allowed    = "allowed"
	Denied     = "denied"
	Overridden = "overridden"
	Error      = "error"
)

// The words of Verdict.Rule.
const (
	RuleNothing   = "withdraws-nothing" // what is accepted stays as it was, or more is
	RuleDeleted   = "being-deleted"     // finalizers are never held up
	RuleNamespace = "namespace-deleted" // what goes with its namespace is never held up
	RuleNobody    = "no-members-known"  // a fresh installation, or a hub that is being restored
	RuleWithdraw  = "withdraw"          // guard.Withdraw was asked
	RuleMalformed = "malformed"         // the request cannot be read
	RuleUnread    = "unreadable"        // the members cannot be read
	RuleUnstored  = "not-stored"        // the object of the request is not what is stored
)

// Question is a request that has been read: what it withdraws, before anybody asks who that hurts.
type Question struct {
	req       Request
	old, new  guard.Hub
	withdrawn []guard.Cred
	odd       []plan.Anomaly // of the new object
	owners    []string       // that the edit adds: the garbage collector deletes the object when they are gone
	rule      string         // that decides where nothing is withdrawn
}

// Ask reads a request.
//
//   - DELETE goes from what the object accepts to nothing: it takes the hub away from everybody.
//   - UPDATE that adds an owner is judged like DELETE: where that owner is gone, or goes, the garbage collector deletes
//     the object.
//   - DELETE and UPDATE of an object that is being deleted withdraw nothing: finalizers must never be held up.
//   - UPDATE goes from what the old object accepts to what the new one does.
//   - CREATE starts from unknown for both modes, so that delete and create is no way around the rule.
//
// The error says what is malformed; it is to be answered as a denial (Undecided).
func Ask(req Request) (Question, error) {
	q := Question{req: req, rule: RuleNothing}
	switch req.Operation {
	case Create:
		q.old = fromUnknown()
	case Update, Delete:
		if req.Old == nil {
			return q, fmt.Errorf("%s of ManagementPlane %s without its old object", req.Operation, req.subject())
		}
		q.old, _ = state.ReadHub(req.Old)
	default:
		return q, fmt.Errorf("operation %q is not one that this webhook decides", req.Operation)
	}
	if req.New == nil && req.Operation != Delete {
		return q, fmt.Errorf("%s of ManagementPlane %s without its new object", req.Operation, req.subject())
	}
	if req.Operation == Delete && text(req.Old, "metadata", "deletionTimestamp") != "" ||
		req.Operation == Update && text(req.New, "metadata", "deletionTimestamp") != "" {
		q.rule = RuleDeleted
		return q, nil
	}
	if req.Operation == Delete {
		q.new = gone()
	} else {
		q.new, q.odd = state.ReadHub(req.New)
	}
	if req.Operation == Update {
		if q.owners = added(req.Old, req.New); len(q.owners) > 0 {
			q.new = gone()
		}
	}
	q.withdrawn = guard.Withdrawn(q.old, q.new)
	return q, nil
}

// gone is the hub after there is none: it accepts nothing.
func gone() guard.Hub {
	return guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.MTLS: guard.No, state.JWT: guard.No}}
}

// added names the owners of new that old lacks.
func added(old, new map[string]any) []string {
	owners := func(obj map[string]any) []string {
		metadata, _ := obj["metadata"].(map[string]any)
		list, _ := metadata["ownerReferences"].([]any)
		var all []string
		for _, item := range list {
			o, _ := item.(map[string]any)
			all = append(all, fmt.Sprintf("%s %s (%s, UID %s)", text(o, "kind"), text(o, "name"), text(o, "apiVersion"),
				text(o, "uid")))
		}
		return all
	}
	had := owners(old)
	return slices.DeleteFunc(owners(new), func(o string) bool { return slices.Contains(had, o) })
}

// fromUnknown is the hub before there is one: it may accept anything.
func fromUnknown() guard.Hub {
	return guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.MTLS: guard.Unknown, state.JWT: guard.Unknown}}
}

// NeedsInventory says whether the answer depends on who the members are. Where it does not, nothing has to be read, and
// nothing that cannot be read blocks.
func (q Question) NeedsInventory() bool {
	return len(q.withdrawn) > 0
}

// Answer decides. Where NeedsInventory is false the inventory is not looked at. A verdict whose Override is Claimed
// is to be settled with Question.Override; until then it is a denial.
func (q Question) Answer(inv Inventory, now time.Time) Verdict {
	v := Verdict{Allowed: true, Decision: Allowed, Rule: q.rule, Withdrawn: q.withdrawn}
	if !q.NeedsInventory() {
		v.Warnings = warnings(q.anomalies()...)
		return v
	}
	members := summarizeMembers(inv, now, false)
	v.Roster = rosterDigest(members)
	v.Warnings = warnings(q.disagreements(inv)...)
	v.Rule = RuleWithdraw
	if inv.Empty() {
		v.Rule = RuleNobody
		v.Warnings = append(v.Warnings,
			warnings(fmt.Sprintf("admitted unguarded: no member of this hub is known yet (%s may be refused after this); register them with `kubectl xcpauth edge publish`", credList(q.withdrawn)))...)
	}
	if len(guard.Withdraw(q.old, q.new, members, now)) > 0 {
		v.Blockers = guard.Withdraw(q.old, q.new, Members(inv, now), now) // again, with the words for it
		v.Allowed, v.Decision, v.Code = false, Denied, forbidden
		v.Digest, v.Summary = q.digest(v.Blockers), q.inOneLine(v.Blockers)
		v.Override = q.claim(v.Digest)
		v.Message = q.denial(v, Permission{})
		return v
	}
	if v.Rule == RuleWithdraw {
		v.Evidence, v.Summary = restsOn(inv, now), q.stop()+" "+credList(q.withdrawn)
	}
	v.Warnings = append(v.Warnings, warnings(q.anomalies()...)...)
	return v
}

// Undecided is the answer where no decision was reached: the request is malformed (400), or the members could not be
// read (500). It is a denial, and cannot be overridden, since nobody knows whom that would cut off.
func Undecided(req Request, code int32, err error) Verdict {
	rule := RuleUnread
	if code == badRequest {
		rule = RuleMalformed
	}
	next := "run `kubectl xcpauth status` and try again; it cannot be overridden, and where it must not wait, kubectl delete validatingwebhookconfiguration xcpauth-webhook always works"
	if code == badRequest {
		next = "write the object with kubectl and try again"
	}
	return Verdict{Code: code, Decision: Error, Rule: rule, Cause: err.Error(),
		Message: fmt.Sprintf("undecided, so denied: %s; %s", clean(err.Error(), 800), next)}
}

// Unread is Undecided for a caller that is not verified: the log tells why, and the caller is not told.
func Unread(req Request, err error) Verdict {
	v := Undecided(req, internalError, err)
	v.Message = fmt.Sprintf("undecided, so denied: what ManagementPlane %s rests on could not be read; the webhook's log says why; try again", req.subject())
	return v
}

// WithItsNamespace admits the deletion of an object whose namespace is being deleted.
func (q Question) WithItsNamespace(v Verdict) Verdict {
	return Verdict{Allowed: true, Decision: Allowed, Rule: RuleNamespace, Withdrawn: v.Withdrawn, Roster: v.Roster,
		Warnings: warnings(fmt.Sprintf("ManagementPlane %s goes with its namespace", q.req.subject()))}
}

// Audit is the verdict as audit annotations; the API server puts the webhook's name before each key. No value is
// longer than 100 characters or holds a line break; what does not apply is left out.
func (v Verdict) Audit(version string) map[string]string {
	audit := map[string]string{
		"decision":  v.Decision,
		"withdrawn": joined(v.Withdrawn),
		"blockers":  strconv.Itoa(blockingMembers(v.Blockers)),
		"version":   clean(version, 100),
	}
	for key, value := range map[string]string{"rule": v.Rule, "digest": v.Digest, "override": string(v.Override),
		"roster": v.Roster} {
		if value != "" {
			audit[key] = value
		}
	}
	return audit
}

// subject names the ManagementPlane; one that is created with generateName has no name yet.
func (r Request) subject() string {
	name := r.Name
	if name == "" {
		name = "(new)"
	}
	return clean(r.Namespace+"/"+name, 200)
}

func joined(creds []guard.Cred) string {
	var words []string
	for _, c := range creds {
		words = append(words, string(c))
	}
	return strings.Join(words, ",")
}
