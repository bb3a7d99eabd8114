package overlay

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Reach is a place below a kubeSpec that reaches authentication, or may.
type Reach struct {
	Path string // "kubeSpec.overlays[0].patches[1]"
	What string // "a patch of spec.centralAuthMode of EdgeXcp"; never a value, which may be a secret
	// Known says that it surely reaches authentication. Otherwise it is not understood, and counts as reaching it.
	Known bool
	// ID is everything that the answer rests on. The same patch of the same overlay has the same one, wherever it is in
	// the list.
	ID string
}

// Judge lists the places below spec.components.xcp.kubeSpec that reach authentication, in order. None means that the
// typed field alone says how to authenticate. Each patch is judged alone:
//
//   - of EdgeXcp and CentralXcp: the authentication fields, and every parent of them;
//   - of the Deployments edge and central: their containers' command, args, image, volumeMounts and envFrom, the
//     pod's volumes, and every parent;
//   - variables: one by one, by name (see mayMatter);
//   - overlays within such an overlay: by what they carry.
//
// The two fields that the vendor documents for overlays reach nothing: see Documented.
func Judge(kubeSpec any) []Reach {
	j := judge{}
	if kubeSpec == nil {
		return nil
	}
	fields, isMap := kubeSpec.(map[string]any)
	if !isMap {
		j.add(Reach{Path: "kubeSpec", What: "not an object"}, kubeSpec)
		return j.found
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if oddKey(key, "deployment", "overlays") {
			j.add(Reach{Path: "kubeSpec." + key, What: "not a documented key"}, fields[key])
		}
	}
	j.deployment(fields["deployment"])
	list, isList := fields["overlays"].([]any)
	if fields["overlays"] != nil && !isList {
		j.add(Reach{Path: "kubeSpec.overlays", What: "not a list"}, fields["overlays"])
	}
	for i, o := range list {
		j.overlay(fmt.Sprintf("kubeSpec.overlays[%d]", i), o)
	}
	return j.found
}

// judge collects what is found.
type judge struct{ found []Reach }

// add takes the ID from the path and the value: what is at one place is known again by both.
func (j *judge) add(r Reach, value any) {
	r.ID = canonical(map[string]any{"at": r.Path, "value": value})
	j.found = append(j.found, r)
}

// deployment judges the typed fields that the operator renders into the Deployment.
func (j *judge) deployment(v any) {
	const at = "kubeSpec.deployment"
	fields, isMap := v.(map[string]any)
	if v != nil && !isMap {
		j.add(Reach{Path: at, What: "not an object"}, v)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if oddKey(key, "env") {
			j.add(Reach{Path: at + "." + key, What: "a field that may change what the container runs"}, fields[key])
		}
	}
	env, isList := fields["env"].([]any)
	if fields["env"] != nil && !isList {
		j.add(Reach{Path: at + ".env", What: "not a list"}, fields["env"])
	}
	for i, item := range env {
		if known, ok := harmlessVariable(item); !ok {
			r := Reach{Path: fmt.Sprintf("%s.env[%d]", at, i), What: "a variable that may change authentication", Known: known,
				ID: canonical(map[string]any{"variable": item})}
			j.found = append(j.found, r)
		}
	}
}

// overlay judges one overlay, each of its patches alone.
func (j *judge) overlay(path string, v any) {
	o, ok := readOverlay(v)
	if !ok {
		j.found = append(j.found, Reach{Path: path, What: "an overlay that is not as documented",
			ID: canonical(map[string]any{"overlay": v})})
		return
	}
	if o.elsewhere() {
		return
	}
	for i, p := range o.patches {
		known, harmless := o.harmless(p)
		if harmless {
			continue
		}
		j.found = append(j.found, Reach{Path: fmt.Sprintf("%s.patches[%d]", path, i), Known: known, What: "a patch of " +
			described(p) + " of " + o.kind,
			ID: canonical(map[string]any{"header": o.header, "patch": p})})
	}
}

// Setting is a field that an overlay sets.
type Setting struct{ Path, Field, Value string }

// The fields of EdgeXcp that the vendor's pages themselves set by an overlay: the name under which Central is verified,
// and the secret with its CA. They change no credential.
const (
	CentralSNI      = "spec.centralAuthJwt.centralSni"
	CentralCASecret = "spec.centralAuthJwt.centralCaSecret"
)

// Documented lists the documented fields that the overlays below a kubeSpec set, in order.
func Documented(kubeSpec any) []Setting {
	fields, _ := kubeSpec.(map[string]any)
	list, _ := fields["overlays"].([]any)
	var set []Setting
	for i, v := range list {
		o, ok := readOverlay(v)
		if !ok || o.plain != "edgexcp" {
			continue
		}
		for k, p := range o.patches {
			if path, value, ok := readPatch(p); ok && documented(path, value) {
				set = append(set, Setting{Path: fmt.Sprintf("kubeSpec.overlays[%d].patches[%d]", i, k), Field: path,
					Value: value.(string)})
			}
		}
	}
	return set
}

func documented(path string, value any) bool {
	_, isText := value.(string)
	return isText && (path == CentralSNI || path == CentralCASecret)
}

// canonical is a value as text that is equal for equal values.
func canonical(v any) string {
	b, err := json.Marshal(v) // map keys come out sorted
	if err != nil {
		return fmt.Sprintf("%#v", v)
	}
	return string(b)
}
