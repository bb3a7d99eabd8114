package verdict

import (
	"fmt"
)

// Doubt says why a review is not known to be about what is stored. Anybody in the cluster's network can send a review;
// only who may read the object can say how it is stored at this moment.
type Doubt string

// The doubts.
const (
	Verified  Doubt = ""           // its old object is what is stored, or its caller is known
	Created   Doubt = "create"     // nothing is stored that it could be compared with
	Overtaken Doubt = "overtaken"  // of the same object, but not as it is stored now: another edit came between
	NotStored Doubt = "not-stored" // of an object that is not stored
	Malformed Doubt = "malformed"  // no review that could be compared
	NotRead   Doubt = "unreadable" // what is stored could not be read
)

// Identity is what tells one state of a stored object from all others. The zero value is no object.
type Identity struct{ UID, ResourceVersion string }

// Compare says what is in doubt of a request, given what is stored.
func (r Request) Compare(stored Identity) Doubt {
	said := Identity{text(r.Old, "metadata", "uid"), text(r.Old, "metadata", "resourceVersion")}
	switch {
	case r.Operation == Create && stored == Identity{}:
		return Created
	case r.Operation == Create || said.UID == "" || said.UID != stored.UID:
		return NotStored
	case said.ResourceVersion == "" || said.ResourceVersion != stored.ResourceVersion:
		return Overtaken
	}
	return Verified
}

// Unstored is the answer to a request about an object that is not stored: nobody is asked about anything for it.
func Unstored(req Request) Verdict {
	return Verdict{Code: conflict, Decision: Denied, Rule: RuleUnstored,
		Message: fmt.Sprintf("not decided, so denied: this is not about ManagementPlane %s as it is stored; try again",
			req.subject())}
}

// WithoutDetail is a verdict as an unverified caller gets it: whether the edit is admitted, and nothing of who the
// members are, what they present, or what would override the denial.
func (q Question) WithoutDetail(v Verdict, d Doubt) Verdict {
	if d == Verified {
		return v
	}
	bare := Verdict{Allowed: v.Allowed, Code: v.Code, Decision: v.Decision, Rule: v.Rule, Withdrawn: v.Withdrawn,
		Cause: v.Cause}
	bare.Warnings = warnings(q.anomalies()...)
	switch {
	case v.Allowed && v.Rule == RuleNobody:
		bare.Warnings = v.Warnings // there is nobody that they could name
	case v.Allowed:
	case d == Created:
		bare.Message = fmt.Sprintf("ManagementPlane %s would %s %s, which members of this hub may still present. "+
			"Create it with both modes (centralAuthModes: {jwt: true, mutualTls: true}), then make this edit: if it is denied, the denial names them.",
			q.req.subject(), q.stop(), credList(q.withdrawn))
	default:
		bare.Code, bare.Message = conflict,
			fmt.Sprintf("ManagementPlane %s changed while this was decided: %s would %s %s, "+
				"which members may still present; try again: the denial then names them", q.req.subject(), q.what(), q.stop(),
				credList(q.withdrawn))
	}
	return bare
}
