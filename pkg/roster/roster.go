package roster

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Believed is how long a statement about a member is believed when nothing keeps the member from changing.
const Believed = 15 * time.Minute

// BelievedFenced is how long it is believed when the member's own cluster was seen to deny every edit that would
// change it.
const BelievedFenced = 7 * 24 * time.Hour

// crdName is the name of the CustomResourceDefinition of EdgeCluster.
const crdName = "edgeclusters.xcpauth.io"

// Permissions are the rights to what a run writes in a hub whatever the product, of which that much was read: the
// namespace where it is not there, the journal, and the lock.
func Permissions(read map[plan.Read]plan.Result) []plan.Permission {
	namespace, _ := In(read)
	all := RunPermissions(namespace)
	if read[namespaceRead(namespace)].Missing {
		all = append(all, plan.Permission{Verb: "create", Resource: "namespaces"})
	}
	return all
}

// RunPermissions are the rights to the journal and the lock in a namespace that is there.
func RunPermissions(namespace string) []plan.Permission {
	const leases = "coordination.k8s.io"
	namespace = cmp.Or(namespace, api.Namespace)
	return []plan.Permission{
		// the journal is applied, which makes it when it is not there
		{Verb: "create", Resource: "configmaps", Namespace: namespace},
		{Verb: "patch", Resource: "configmaps", Namespace: namespace, Name: api.JournalName},
		{Verb: "create", Group: leases, Resource: "leases", Namespace: namespace},
		{Verb: "get", Group: leases, Resource: "leases", Namespace: namespace, Name: api.LockName},
		{Verb: "update", Group: leases, Resource: "leases", Namespace: namespace, Name: api.LockName},
	}
}

// Parse returns how far the roster is installed and its entries by name. An entry that cannot be decoded is an error
// in the state, never an absent entry.
func Parse(read map[plan.Read]plan.Result) (plan.RosterState, map[string]api.EdgeCluster) {
	namespace, unknown := In(read)
	there, listed := read[namespaceRead(namespace)], read[entriesRead(namespace)]
	state := plan.RosterState{In: namespace, Namespace: there.OK(), Kind: read[crdRead].OK() || listed.OK()}
	for _, r := range []plan.Result{there, listed} {
		if r.Err != "" {
			state.Err = "the roster in " + namespace + " could not be read: " + r.Err
		}
	}
	if listed.Missing && read[crdRead].OK() {
		state.Err = "the roster in " + namespace + " could not be read: the API server has its kind, and does not serve it"
	}
	if state.Err = cmp.Or(unknown, state.Err); unknown != "" || !listed.OK() {
		return state, nil
	}
	list, err := kube.DecodeList[api.EdgeCluster](listed.Body)
	if err != nil {
		state.Err = fmt.Sprintf("the roster in %s is not as its kind says: %v", namespace, err)
		return state, nil
	}
	entries := make(map[string]api.EdgeCluster, len(list))
	for _, e := range list {
		entries[e.Name] = e
	}
	return state, entries
}

// Unread says why it is not known what the journal holds, "" when it was read or is not there.
func Unread(read map[plan.Read]plan.Result) string {
	return journalOf(read).unread
}

// Held says which wave in flight of the journal there holds the object with the given UID, "" when none does. One
// that cannot be read holds every object.
func Held(read map[plan.Read]plan.Result, uid string) string {
	var journal struct {
		Data map[string]string `json:"data"`
	}
	text, _, _ := Journal(read)
	namespace, _ := In(read)
	if text == "" || kube.Decode(read[JournalRead(namespace)].Body, &journal) != nil {
		return text
	}
	var wave struct {
		Steps []struct {
			Undo []struct{ Object plan.Ref }
		}
	}
	if json.Unmarshal([]byte(journal.Data[api.JournalKey]), &wave) != nil {
		return text
	}
	for _, s := range wave.Steps {
		for _, p := range s.Undo {
			if p.Object.UID == uid {
				return text
			}
		}
	}
	return ""
}

// Journal returns what the journal holds: in one clause the wave in flight ("" when none), what the objects said
// before a migration first changed them, by UID, and the waves that were carried out. A journal that cannot be read
// may hold a wave, and says so. Nobody changes what it returns.
func Journal(read map[plan.Read]plan.Result) (
	inFlight string, originals map[string]map[string]any, past []plan.WaveRecord,
) {
	j := journalOf(read)
	return j.inFlight, j.originals, j.past
}

func journalOf(read map[plan.Read]plan.Result) kept {
	namespace, unknown := In(read)
	if unknown != "" {
		return decodeJournal(plan.Result{Err: unknown})
	}
	return plan.Cached(read[JournalRead(namespace)], decodeJournal)
}

// kept is what a journal holds, or why that is not known.
type kept struct {
	unread    string
	inFlight  string
	originals map[string]map[string]any
	past      []plan.WaveRecord
}

func decodeJournal(r plan.Result) (j kept) {
	var journal struct {
		Data map[string]string `json:"data"`
	}
	switch {
	case r.Err != "":
		j.unread = "the journal could not be read: " + r.Err
	case !r.OK():
		return j
	case kube.Decode(r.Body, &journal) != nil:
		j.unread = "the journal is not as a ConfigMap is"
	}
	if j.unread != "" {
		j.inFlight = "a wave that is not known (" + j.unread + ")"
		return j
	}
	if text := journal.Data[api.JournalKey]; text != "" {
		var wave struct{ Wave, By, Began string }
		j.inFlight = "a wave that cannot be read"
		if json.Unmarshal([]byte(text), &wave) == nil {
			j.inFlight = fmt.Sprintf("the wave %q of %s, begun %s", wave.Wave, wave.By, wave.Began)
		}
	}
	// What cannot be read of these two is as if it were not there: nothing is decided from it but where a way back ends.
	_ = json.Unmarshal([]byte(journal.Data[api.OriginalsKey]), &j.originals)
	_ = json.Unmarshal([]byte(journal.Data[api.HistoryKey]), &j.past)
	return j
}

// ahead is how far a statement's time may lie ahead of the reader's clock.
const ahead = time.Minute

// StatementOf is what an entry says of its member at the given time, nil when it says nothing. It is never believed
// longer than Believed after it was seen, or BelievedFenced behind a fence, whatever it says itself; and it is void
// when it does not say when that was, when that lies ahead, or later than it was written, or when its ControlPlane
// was re-created. So a clock that is wrong where it was made does not lengthen its life.
func StatementOf(e api.EdgeCluster, now time.Time) *plan.Statement {
	st, says := Says(&e, now)
	if !says {
		return nil
	}
	return &st
}

// Says is StatementOf without an allocation for each entry of a large roster; false when the entry says nothing.
func Says(e *api.EdgeCluster, now time.Time) (st plan.Statement, says bool) {
	s := &e.Status
	if len(s.Presents) == 0 || s.ValidUntil == nil {
		return st, false
	}
	st = plan.Statement{Presents: credentials(s.Presents), Until: s.ValidUntil.UTC(), Source: s.Source,
		Evidence: s.Witnesses, Rotated: s.RotationTime != nil}
	if cp := e.Spec.ControlPlane; cp != nil && cp.UID != s.ControlPlaneUID {
		st.Invalid = "the ControlPlane was re-created since"
	}
	switch {
	case s.ObservedTime == nil:
		st.Invalid = "it does not say when that was seen"
		return st, true
	case s.ObservedTime.After(now.Add(ahead)):
		st.Invalid = "it says that it was seen later than now; a clock is wrong"
	case saidLater(s.ObservedTime.Time, written(e)):
		st.Invalid = "it says that it was seen later than it was written into the roster; a clock is wrong"
	}
	st.Observed = s.ObservedTime.UTC()
	believed := Believed
	if f := s.Fence; f != nil && f.UID != "" && !f.ProvenTime.IsZero() {
		st.Fence, st.FenceSeen, believed = f.UID, f.ProvenTime.UTC(), BelievedFenced
		if f.ProvenTime.After(s.ObservedTime.Add(ahead)) {
			st.Invalid = "its fence was seen later than what stands behind it; a clock is wrong"
		}
	}
	if last := st.Observed.Add(believed); st.Until.After(last) {
		st.Until = last
	}
	return st, true
}

// single is the lists of one credential that nearly every entry has; nobody may change them.
var single = [][]guard.Cred{{"jwt"}, {"mtls"}}

// credentials are the names of credentials as such.
func credentials(names []string) []guard.Cred {
	for _, one := range single {
		if len(names) == 1 && string(one[0]) == names[0] {
			return slices.Clip(one)
		}
	}
	all := make([]guard.Cred, len(names))
	for i, c := range names {
		all[i] = guard.Cred(c)
	}
	return all
}

// saidLater says whether something was seen later than it was written, as far as that is known.
func saidLater(seen, written time.Time) bool {
	return !written.IsZero() && seen.After(written.Add(ahead))
}

// written is when an entry's statement was last written, in the clock of the API server that keeps it; zero when its
// managedFields do not say.
func written(e *api.EdgeCluster) time.Time {
	for _, f := range e.ManagedFields {
		if writesStatement(f) {
			return f.Time.Time
		}
	}
	return time.Time{}
}

// Writer is all of an entry's managedFields that StatementOf looks at: when the statement was last written.
func Writer(fields []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	for _, f := range fields {
		if writesStatement(f) {
			return []metav1.ManagedFieldsEntry{{Subresource: f.Subresource, Time: f.Time, FieldsV1: observedTime}}
		}
	}
	return nil
}

func writesStatement(f metav1.ManagedFieldsEntry) bool {
	return f.Subresource == "status" && f.Time != nil && f.FieldsV1 != nil &&
		strings.Contains(f.FieldsV1.GetRawString(), `"f:observedTime"`)
}

// namedAfter says whether an entry can be one of an edge of that cluster: it has its name, or, where several claim
// that, begins with it. A cluster that an entry is about is no stranger to the webhook any more.
func namedAfter(entry, cluster string) bool {
	begins := strings.ReplaceAll(strings.Trim(plain(cluster), "-."), ".", "-") + "-"
	return entry == ObjectName(cluster) || strings.HasPrefix(strings.ReplaceAll(entry, ".", "-"),
		begins[:min(len(begins), 200)])
}

// Ref names the entry of a member in the roster's namespace, "" for the usual one.
func Ref(namespace, name string) plan.Ref {
	return plan.Ref{Group: api.GroupVersion.Group, Version: api.GroupVersion.Version, Resource: api.EdgeClusters.Resource,
		Kind: "EdgeCluster", Namespace: cmp.Or(namespace, api.Namespace), Name: ObjectName(name)}
}

// Statement is the status that says what was verified of a member, seen at observed and believed for Believed, or
// BelievedFenced behind a fence; rotated says that a session of it was seen to outlive the credential with which it
// began.
func Statement(m plan.Member, presents guard.Cred, rotated bool, fence *api.FenceStatus, witnesses []string,
	source string, observed time.Time) api.EdgeClusterStatus {
	believed := Believed
	if fence != nil {
		believed = BelievedFenced
	}
	seen, until := metav1.NewTime(observed), metav1.NewTime(observed.Add(believed))
	st := api.EdgeClusterStatus{Presents: []string{string(presents)}, ObservedTime: &seen, ValidUntil: &until,
		ControlPlaneUID: m.Object.UID, Source: source, Witnesses: witnesses, Fence: fence}
	if rotated {
		st.RotationTime = &seen
	}
	return st
}

// NamespaceRef names the namespace of the roster and the journal, "" for the usual one.
func NamespaceRef(namespace string) plan.Ref {
	return plan.Ref{Version: "v1", Resource: "namespaces", Kind: "Namespace", Name: cmp.Or(namespace, api.Namespace)}
}

// NamespaceObject is the namespace of the roster and the journal, "" for the usual one.
func NamespaceObject(namespace string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": cmp.Or(namespace, api.Namespace)}}
}

// CRDRef names the CustomResourceDefinition of EdgeCluster.
func CRDRef() plan.Ref {
	return plan.Ref{Group: crdRead.Group, Version: crdRead.Version, Resource: crdRead.Resource,
		Kind: "CustomResourceDefinition", Name: crdName}
}

// CRDObject is the CustomResourceDefinition as manifests/ ships it. What it holds is shared, and is not to be changed.
func CRDObject() map[string]any { return maps.Clone(crdObject()) }

// crdObject is read once: each plan of a hub without the roster has it.
var crdObject = sync.OnceValue(func() map[string]any { return mustObject(yaml.YAMLToJSON(manifests.EdgeClusterCRD)) })

// Renewal is the entry's spec as it is to be after the member's object was re-created, as a merge patch.
func Renewal(m plan.Member) map[string]any {
	return map[string]any{"spec": EntryObject("", m)["spec"]}
}

// EntryObject is Entry without a status.
func EntryObject(namespace string, m plan.Member) map[string]any {
	o := mustObject(json.Marshal(Entry(namespace, m)))
	delete(o, "status")
	return o
}

// Entry is the EdgeCluster that registers a member in the roster's namespace, "" for the usual one.
func Entry(namespace string, m plan.Member) api.EdgeCluster {
	e := api.EdgeCluster{
		TypeMeta:   metav1.TypeMeta{APIVersion: api.GroupVersion.String(), Kind: "EdgeCluster"},
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(m.Name), Namespace: cmp.Or(namespace, api.Namespace)},
		Spec:       api.EdgeClusterSpec{Role: api.RoleEdge, ClusterName: m.ClusterName, ClusterUID: m.ClusterUID},
	}
	if m.Role == plan.RoleMPC {
		e.Spec.Role, e.Spec.ClusterName = api.RoleMPC, ""
		return e
	}
	e.Spec.ControlPlane = &api.ControlPlaneReference{Namespace: m.Object.Namespace, Name: m.Object.Name, UID: m.Object.UID}
	return e
}

var observedTime = metav1.NewFieldsV1(`{"f:status":{"f:observedTime":{}}}`)

// ObjectName is the name of a member's entry: its own name where that can be an object's, else one made of it.
func ObjectName(member string) string {
	made := plain(member)
	if made == member && made == strings.Trim(made, "-.") && !strings.Contains(made, "..") && len(made) <= 200 {
		return made
	}
	sum := sha256.Sum256([]byte(member))
	made = strings.ReplaceAll(made[:min(len(made), 200)], ".", "-")
	return strings.Trim(made+"-"+hex.EncodeToString(sum[:4]), "-")
}

// plain is a member's name with what no object's name has replaced.
func plain(member string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, member)
}

// RetractedStatus is the status that states nothing of a member, as a merge patch; see TakenBack.
func RetractedStatus() map[string]any {
	return map[string]any{"status": map[string]any{"presents": nil, "validUntil": nil, "witnesses": nil,
		"controlPlaneUID": nil, "rotationTime": nil, "fence": nil}}
}

// TakenBack is a Void that says when, as the time of what was seen last: what was seen before that is not published
// any more, whoever holds it.
func TakenBack(void map[string]any, at time.Time) map[string]any {
	status := map[string]any{}
	maps.Copy(status, void["status"].(map[string]any))
	// times are kept in whole seconds: never too early
	status["observedTime"] = at.UTC().Add(time.Second - 1).Truncate(time.Second).Format(time.RFC3339)
	return map[string]any{"status": status}
}

// TakenBackSince says why a statement that was seen at observed must not be published over the status that stands, ""
// when it may.
func TakenBackSince(stands api.EdgeClusterStatus, observed time.Time) string {
	if t := stands.ObservedTime; t != nil && len(stands.Presents) == 0 && !observed.After(t.Time) {
		return fmt.Sprintf("what was stated of it was taken back at %s, and this was seen before",
			t.UTC().Format(time.RFC3339))
	}
	return ""
}

// mustObject decodes what this package itself encoded, or embeds: it cannot fail on anybody's input.
func mustObject(b []byte, err error) map[string]any {
	var o map[string]any
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		panic("roster: an object of our own does not encode: " + err.Error())
	}
	return o
}
