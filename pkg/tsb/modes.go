package tsb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// The two credentials of XCP.
const (
	MTLS guard.Cred = "mtls"
	JWT  guard.Cred = "jwt"
)

// Oddity is something in an object that is not written the way the product documents it. Whatever it touches is unknown.
type Oddity struct {
	Path        string `json:"path"`        // "spec.components.xcp.centralAuthModes.mutual_tls"
	Value       string `json:"value"`       // as JSON, cut to 80 characters
	Consequence string `json:"consequence"` // what it means here and what to write instead
}

func (o Oddity) String() string { return fmt.Sprintf("%s is %s: %s", o.Path, o.Value, o.Consequence) }

const xcpPath = "spec.components.xcp"

// ReadHub reads which credentials Central accepts from a ManagementPlane. The CRD has no schema, so anything can be stored;
// the reading is:
//
//   - a mode written true is accepted;
//   - a mode written false is not, nor is one left out beside another that is true (the vendor's page on JWT
//     authentication: "set to false, or alternatively remove the entry");
//   - everything else is unknown: the whole stanza absent, null or empty (the API page says mutual TLS, the charts say
//     JWT), a value that is not a boolean, and both modes as soon as the stanza has a key that we do not know (protobuf
//     JSON also takes snake_case names) or an overlay reaches Central's authentication behind the typed field.
func ReadHub(mp map[string]any) (guard.Hub, []Oddity) {
	xcp, odd := walk(mp, "", "spec", "components", "xcp")
	h := guard.Hub{Accepts: map[guard.Cred]guard.Tri{MTLS: guard.Unknown, JWT: guard.Unknown}}
	stanza, isMap := xcp["centralAuthModes"].(map[string]any)
	_, written := xcp["centralAuthModes"]
	overlays, reachesAuth := authOverlays(xcp, "CentralXcp")
	alias, aliased := xcp["central_auth_modes"]
	h.Basis = canonical(map[string]any{"modes": xcp["centralAuthModes"], "written": written, "alias": alias, "aliased": aliased, "overlays": overlays, "odd": odd})

	if aliased {
		odd = append(odd, oddity(xcpPath+".central_auth_modes", alias, aliasOf("centralAuthModes", written)))
	}
	odd = append(odd, reachesAuth...)
	switch {
	case written && !isMap && xcp["centralAuthModes"] != nil:
		odd = append(odd, oddity(xcpPath+".centralAuthModes", xcp["centralAuthModes"], "not an object; both modes are unknown"))
	case len(stanza) == 0:
		return h, odd
	}
	for _, key := range slices.Sorted(maps.Keys(stanza)) {
		path := xcpPath + ".centralAuthModes." + key
		if key != "mutualTls" && key != "jwt" {
			odd = append(odd, oddity(path, stanza[key], "not a documented key; the modes are mutualTls and jwt"))
		} else if _, ok := stanza[key].(bool); !ok {
			odd = append(odd, oddity(path, stanza[key], "not a boolean, so it is unknown; write true or false"))
		}
	}
	if strange := aliased || len(reachesAuth) > 0 || hasOther(stanza, "mutualTls", "jwt"); strange {
		return h, odd
	}
	h.Accepts[MTLS], h.Accepts[JWT] = mode(stanza, "mutualTls", "jwt"), mode(stanza, "jwt", "mutualTls")
	return h, odd
}

// aliasOf says what an alias of a key means, alone or beside it.
func aliasOf(key string, both bool) string {
	if both {
		return "an alias beside " + key + " itself; which of the two the operator reads is not documented; remove this one"
	}
	return "an alias that the operator may or may not read; write " + key + ", and only that"
}

// mode reads one entry of the stanza beside the other.
func mode(stanza map[string]any, key, other string) guard.Tri {
	v, written := stanza[key]
	switch {
	case v == true:
		return guard.Yes
	case v == false:
		return guard.No
	case !written && stanza[other] == true:
		return guard.No
	}
	return guard.Unknown
}

// ReadEdge reads the declared mode of a ControlPlane: MTLS or JWT when it is exactly the documented word, else "" (the
// field is unset, UNKNOWN, or not as documented; the API page says unset is mutual TLS, the charts say JWT).
func ReadEdge(cp map[string]any) (guard.Cred, []Oddity) {
	xcp, odd := walk(cp, "", "spec", "components", "xcp")
	var declared guard.Cred
	switch v := xcp["centralAuthMode"]; v {
	case "JWT":
		declared = JWT
	case "MUTUAL_TLS":
		declared = MTLS
	case nil, "UNKNOWN":
	default:
		odd = append(odd, oddity(xcpPath+".centralAuthMode", v, "not a documented mode; write JWT or MUTUAL_TLS"))
	}
	if alias, ok := xcp["central_auth_mode"]; ok {
		_, both := xcp["centralAuthMode"]
		odd = append(odd, oddity(xcpPath+".central_auth_mode", alias, aliasOf("centralAuthMode", both)))
		declared = ""
	}
	if _, reaches := authOverlays(xcp, "EdgeXcp"); len(reaches) > 0 {
		for _, o := range reaches {
			if strings.HasSuffix(o.Value, ".centralSni") || strings.HasSuffix(o.Value, ".centralCaSecret") {
				continue // documented overlays that move the server's name or CA, not the mode
			}
			odd, declared = append(odd, o), ""
		}
	}
	return declared, odd
}

// authOverlays returns the overlays of spec.components.xcp that target kind, and an oddity for each patch among them that
// mentions authentication (path or value), for an alias of their place, and for a list that is not as documented.
func authOverlays(xcp map[string]any, kind string) (all []any, reaches []Oddity) {
	if alias, ok := xcp["kube_spec"]; ok && strings.Contains(strings.ToLower(canonical(alias)), "auth") {
		all = append(all, alias)
		reaches = append(reaches, Oddity{Path: xcpPath + ".kube_spec", Value: "an alias of kubeSpec",
			Consequence: "it reaches authentication where the operator may or may not read it; remove it first"})
	}
	kubeSpec, isMap := xcp["kubeSpec"].(map[string]any)
	list, isList := kubeSpec["overlays"].([]any)
	if (xcp["kubeSpec"] != nil && !isMap) || (kubeSpec["overlays"] != nil && !isList) {
		all = append(all, xcp["kubeSpec"])
		return all, append(reaches, Oddity{Path: xcpPath + ".kubeSpec.overlays", Value: "not a list", Consequence: "what it does to authentication is unknown; mend it first"})
	}
	for i, o := range list {
		overlay, _ := o.(map[string]any)
		if k, _ := overlay["kind"].(string); !strings.EqualFold(k, kind) {
			continue
		}
		all = append(all, overlay)
		patches, isList := overlay["patches"].([]any)
		rest := maps.Clone(overlay)
		maps.DeleteFunc(rest, func(key string, _ any) bool { return key == "apiVersion" || key == "kind" || key == "name" })
		if isList || overlay["patches"] == nil {
			delete(rest, "patches")
		}
		if strings.Contains(strings.ToLower(canonical(rest)), "auth") {
			reaches = append(reaches, Oddity{Path: fmt.Sprintf("%s.kubeSpec.overlays[%d]", xcpPath, i), Value: "an overlay that is not as documented",
				Consequence: "it mentions authentication where the operator may or may not read it; remove it first"})
		}
		for j, p := range patches {
			if patch, _ := p.(map[string]any); strings.Contains(strings.ToLower(canonical(p)), "auth") {
				path, _ := patch["path"].(string)
				reaches = append(reaches, Oddity{Path: fmt.Sprintf("%s.kubeSpec.overlays[%d].patches[%d]", xcpPath, i, j), Value: "a patch of " + path,
					Consequence: "an overlay that reaches authentication behind the typed field; remove it first"}) // its value may be a secret
			}
		}
	}
	return all, reaches
}

// walk descends by keys; a level that is there but is no object is an oddity, a level that is absent is not.
func walk(obj map[string]any, prefix string, path ...string) (map[string]any, []Oddity) {
	for i, key := range path {
		v, ok := obj[key]
		if !ok || v == nil {
			return nil, nil
		}
		next, isMap := v.(map[string]any)
		if !isMap {
			return nil, []Oddity{oddity(prefix+strings.Join(path[:i+1], "."), v, "not an object; everything below it is unknown")}
		}
		obj = next
	}
	return obj, nil
}

func oddity(path string, v any, consequence string) Oddity {
	text := canonical(v)
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:77], "") + "..."
	}
	return Oddity{Path: path, Value: text, Consequence: consequence}
}

func canonical(v any) string {
	b, err := json.Marshal(v) // map keys come out sorted
	if err != nil {
		return fmt.Sprintf("%#v", v)
	}
	return string(b)
}

func hasOther(m map[string]any, known ...string) bool {
	for k := range m {
		if !slices.Contains(known, k) {
			return true
		}
	}
	return false
}
