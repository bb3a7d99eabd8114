package state

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/overlay"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The two credentials of XCP.
const (
	MTLS guard.Cred = "mtls"
	JWT  guard.Cred = "jwt"
)

// XCPPath is where the modes are, in both kinds of object.
const XCPPath = "spec.components.xcp"

// ReadHub reads which credentials Central accepts from a ManagementPlane. The CRD has no schema, so anything can be
// stored; the reading is:
//
//   - a mode written true is accepted;
//   - a mode written false is not, nor is one left out beside another that is true (the vendor's page on JWT
//     authentication: "set to false, or alternatively remove the entry");
//   - everything else is unknown: the whole stanza absent, null or empty (the API page says mutual TLS, the charts say
//     JWT), a value that is not a boolean, and both modes as soon as the stanza has a key that we do not know, a key on
//     the way to it is there in another spelling too (protobuf JSON also takes snake_case names), or an overlay reaches
//     authentication behind the typed field.
func ReadHub(mp map[string]any) (guard.Hub, []plan.Anomaly) {
	xcp, odd := Walk(mp, "", "spec", "components", "xcp")
	h := guard.Hub{Accepts: map[guard.Cred]guard.Tri{MTLS: guard.Unknown, JWT: guard.Unknown}}
	stanza, isMap := xcp["centralAuthModes"].(map[string]any)
	_, written := xcp["centralAuthModes"]
	spelled, otherwise := otherSpellings(mp, "centralAuthModes")
	reaches := overlay.Judge(xcp["kubeSpec"])
	h.Basis = Canonical(map[string]any{"modes": xcp["centralAuthModes"], "written": written, "spelled": otherwise,
		"overlays": ids(reaches), "odd": odd})

	odd = append(append(odd, spelled...), behind(reaches)...)
	switch {
	case written && !isMap && xcp["centralAuthModes"] != nil:
		odd = append(odd, NewAnomaly(XCPPath+".centralAuthModes", xcp["centralAuthModes"],
			"not an object; both modes are unknown"))
	case len(stanza) == 0:
		return h, odd
	}
	for _, key := range slices.Sorted(maps.Keys(stanza)) {
		path := XCPPath + ".centralAuthModes." + key
		if key != "mutualTls" && key != "jwt" {
			odd = append(odd, NewAnomaly(path, stanza[key], "not a documented key; the modes are mutualTls and jwt"))
		} else if _, ok := stanza[key].(bool); !ok {
			odd = append(odd, NewAnomaly(path, stanza[key], "not a boolean, so it is unknown; write true or false"))
		}
	}
	if len(spelled) > 0 || len(reaches) > 0 || HasOther(stanza, "mutualTls", "jwt") {
		return h, odd
	}
	h.Accepts[MTLS], h.Accepts[JWT] = mode(stanza, "mutualTls", "jwt"), mode(stanza, "jwt", "mutualTls")
	return h, odd
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
func ReadEdge(cp map[string]any) (guard.Cred, []plan.Anomaly) {
	xcp, odd := Walk(cp, "", "spec", "components", "xcp")
	var declared guard.Cred
	switch v := xcp["centralAuthMode"]; v {
	case "JWT":
		declared = JWT
	case "MUTUAL_TLS":
		declared = MTLS
	case nil, "UNKNOWN":
	default:
		odd = append(odd, NewAnomaly(XCPPath+".centralAuthMode", v, "not a documented mode; write JWT or MUTUAL_TLS"))
	}
	spelled, _ := otherSpellings(cp, "centralAuthMode")
	reaches := overlay.Judge(xcp["kubeSpec"])
	if len(spelled) > 0 || len(reaches) > 0 {
		declared = ""
	}
	return declared, append(append(odd, spelled...), behind(reaches)...)
}

// otherSpellings finds the keys on the way to a field of spec.components.xcp, and to kubeSpec beside it, that are there
// in another spelling: in another case, or as protobuf's snake case. Which of them the operator reads is not
// documented. The values are what the answer rests on.
func otherSpellings(obj map[string]any, field string) (odd []plan.Anomaly, values map[string]any) {
	values = map[string]any{}
	path := ""
	for _, level := range [][]string{{"spec"}, {"components"}, {"xcp"}, {field, "kubeSpec"}} {
		for _, key := range slices.Sorted(maps.Keys(obj)) {
			i := slices.IndexFunc(level, func(want string) bool { return overlay.Plain(want) == overlay.Plain(key) })
			if i < 0 || level[i] == key {
				continue
			}
			_, both := obj[level[i]]
			o := plan.Anomaly{Path: path + key, Value: "another spelling of " + level[i], Consequence: aliasOf(level[i], both),
				Overlay: level[i] == "kubeSpec"}
			if level[i] == field {
				o = NewAnomaly(o.Path, obj[key], o.Consequence)
			}
			odd, values[o.Path] = append(odd, o), obj[key]
		}
		path += level[0] + "."
		obj, _ = obj[level[0]].(map[string]any)
	}
	return odd, values
}

// aliasOf says what an alias of a key means, alone or beside it.
func aliasOf(key string, both bool) string {
	if both {
		return "an alias beside " + key + " itself; which of the two the operator reads is not documented; remove this one"
	}
	return "an alias that the operator may or may not read; write " + key + ", and only that"
}

// behind is what reaches authentication behind the typed field, as anomalies.
func behind(reaches []overlay.Reach) []plan.Anomaly {
	var odd []plan.Anomaly
	for _, r := range reaches {
		consequence := "it may reach authentication behind the typed field, so the mode is unknown; " +
			"remove it, or write it as documented"
		if r.Known {
			consequence = "it reaches authentication behind the typed field, so the mode is unknown; remove it first"
		}
		odd = append(odd, plan.Anomaly{Path: XCPPath + "." + r.Path, Value: r.What, Consequence: consequence, Overlay: true})
	}
	return odd
}

// ids are what reaches authentication as a set: order and repetition say nothing.
func ids(reaches []overlay.Reach) []string {
	var all []string
	for _, r := range reaches {
		all = append(all, r.ID)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Walk descends by keys; a level that is there but is no object is an anomaly, a level that is absent is not.
func Walk(obj map[string]any, prefix string, path ...string) (map[string]any, []plan.Anomaly) {
	for i, key := range path {
		v, ok := obj[key]
		if !ok || v == nil {
			return nil, nil
		}
		next, isMap := v.(map[string]any)
		if !isMap {
			return nil, []plan.Anomaly{NewAnomaly(prefix+strings.Join(path[:i+1], "."), v,
				"not an object; everything below it is unknown")}
		}
		obj = next
	}
	return obj, nil
}

func NewAnomaly(path string, v any, consequence string) plan.Anomaly {
	text := Canonical(v)
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:77], "") + "..."
	}
	return plan.Anomaly{Path: path, Value: text, Consequence: consequence}
}

func Canonical(v any) string {
	b, err := json.Marshal(v) // map keys come out sorted
	if err != nil {
		return fmt.Sprintf("%#v", v)
	}
	return string(b)
}

func HasOther(m map[string]any, known ...string) bool {
	for k := range m {
		if !slices.Contains(known, k) {
			return true
		}
	}
	return false
}

// Field descends by keys; nil when there is nothing.
func Field(m map[string]any, path ...string) any {
	var v any = m
	for _, key := range path {
		at, _ := v.(map[string]any)
		v = at[key]
	}
	return v
}

// ModeWord is a mode as the product's fields have it.
func ModeWord(c guard.Cred) string {
	if c == MTLS {
		return "MUTUAL_TLS"
	}
	return "JWT"
}
