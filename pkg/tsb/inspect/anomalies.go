package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/overlay"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// misplaced finds the keys beside the typed field that are the other plane's: its plural, or its singular. Another
// spelling of the field itself is found where the field is read.
func misplaced(obj map[string]any, want string) []plan.Anomaly {
	xcp, _ := state.Walk(obj, "", "spec", "components", "xcp")
	other := map[string]string{"centralAuthModes": "centralauthmode", "centralAuthMode": "centralauthmodes"}[want]
	var odd []plan.Anomaly
	for _, key := range slices.Sorted(maps.Keys(xcp)) {
		if overlay.Plain(key) == other {
			odd = append(odd, plan.Anomaly{Path: state.XCPPath + "." + key, Value: state.NewAnomaly("", xcp[key], "").Value,
				Consequence: "not a documented key here, so it sets nothing for sure; the key is " + want})
		}
	}
	return odd
}

// dialled finds what keeps a ControlPlane from saying which hub it dials and as whom.
func dialled(cp map[string]any) []plan.Anomaly {
	mp, odd := state.Walk(cp, "", "spec", "managementPlane")
	if len(odd) > 0 {
		return nil // said already
	}
	var all []plan.Anomaly
	for _, key := range []string{"host", "clusterName"} {
		if v, _ := mp[key].(string); v == "" {
			all = append(all, plan.Anomaly{Path: "spec.managementPlane." + key, Value: state.NewAnomaly("", mp[key], "").Value,
				Consequence: "it must be a text, and is required; the edge's hub cannot be told for sure"})
		} else if strings.TrimSpace(v) != v {
			all = append(all, plan.Anomaly{Path: "spec.managementPlane." + key, Value: state.NewAnomaly("", v, "").Value,
				Consequence: "it has white space at its start or end; write it without"})
		}
	}
	return all
}

// documentedOverlays are the overlays that the vendor's pages use themselves. They set no mode, and yet move what is
// checked: the name under which Central is verified, and the secret with its CA.
func documentedOverlays(cp map[string]any) []plan.Anomaly {
	xcp, _ := state.Walk(cp, "", "spec", "components", "xcp")
	var all []plan.Anomaly
	for _, set := range overlay.Documented(xcp["kubeSpec"]) {
		o := plan.Anomaly{Path: state.XCPPath + "." + set.Path, Value: "a patch of " + set.Field, Overlay: true,
			Documented: true}
		if o.Consequence = fmt.Sprintf("Central's certificate must carry %q for this edge, not the address that it dials",
			state.OverlaySNI(xcp)); set.Field == overlay.CentralCASecret {
			o.Consequence = "the edge verifies Central with the secret named there; what is said here of secret " +
				state.SecretCA +
				" holds only if that is the one"
		}
		all = append(all, o)
	}
	return all
}
