package verdict

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// OverrideAnnotation carries, in the edit that it is meant for, the digest of the blockers that this edit is to go
// over.
const OverrideAnnotation = "xcpauth.io/override"

// OverrideVerb is the virtual RBAC verb on a ManagementPlane that its override needs.
const OverrideVerb = "override"

// Override is how far an override of a denial got.
type Override string

// The states of an override. Only the last admits anything.
const (
	NotAsked Override = ""         // the edit brings no annotation
	Stale    Override = "stale"    // the annotation was there before the edit: it admitted another one, or none
	Mismatch Override = "mismatch" // the annotation is not the digest of these blockers
	// the edit brings the digest of these very blockers; nobody has looked yet whether its user may
	Claimed   Override = "claimed"
	Forbidden Override = "forbidden" // its user may not
	Unknown   Override = "unknown"   // whether its user may could not be asked
	Admitted  Override = "admitted"
)

// Permission is what the API server says of the right of a user to override.
type Permission struct {
	User    string
	Granted bool
	Err     error // it could not be asked; whatever Granted says, nothing is granted then
}

// claim tells how far an edit gets by its annotation alone: it must be brought by this edit, so that one that is
// stored admits nothing ever again, and it must be the digest of the blockers of this very decision, so that a new
// blocker voids it.
//
// A deletion brings no object: its annotation is stored before, and goes with the object. Its digest names the user and
// the generation too, so that it admits nothing to anybody else, and nothing after another edit.
func (q Question) claim(digest string) Override {
	if q.req.Operation == Delete {
		switch q.override(q.req.Old) {
		case "":
			return NotAsked
		case digest:
			return Claimed
		}
		return Mismatch
	}
	before, now := q.override(q.req.Old), q.override(q.req.New)
	switch {
	case now == before && now == digest:
		return Stale
	case now == before || now == "":
		return NotAsked
	case now != digest:
		return Mismatch
	}
	return Claimed
}

// brought is the override that a request brings.
func (q Question) brought() string {
	if q.req.Operation == Delete {
		return q.override(q.req.Old)
	}
	return q.override(q.req.New)
}

func (q Question) override(obj map[string]any) string {
	return text(obj, "metadata", "annotations", OverrideAnnotation)
}

// Override settles a denial whose override is Claimed; any other verdict stays as it is.
func (q Question) Override(v Verdict, p Permission) Verdict {
	switch {
	case v.Override != Claimed:
		return v
	case p.Err != nil:
		v.Override, v.Cause = Unknown, p.Err.Error()
	case !p.Granted:
		v.Override = Forbidden
	default:
		v.Override, v.Allowed, v.Decision, v.Code, v.Message = Admitted, true, Overridden, 0, ""
		v.Warnings = q.cutOff(v)
		return v
	}
	v.Message = q.denial(v, p)
	return v
}

// digest names the blockers of a decision, in 16 hexadecimal digits: what is withdrawn, who stands against it with
// which credential, and from which ManagementPlane, by its UID or, where there is none yet, its name. Why a member
// stands against it is left out, since that holds times.
func (q Question) digest(blockers []guard.Blocker) string {
	of := text(q.req.Old, "metadata", "uid") // at CREATE the new object has one already, of this attempt alone
	if of == "" {
		of = q.req.Namespace + "/" + q.req.Name
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", of, q.withdrawn)
	for _, b := range blockers {
		fmt.Fprintf(h, " %q %q", b.Member, b.Cred)
	}
	if q.req.Operation == Delete {
		metadata, _ := q.req.Old["metadata"].(map[string]any)
		fmt.Fprintf(h, " deleted by %q at generation %v", q.req.User, metadata["generation"])
	}
	if len(q.owners) > 0 {
		fmt.Fprintf(h, " owned by %q", q.owners)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// rosterDigest names what a decision was made from: every member, what it may present and how long that holds.
func rosterDigest(members []guard.Member) string {
	h := sha256.New()
	line := make([]byte, 0, 256) // one for all: an admitted edit must not cost more for each member than it has to
	for _, m := range members {
		line = binary.BigEndian.AppendUint32(line[:0], uint32(len(m.Name)))
		line = binary.BigEndian.AppendUint64(append(line, m.Name...), uint64(m.Until.Unix()))
		known := uint32(len(m.Presents)) + 1
		if m.Presents == nil {
			known = 0
		}
		line = binary.BigEndian.AppendUint32(line, known)
		for _, c := range m.Presents {
			line = append(binary.BigEndian.AppendUint32(line, uint32(len(c))), c...)
		}
		h.Write(line)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// overrideHint says in one or two lines what an override needs, given what became of the one that was tried.
func (q Question) overrideHint(v Verdict, p Permission) string {
	with := fmt.Sprintf("%s=%s", OverrideAnnotation, v.Digest)
	switch v.Override {
	case Forbidden:
		return fmt.Sprintf("%s may not override this: the RBAC verb %s on managementplanes.install.tetrate.io %s is needed (ClusterRole xcpauth-override).",
			user(p.User), OverrideVerb, q.req.subject())
	case Unknown:
		return fmt.Sprintf("Whether %s may override this could not be asked, so it is denied: %s; try again.", user(p.User),
			clean(p.Err.Error(), 300))
	case Stale:
		return fmt.Sprintf("The annotation %s was there before this edit, and an override is for one edit. Take it off, then make the edit with it: %s", with, q.takeOff())
	}
	said := ""
	if v.Override == Mismatch {
		said = fmt.Sprintf("The annotation %s=%s does not name these blockers. ", OverrideAnnotation, clean(q.brought(), 40))
	}
	if q.req.Operation == Delete {
		return said + fmt.Sprintf("To cut them off on purpose, a user with the RBAC verb %s here sets the annotation %s, which names these blockers and %s, and deletes it again%s",
			OverrideVerb, with, user(q.req.User), q.deleteAgain(with))
	}
	said += fmt.Sprintf("To cut them off on purpose, who has the RBAC verb %s here makes this very edit with the annotation %s, which names these blockers", OverrideVerb, with)
	if command := q.again(v.Digest); command != "" {
		return said + ":\n" + command
	}
	return said + "."
}

// named are names of objects and namespaces that need no quoting.
var named = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// takeOff is the command that takes a used annotation off.
func (q Question) takeOff() string {
	if !named.MatchString(q.req.Name) || !named.MatchString(q.req.Namespace) {
		return "metadata.annotations"
	}
	return fmt.Sprintf("kubectl annotate managementplane %s -n %s %s-", q.req.Name, q.req.Namespace, OverrideAnnotation)
}

// deleteAgain are the commands that delete the object with the annotation.
func (q Question) deleteAgain(annotation string) string {
	if !named.MatchString(q.req.Name) || !named.MatchString(q.req.Namespace) {
		return "."
	}
	of := fmt.Sprintf("managementplane %s -n %s", q.req.Name, q.req.Namespace)
	return fmt.Sprintf(":\nkubectl annotate --overwrite %s %s\nkubectl delete %s", of, annotation, of)
}

// patchMax is how long a patch may be that a message prints.
const patchMax = 600

// again is the command that makes the edit with the annotation: a merge patch of the stanza. It is "" where such a
// patch would not withdraw the same, is too long, or holds what does not belong on a command line.
func (q Question) again(digest string) string {
	if q.req.Operation != Update || len(q.owners) > 0 || !named.MatchString(q.req.Name) ||
		!named.MatchString(q.req.Namespace) {
		return ""
	}
	before, isMap := xcp(q.req.Old)
	if !isMap {
		return ""
	}
	asked, _ := xcp(q.req.New)
	patch, after := mergePatch(before["centralAuthModes"], asked["centralAuthModes"])
	edited := map[string]any{} // before may be nil
	maps.Copy(edited, before)
	delete(edited, "centralAuthModes")
	if after != nil {
		edited["centralAuthModes"] = after
	}
	hub, _ := state.ReadHub(map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": edited}}})
	if !slices.Equal(guard.Withdrawn(q.old, hub), q.withdrawn) {
		return ""
	}
	doc, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{OverrideAnnotation: digest}},
		"spec":     map[string]any{"components": map[string]any{"xcp": map[string]any{"centralAuthModes": patch}}},
	})
	if err != nil || len(doc) > patchMax || strings.ContainsFunc(string(doc),
		func(r rune) bool { return r < ' ' || r > '~' || r == '\'' }) {
		return ""
	}
	return fmt.Sprintf("kubectl patch managementplane %s -n %s --type=merge -p '%s'", q.req.Name, q.req.Namespace, doc)
}

// xcp is spec.components.xcp of an object; false says that it, or what leads to it, is there and is no map.
func xcp(obj map[string]any) (map[string]any, bool) {
	for _, key := range []string{"spec", "components", "xcp"} {
		next, isMap := obj[key].(map[string]any)
		if !isMap {
			return nil, obj[key] == nil
		}
		obj = next
	}
	return obj, true
}

// mergePatch is the JSON merge patch (RFC 7396) that makes old new, and what that leaves: a patch cannot write null.
func mergePatch(old, new any) (patch, after any) {
	want, isMap := new.(map[string]any)
	if !isMap {
		return new, new
	}
	from, _ := old.(map[string]any)
	changes, left := map[string]any{}, map[string]any{}
	for key := range from {
		if _, still := want[key]; !still {
			changes[key] = nil
		}
	}
	for key, value := range want {
		p, a := mergePatch(from[key], value)
		if a != nil {
			left[key] = a
		}
		if had, was := from[key]; !was || !reflect.DeepEqual(had, value) {
			changes[key] = p
		}
	}
	return changes, left
}

// cutOff are the warnings of an override that was admitted: who may be cut off now, each in a line.
func (q Question) cutOff(v Verdict) []string {
	lines := byMember(v.Blockers)
	told := []string{fmt.Sprintf("override admitted: ManagementPlane %s may now refuse %s, which %s may still present:",
		q.req.subject(), credList(q.withdrawn), Count(len(lines)))}
	for _, l := range lines[:min(len(lines), shown)] {
		told = append(told, fmt.Sprintf("- %s: %s (%s)", clean(l.name, 80), credList(l.creds), l.why))
	}
	if rest := len(lines) - shown; rest > 0 {
		told = append(told, fmt.Sprintf("- and %d more", rest))
	}
	return warnings(told...)
}

func user(name string) string {
	if name == "" {
		return "the user"
	}
	return clean(name, 100)
}
