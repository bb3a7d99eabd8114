package xcpsim

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hubModes reads what Central shall accept from a ManagementPlane's spec.components.xcp.centralAuthModes. Both entries are plain
// booleans and a missing one is false; an absent, empty or null stanza means what unset says. Anything else is an error, upon which the
// operator leaves things as they are. {jwt: false, mutualTls: false}, written out, accepts nothing.
func hubModes(mp *unstructured.Unstructured, unset Unset) (map[Credential]bool, error) {
	xcp, err := xcpStanza(mp)
	if err != nil {
		return nil, err
	}
	switch v := xcp["centralAuthModes"].(type) {
	case nil:
		return unsetModes(unset), nil
	case map[string]any:
		out := map[Credential]bool{}
		said := false
		for key, val := range v {
			cred, ok := map[string]Credential{"jwt": JWT, "mutualTls": MTLS}[key]
			if !ok {
				return nil, fmt.Errorf("centralAuthModes: unknown field %q", key)
			}
			switch b := val.(type) {
			case nil: // null is the same as not there
			case bool:
				out[cred], said = b, true
			default:
				return nil, fmt.Errorf("centralAuthModes.%s: %v is not a boolean", key, val)
			}
		}
		if !said {
			return unsetModes(unset), nil
		}
		return out, nil
	default:
		return nil, fmt.Errorf("centralAuthModes: %v is not an object", v)
	}
}

func unsetModes(u Unset) map[Credential]bool {
	return map[Credential]bool{JWT: u != UnsetMTLS, MTLS: u != UnsetJWT}
}

// edgeMode reads spec.components.xcp.centralAuthMode of a ControlPlane; absent, null and UNKNOWN mean what unset says.
func edgeMode(cp *unstructured.Unstructured, unset Unset) (string, error) {
	xcp, err := xcpStanza(cp)
	if err != nil {
		return "", err
	}
	mode, err := modeValue(xcp["centralAuthMode"])
	if err != nil || mode != "" {
		return mode, err
	}
	if unset == UnsetJWT {
		return modeJWT, nil
	}
	return modeMTLS, nil
}

// modeValue accepts the enum's names only; "" stands for unset.
func modeValue(v any) (string, error) {
	switch v {
	case nil, "UNKNOWN":
		return "", nil
	case modeMTLS, modeJWT:
		return v.(string), nil
	}
	return "", fmt.Errorf("centralAuthMode: unknown value %v", v)
}

// xcpStanza returns spec.components.xcp, nil if absent; the key spellings of other versions are unknown fields.
func xcpStanza(cr *unstructured.Unstructured) (map[string]any, error) {
	xcp, _, err := unstructured.NestedMap(cr.Object, "spec", "components", "xcp")
	if err != nil {
		if v, found, _ := unstructured.NestedFieldNoCopy(cr.Object, "spec", "components", "xcp"); found && v == nil {
			return nil, nil
		}
		return nil, err
	}
	for _, alias := range []string{"central_auth_mode", "central_auth_modes"} {
		if _, found := xcp[alias]; found {
			return nil, fmt.Errorf("spec.components.xcp: unknown field %q", alias)
		}
	}
	return xcp, nil
}

// edgeSpec returns the EdgeXcp spec that the operator renders for a ControlPlane: typed fields first, then the overlays that target
// EdgeXcp/edge-xcp, which may overrule them.
func edgeSpec(cp *unstructured.Unstructured, unset Unset) (map[string]any, error) {
	mode, err := edgeMode(cp, unset)
	if err != nil {
		return nil, err
	}
	host, _, _ := unstructured.NestedString(cp.Object, "spec", "managementPlane", "host")
	cluster, _, _ := unstructured.NestedString(cp.Object, "spec", "managementPlane", "clusterName")
	port, _, _ := unstructured.NestedFieldNoCopy(cp.Object, "spec", "managementPlane", "port")
	if host == "" || cluster == "" || port == nil {
		return nil, fmt.Errorf("spec.managementPlane needs host, port and clusterName")
	}
	spec := map[string]any{
		"centralAuthMode":    mode,
		"xcpEdgeClusterName": cluster,
		"xcpCentralHost":     joinHostPort(host, port),
	}
	if mode == modeJWT {
		spec["centralAuthJwt"] = map[string]any{"secret": edgeTokenSecret, "centralCaSecret": caBundleSecret}
	}
	return spec, applyOverlays(spec, cp)
}

func joinHostPort(host string, port any) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%v", host, port)
}

// applyOverlays sets the dotted paths below spec of every overlay for EdgeXcp/edge-xcp; list paths (env[-1] and the like) do not touch
// authentication and are passed over.
func applyOverlays(spec map[string]any, cp *unstructured.Unstructured) error {
	overlays, _, _ := unstructured.NestedSlice(cp.Object, "spec", "components", "xcp", "kubeSpec", "overlays")
	for _, o := range overlays {
		overlay, ok := o.(map[string]any)
		if !ok || overlay["kind"] != "EdgeXcp" || overlay["name"] != edgeXcpName {
			continue
		}
		patches, _ := overlay["patches"].([]any)
		for _, p := range patches {
			patch, ok := p.(map[string]any)
			if !ok {
				continue
			}
			path, _ := patch["path"].(string)
			keys := strings.Split(path, ".")
			if len(keys) < 2 || keys[0] != "spec" || strings.Contains(path, "[") {
				continue
			}
			if err := unstructured.SetNestedField(spec, patch["value"], keys[1:]...); err != nil {
				return fmt.Errorf("overlay path %s: %w", path, err)
			}
		}
	}
	return nil
}
