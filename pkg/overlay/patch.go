package overlay

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// target is one overlay that is as documented: a kind, a name, and patches.
type target struct {
	kind, plain string // as written; in small letters
	name        any
	header      map[string]any // the overlay without its patches
	patches     []any
}

var kindForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// readOverlay reads an overlay that has nothing but the documented keys, a kind, and a list of patches or none.
func readOverlay(v any) (target, bool) {
	fields, _ := v.(map[string]any)
	kind, _ := fields["kind"].(string)
	patches, isList := fields["patches"].([]any)
	if !kindForm.MatchString(kind) || !isList && fields["patches"] != nil {
		return target{}, false
	}
	o := target{kind: kind, plain: lowerASCII(kind), name: fields["name"], patches: patches, header: map[string]any{}}
	for key, value := range fields {
		switch key {
		case "apiVersion", "kind", "name":
			o.header[key] = value
		case "patches":
		default:
			return target{}, false
		}
	}
	return o, true
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// deployments are the names of the Deployments of Central and the edge, the names that overlays in public use among
// them.
var deployments = []string{"central", "edge", "xcp-central", "xcp-edge"}

// elsewhere says that the target takes no part in authentication: another kind, or a Deployment that surely is another
// one.
func (o target) elsewhere() bool {
	switch o.plain {
	case "edgexcp", "centralxcp":
		return false
	case "deployment":
		name, _ := o.name.(string)
		return nameForm.MatchString(name) && !slices.Contains(deployments, name)
	}
	return true
}

// harmless says that a patch of the target does not reach authentication; otherwise known says whether it surely does.
func (o target) harmless(patch any) (known, harmless bool) {
	path, value, ok := readPatch(patch)
	if !ok {
		return false, false
	}
	steps, ok := parse(path)
	if !ok {
		return false, false
	}
	if o.plain == "deployment" {
		return ofDeployment(steps, value)
	}
	if o.plain == "edgexcp" && documented(path, value) {
		return false, true
	}
	return ofXCP(steps, value)
}

// readPatch reads a patch that has a path, a value and nothing else.
func readPatch(v any) (path string, value any, ok bool) {
	fields, _ := v.(map[string]any)
	path, isText := fields["path"].(string)
	value = fields["value"]
	return path, value, isText && value != nil && len(fields) == 2
}

// described is a patch's path in words.
func described(patch any) string {
	fields, _ := patch.(map[string]any)
	switch path, isText := fields["path"].(string); {
	case !isText:
		return "a path that is no text"
	case path == "":
		return "the whole object"
	default:
		return path
	}
}

// ofXCP judges a patch of EdgeXcp or CentralXcp.
//
// The vendor documents centralAuthMode and centralAuthJwt of EdgeXcp, and no field of CentralXcp. So every field
// directly below spec is taken for one of authentication that has auth, jwt or tls in its name, and of components only
// the kubeSpec of one is understood.
func ofXCP(steps []step, value any) (known, harmless bool) {
	switch {
	case steps[0].plain == "metadata":
		return false, labels(steps)
	case steps[0].plain != "spec":
		return false, false
	case len(steps) == 1:
		return true, false
	case !fieldName(steps[1]):
		return false, false
	case containsAny(steps[1].plain, "auth", "jwt", "tls"):
		return true, false
	case steps[1].plain != "components":
		return false, true
	case len(steps) < 4 || !fieldName(steps[2]) || steps[3].selector || steps[3].plain != "kubespec":
		return len(steps) < 4, false
	}
	return false, harmlessKubeSpec(steps[4:], value)
}

// labels says that a path is that of labels or annotations, or of one of them.
func labels(steps []step) bool {
	return len(steps) > 1 && (steps[1].plain == "labels" || steps[1].plain == "annotations")
}

// contents are fields that change what a container runs with, and the fields under which they are; each is understood
// in its documented place alone.
var contents = []string{"args", "command", "containers", "deployment", "env", "envfrom", "image", "overlays", "podspec",
	"template", "volumemounts", "volumes"}

// oddKey says that a key is a known one in another spelling, or one that changes what a container runs with.
func oddKey(key string, known ...string) bool {
	return !slices.Contains(known, key) && slices.Contains(contents, Plain(key))
}

// harmlessKubeSpec judges a patch below the kubeSpec of a component of EdgeXcp or CentralXcp; steps are those after
// kubeSpec.
func harmlessKubeSpec(steps []step, value any) bool {
	switch {
	case len(steps) == 0:
		return harmlessFields(value)
	case !fieldName(steps[0]):
		return false
	case steps[0].plain == "overlays":
		switch {
		case len(steps) == 1:
			return harmlessOverlays(value)
		case len(steps) == 2 && steps[1].selector && steps[1].key == "":
			return harmlessOverlays([]any{value})
		}
		return false
	case steps[0].plain != "deployment":
		return !slices.Contains(contents, steps[0].plain)
	case len(steps) == 1:
		return harmlessDeployment(value)
	case !fieldName(steps[1]):
		return false
	case steps[1].plain == "env":
		return harmlessEnv(steps[1:], value)
	}
	return !slices.Contains(contents, steps[1].plain)
}

// harmlessFields judges a whole kubeSpec.
func harmlessFields(v any) bool {
	fields, isMap := v.(map[string]any)
	for key := range fields {
		if oddKey(key, "deployment", "overlays") {
			return false
		}
	}
	return isMap && (fields["deployment"] == nil || harmlessDeployment(fields["deployment"])) &&
		(fields["overlays"] == nil || harmlessOverlays(fields["overlays"]))
}

func harmlessDeployment(v any) bool {
	fields, isMap := v.(map[string]any)
	for key := range fields {
		if oddKey(key, "env") {
			return false
		}
	}
	return isMap && (fields["env"] == nil || harmlessVariables(fields["env"]))
}

// harmlessOverlays judges overlays within an overlay. They change what Central's and the edge's operators render:
// Deployments and the like. One of EdgeXcp or CentralXcp has nothing to change there, so it is not understood.
func harmlessOverlays(v any) bool {
	list, isList := v.([]any)
	return isList && !slices.ContainsFunc(list, func(v any) bool {
		o, ok := readOverlay(v)
		return !ok || !o.elsewhere() && (o.plain != "deployment" || slices.ContainsFunc(o.patches, func(p any) bool {
			_, harmless := o.harmless(p)
			return !harmless
		}))
	})
}

// ofDeployment judges a patch of the Deployment of Central or the edge. Its fields are Kubernetes' own, and documented.
func ofDeployment(steps []step, value any) (known, harmless bool) {
	if steps[0].plain == "metadata" {
		return false, labels(steps)
	}
	for i, parent := range []string{"spec", "template", "spec"} {
		switch {
		case i == len(steps):
			return true, false
		case !fieldName(steps[i]):
			return false, false
		case steps[i].plain != parent:
			return false, i > 0
		}
	}
	switch rest := steps[3:]; {
	case len(rest) == 0:
		return true, false
	case !fieldName(rest[0]):
		return false, false
	case rest[0].plain == "volumes":
		return true, false
	case rest[0].plain != "containers":
		return false, true
	case len(rest) < 3:
		return true, false
	case !rest[1].selector || !fieldName(rest[2]):
		return false, false
	case rest[2].plain == "env":
		return false, harmlessEnv(rest[2:], value)
	default:
		known = slices.Contains([]string{"args", "command", "envfrom", "image", "volumemounts"}, rest[2].plain)
		return known, !known
	}
}

// harmlessEnv judges a patch of an env list or of a part of it; steps begin with env.
func harmlessEnv(steps []step, value any) bool {
	if len(steps) == 1 {
		return harmlessVariables(value)
	}
	item, rest := steps[1], steps[2:]
	switch {
	case !item.selector:
		return false
	case item.key == "":
		return len(rest) == 0 && harmlessVariables([]any{value})
	case item.key != "name" || steps[0].name != "env" || mayMatter(item.value):
		return false
	case len(rest) == 0:
		return harmlessVariables([]any{value})
	}
	return rest[0].plain == "value" || rest[0].plain == "valuefrom"
}

func harmlessVariables(v any) bool {
	list, isList := v.([]any)
	return isList && !slices.ContainsFunc(list, func(item any) bool {
		_, ok := harmlessVariable(item)
		return !ok
	})
}

// harmlessVariable judges one item of an env list by its name; where its value comes from makes no difference.
func harmlessVariable(v any) (known, harmless bool) {
	fields, _ := v.(map[string]any)
	name, isText := fields["name"].(string)
	for key := range maps.Keys(fields) {
		if key != "name" && key != "value" && key != "valueFrom" {
			return false, false
		}
	}
	return false, isText && !mayMatter(name)
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// mayMatter says that a variable of the edge or of Central may change how they authenticate. The vendor documents none
// that does, so this list has no names of variables: one that repeats the name of the documented fields is taken for
// such a one, and one with a name that no process is given.
func mayMatter(name string) bool {
	return !variableForm.MatchString(name) || strings.Contains(Plain(name), "centralauth")
}

// fieldName says that a step is the name of a field: no selector, and no dot or slash in it.
func fieldName(s step) bool {
	return !s.selector && s.plain != "" && all(s.name, wordByte)
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}
