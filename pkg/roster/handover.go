package roster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Encode writes entries with their statements as YAML documents, for another team to take over.
func Encode(entries []api.EdgeCluster) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range entries {
		doc, err := yaml.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encoding the statement about %s: %w", e.Name, err)
		}
		b.WriteString("---\n")
		b.Write(doc)
	}
	return b.Bytes(), nil
}

var separator = regexp.MustCompile(`(?m)^---[ \t]*$`)

// Decode reads what Encode wrote. A key that the kind does not have is an error: somebody meant something by it.
func Decode(text []byte) ([]api.EdgeCluster, error) {
	var entries []api.EdgeCluster
	for i, doc := range separator.Split(string(text), -1) {
		raw, err := yaml.YAMLToJSONStrict([]byte(doc))
		if err != nil {
			return nil, fmt.Errorf("document %d is not YAML: %w", i, err)
		}
		if string(raw) == "null" {
			continue
		}
		var e api.EdgeCluster
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("document %d is no EdgeCluster of %s: %w", i, api.GroupVersion, err)
		}
		if e.Kind != "EdgeCluster" || e.APIVersion != api.GroupVersion.String() {
			return nil, fmt.Errorf("document %d is a %s of %q; it must be an EdgeCluster of %s", i, e.Kind, e.APIVersion,
				api.GroupVersion)
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("there is no EdgeCluster in it")
	}
	return entries, nil
}

// proveAgain is what an edge's team does for a newer statement.
const proveAgain = "; let its team verify it again: kubectl xcpauth edge publish --no-hub --out FILE"

// Unacceptable says why a statement that was provided cannot be taken over into the roster, "" when it can. listed is
// the roster's entry of that name, nil when there is none; f is what the hub's team itself sees.
func Unacceptable(e api.EdgeCluster, listed *api.EdgeCluster, f plan.State, wanted guard.Cred) string {
	st, cp := StatementOf(e, f.At), e.Spec.ControlPlane
	switch {
	case e.Name == "" || e.Name != ObjectName(e.Name) || (e.Namespace != "" && e.Namespace != api.Namespace):
		return fmt.Sprintf("%q in namespace %q is no name of an entry; it must be as kubectl xcpauth edge publish --no-hub wrote it", e.Name, e.Namespace)
	case e.Spec.Role != api.RoleEdge:
		return fmt.Sprintf("its role is %q, and only edges are published: the hub's team verifies MPC itself", e.Spec.Role)
	case e.Spec.ClusterName == "" || cp == nil || cp.UID == "" || e.Spec.ClusterUID == "":
		return "it does not say which cluster and which ControlPlane it is about" + proveAgain
	case st == nil || !slices.Equal(st.Presents, []guard.Cred{wanted}):
		return fmt.Sprintf("it does not say that the edge presents %s and nothing else%s", wanted, proveAgain)
	case e.Status.ControlPlaneUID != cp.UID:
		return fmt.Sprintf("it was seen of a ControlPlane with the UID %s, and is about one with the UID %s%s",
			e.Status.ControlPlaneUID, cp.UID, proveAgain)
	case st.Invalid != "":
		return st.Invalid + proveAgain
	case e.Status.RotationTime != nil && e.Status.RotationTime.After(f.At.Add(ahead)):
		return "its token's rotation was seen later than now; a clock is wrong" + proveAgain
	case !f.At.Before(st.Until):
		return fmt.Sprintf("it was seen at %s and is believed until %s, which is over%s", st.Observed.Format(time.RFC3339),
			st.Until.Format(time.RFC3339), proveAgain)
	case f.Hub.InventoryErr != "":
		return f.Hub.InventoryErr
	case f.Hub.Inventory != nil && !slices.Contains(f.Hub.Inventory, e.Spec.ClusterName):
		return fmt.Sprintf("the hub does not list a cluster %q (clusters.xcp.tetrate.io); it belongs to another hub, or is not onboarded", e.Spec.ClusterName)
	}
	if slices.ContainsFunc(f.Hub.Inventory, func(cluster string) bool {
		return cluster != e.Spec.ClusterName &&
			ObjectName(cluster) == e.Name
	}) {
		return fmt.Sprintf("it is of cluster %q, and %q is another one at the hub", e.Spec.ClusterName, e.Name)
	}
	for _, p := range f.Hub.History {
		if slices.Contains(p.Steps, ForgetStep(e.Name)) && !st.Observed.After(p.Ended) {
			return fmt.Sprintf("it was forgotten at %s by %s, after that was seen%s", p.Ended.Format(time.RFC3339),
				p.By, proveAgain)
		}
	}
	if !namedAfter(e.Name, e.Spec.ClusterName) {
		return fmt.Sprintf("it is named %q and is about cluster %q; it must be as kubectl xcpauth edge publish --no-hub wrote it", e.Name, e.Spec.ClusterName)
	}
	if listed != nil {
		if why := entryMismatch(e, *listed, st.Observed); why != "" {
			return why
		}
	}
	for _, m := range f.Members {
		switch {
		case ObjectName(m.Name) != e.Name:
		case m.Role != plan.RoleEdge:
			return m.Name + " is the hub's own client, which its team verifies itself"
		case m.Err == "" && m.Object.UID != cp.UID:
			return fmt.Sprintf("in context %s its ControlPlane has the UID %s, and the statement is about one with the UID %s%s",
				m.Context, m.Object.UID, cp.UID, proveAgain)
		case m.Err == "" && !slices.Equal(m.Evidence.Presents, st.Presents):
			return fmt.Sprintf("what is seen in context %s contradicts it (%s)%s", m.Context, m.Evidence.Why, proveAgain)
		}
	}
	return ""
}

// entryMismatch says in what a statement does not fit the roster's entry of the same name.
func entryMismatch(e, listed api.EdgeCluster, observed time.Time) string {
	rebuilt := fmt.Sprintf("; if the cluster was rebuilt, take the old entry out with: kubectl xcpauth edge forget %s --reason WHY", e.Name)
	was := listed.Spec.ControlPlane
	switch {
	case listed.Spec.Role != e.Spec.Role:
		return fmt.Sprintf("the roster's entry of that name has the role %s", listed.Spec.Role)
	case listed.Spec.ClusterName != e.Spec.ClusterName:
		return fmt.Sprintf("the roster's entry of that name is of cluster %q, and the statement of %q%s",
			listed.Spec.ClusterName, e.Spec.ClusterName, rebuilt)
	case was != nil && was.UID != e.Spec.ControlPlane.UID:
		return fmt.Sprintf("the roster lists its ControlPlane with the UID %s, and the statement is about one with the UID %s%s", was.UID, e.Spec.ControlPlane.UID, rebuilt)
	case listed.Spec.ClusterUID != "" && listed.Spec.ClusterUID != e.Spec.ClusterUID:
		return fmt.Sprintf("the roster lists it in the cluster with the UID %s, and the statement is of %s%s",
			listed.Spec.ClusterUID, e.Spec.ClusterUID, rebuilt)
	case TakenBackSince(listed.Status, observed) != "":
		return "what it says was taken back since" + proveAgain
	case listed.Status.ObservedTime != nil && listed.Status.ObservedTime.After(observed):
		return fmt.Sprintf("the roster has a newer statement already, of %s",
			listed.Status.ObservedTime.UTC().Format(time.RFC3339))
	}
	return ""
}

// ForgetStep is what the history calls it that a member was forgotten although it runs.
func ForgetStep(member string) string { return "forget/" + ObjectName(member) }

// MemberOf is the member that an entry lists.
func MemberOf(e api.EdgeCluster) plan.Member {
	m := plan.Member{Identity: plan.Identity{Name: e.Name, ClusterName: e.Spec.ClusterName,
		ClusterUID: e.Spec.ClusterUID, Role: plan.RoleEdge}}
	if cp := e.Spec.ControlPlane; cp != nil {
		m.Object = plan.Ref{Kind: "ControlPlane", Namespace: cp.Namespace, Name: cp.Name, UID: cp.UID}
	}
	return m
}
