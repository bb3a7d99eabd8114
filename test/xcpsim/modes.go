package xcpsim

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// reading is how an operator takes what the vendor leaves open.
type reading struct {
	unset   Unset
	aliases bool // the other spellings of protobuf JSON, snake_case names and enum numbers, are understood
}

// field returns a field of a message, nil if it is absent; its alias counts as the field or as an unknown one, and as
// neither beside it.
func (r reading) field(message map[string]any, name, alias string) (any, error) {
	other, aliased := message[alias]
	if !aliased {
		return message[name], nil
	}
	if !r.aliases {
		return nil, fmt.Errorf("unknown field %q", alias)
	}
	if _, both := message[name]; both {
		return nil, fmt.Errorf("duplicate field %q", alias)
	}
	return other, nil
}

// hubModes reads what Central shall accept from a ManagementPlane's spec.components.xcp.centralAuthModes. Both
// entries are plain booleans and a missing one is false; an absent, empty or null stanza means what unset says.
// Anything else is an error, upon which the operator leaves things as they are. {jwt: false, mutualTls: false},
// written out, accepts nothing.
func hubModes(mp *unstructured.Unstructured, r reading) (map[Credential]bool, error) {
	xcp, err := xcpStanza(mp)
	if err != nil {
		return nil, err
	}
	stanza, err := r.field(xcp, "centralAuthModes", "central_auth_modes")
	if err != nil {
		return nil, fmt.Errorf("spec.components.xcp: %w", err)
	}
	switch v := stanza.(type) {
	case nil:
		return unsetModes(r.unset), nil
	case map[string]any:
		return readModes(v, r)
	default:
		return nil, fmt.Errorf("centralAuthModes: %v is not an object", v)
	}
}

func readModes(stanza map[string]any, r reading) (map[Credential]bool, error) {
	for key := range stanza {
		if !slices.Contains([]string{"jwt", "mutualTls", "mutual_tls"}, key) {
			return nil, fmt.Errorf("centralAuthModes: unknown field %q", key)
		}
	}
	mutual, err := r.field(stanza, "mutualTls", "mutual_tls")
	if err != nil {
		return nil, fmt.Errorf("centralAuthModes: %w", err)
	}
	out := map[Credential]bool{}
	said := false
	for cred, val := range map[Credential]any{JWT: stanza["jwt"], MTLS: mutual} {
		switch b := val.(type) {
		case nil: // null is the same as not there
		case bool:
			out[cred], said = b, true
		default:
			return nil, fmt.Errorf("centralAuthModes: %s: %v is not a boolean", cred, val)
		}
	}
	if !said {
		return unsetModes(r.unset), nil
	}
	return out, nil
}

func unsetModes(u Unset) map[Credential]bool {
	return map[Credential]bool{JWT: u != UnsetMTLS, MTLS: u != UnsetJWT}
}

// edgeMode reads spec.components.xcp.centralAuthMode of a ControlPlane; absent, null and UNKNOWN mean what unset says.
func edgeMode(cp *unstructured.Unstructured, r reading) (string, error) {
	xcp, err := xcpStanza(cp)
	if err != nil {
		return "", err
	}
	value, err := r.field(xcp, "centralAuthMode", "central_auth_mode")
	if err != nil {
		return "", fmt.Errorf("spec.components.xcp: %w", err)
	}
	if n, ok := number(value); ok && r.aliases && n >= 0 && n < len(modeNames) {
		value = modeNames[n]
	}
	mode, err := modeValue(value)
	if err != nil || mode != "" {
		return mode, err
	}
	if r.unset == UnsetJWT {
		return modeJWT, nil
	}
	return modeMTLS, nil
}

// modeNames are the enum's names by their numbers.
var modeNames = []string{"UNKNOWN", modeMTLS, modeJWT}

func number(v any) (int, bool) {
	switch n := v.(type) {
	case int64:
		return int(n), true
	case float64:
		return int(n), n == float64(int(n))
	}
	return 0, false
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

// xcpStanza returns spec.components.xcp, nil if it is absent or null.
func xcpStanza(cr *unstructured.Unstructured) (map[string]any, error) {
	v, found, err := unstructured.NestedFieldNoCopy(cr.Object, "spec", "components", "xcp")
	if err != nil || !found || v == nil {
		return nil, err
	}
	xcp, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("spec.components.xcp: %v is not an object", v)
	}
	return xcp, nil
}

// edgeSpec returns the EdgeXcp spec that the operator renders for a ControlPlane: typed fields first, then the
// overlays that target EdgeXcp/edge-xcp, which may overrule them.
func edgeSpec(cp *unstructured.Unstructured, r reading) (map[string]any, error) {
	mode, err := edgeMode(cp, r)
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

// applyOverlays sets the dotted paths below spec of every overlay for EdgeXcp/edge-xcp; list paths (env[-1] and the
// like) do not touch authentication and are passed over.
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
