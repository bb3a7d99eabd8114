package gitops

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// owned is an object that somebody keeps as it is.
type owned struct {
	owner, helm string // who, and the Helm release that it belongs to
}

// key tells objects of all clusters apart.
func key(context string, o plan.Ref) string {
	return strings.Join([]string{context, o.Kind, o.Namespace, o.Name}, "/")
}

// ownedBy are the objects of a state that somebody keeps, by key.
func ownedBy(f plan.State) map[string]owned {
	all := map[string]owned{}
	add := func(context string, o plan.Ref, is owned) {
		if is.owner != "" {
			all[key(context, o)] = is
		}
	}
	add(f.Hub.Context, f.Hub.Object, owned{f.Hub.Owner, f.Hub.HelmNote})
	if f.Standby != nil {
		add(f.Standby.Context, f.Standby.Object, owned{f.Standby.Owner, f.Standby.HelmNote})
	}
	for _, m := range f.Members {
		add(m.Context, m.Object, owned{m.Owner, m.HelmNote})
	}
	return all
}

// Unowned is the state as it would be if nobody kept an object as it is: planned from it, every wave is in the plan.
func Unowned(f plan.State) plan.State {
	f.Hub.Owner = ""
	if f.Standby != nil {
		standby := *f.Standby
		standby.Owner = ""
		f.Standby = &standby
	}
	f.Members = slices.Clone(f.Members)
	for i := range f.Members {
		f.Members[i].Owner = ""
	}
	return f
}

// Files returns, by their path, what Git must say in each wave of a plan, of the objects that somebody keeps in the
// observed state. p is planned from Unowned of it. A wave that takes something away from the hub is written only where
// it is the next one: before that it would cut members off. INDEX.md says the order, and what is not in Git.
func Files(f plan.State, p plan.Plan, next func(verb string) string) (map[string][]byte, error) {
	kept := ownedBy(f)
	files := map[string][]byte{}
	var index strings.Builder
	fmt.Fprintf(&index, intro, next("migrate"))
	for i, w := range p.Waves {
		dir := fmt.Sprintf("%02d-%s", i+1, slug(w.Title))
		fmt.Fprintf(&index, "\n## %d. %s\n", i+1, w.Title)
		var said []string
		for _, s := range w.Steps {
			lines, err := step(files, dir, s, kept, i == 0)
			if err != nil {
				return nil, err
			}
			said = append(said, lines...)
		}
		if len(said) == 0 {
			said = []string{"Nothing is in Git. `migrate` does this wave."}
		}
		fmt.Fprintln(&index)
		for _, line := range said {
			fmt.Fprintf(&index, "- %s\n", line)
		}
	}
	if len(p.Obstacles) > 0 {
		fmt.Fprint(&index, "\n## Blocked\n\n")
		for _, o := range p.Obstacles {
			fmt.Fprintf(&index, "- %s: %s\n", o.Member, o.Why)
		}
	}
	files["INDEX.md"] = []byte(index.String())
	return files, nil
}

const intro = `# What Git must say, wave by wave

Merge the wave of the first directory, and no other. Let Argo CD or Flux apply it. Then run:

    %s

It verifies what Git applied, does what is not in Git, and says which wave is next. Never merge two waves at once: an
edge that presents a token before the hub accepts tokens is refused.

Each directory has a kustomize Component for each cluster: name it under "components" in the kustomization of that
cluster. Of an object that a Helm release made, a values file is next to the patch: merge it into the release's values.
`

// step adds the files of one step, and returns what the index says of it.
func step(files map[string][]byte, dir string, s plan.Step, kept map[string]owned, first bool) (said []string,
	err error) {
	var others []string
	for _, w := range s.Writes {
		is, ours := kept[key(w.Context, w.Object)]
		if !ours {
			others = append(others, fmt.Sprintf("%s %s in %s", w.Op, w.Object, w.Context))
			continue
		}
		if s.Withdraws != nil && !first {
			said = append(said, fmt.Sprintf("%s: written when this wave is next. Run `plan --patches` again then. Kept by %s.",
				s.Title, is.owner))
			continue
		}
		at := path.Join(dir, fileName(w.Context))
		if err := add(files, at, w, is); err != nil {
			return nil, fmt.Errorf("writing the patch of %s in %s: %w", w.Object, w.Context, err)
		}
		line := fmt.Sprintf("%s: %s in %s, kept by %s: `%s`", s.Title, w.Object, w.Context, is.owner, at)
		if is.helm != "" {
			line += ". Helm release " + is.helm
		}
		said = append(said, line)
	}
	if len(said) > 0 && (len(others) > 0 || s.Supply != nil) {
		if s.Supply != nil {
			others = append(others, "credentials from outside")
		}
		said = append(said, fmt.Sprintf("%s: run `migrate` before you merge it: %s", s.Title, strings.Join(others, "; ")))
	}
	return said, nil
}

// add adds the patch of one object to the component of its cluster.
func add(files map[string][]byte, at string, w plan.Write, is owned) error {
	object := map[string]any{"apiVersion": apiVersion(w.Object), "kind": w.Object.Kind,
		"metadata": map[string]any{"name": w.Object.Name, "namespace": w.Object.Namespace}}
	name := strings.ToLower(w.Object.Kind) + "-" + fileName(w.Object.Name)
	head := fmt.Sprintf("# Of context %s, kept by %s.\n", w.Context, is.owner)
	switch w.Op {
	case plan.OpDelete:
		object["$patch"] = "delete"
	case plan.OpUpdate, plan.OpCreate:
		maps.Copy(object, patched(w.After, w.ListsByName).(map[string]any))
	case plan.OpRestart, plan.OpUpdateStatus:
		return fmt.Errorf("a %s is nothing that Git can say", w.Op)
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	files[path.Join(at, name+".yaml")] = append([]byte(head), text...)
	if is.helm != "" && w.Op == plan.OpUpdate {
		values := Values(w)
		if text, err = yaml.Marshal(values); err != nil {
			return err
		}
		files[path.Join(at, name+".values.yaml")] = append([]byte(head+"# Values of Helm release "+is.helm+".\n"), text...)
	}
	return component(files, at)
}

// component writes the kustomization of a directory, with all its patches.
func component(files map[string][]byte, at string) error {
	var patches []any
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if dir, name := path.Split(file); path.Clean(dir) == at && name != "kustomization.yaml" &&
			!strings.HasSuffix(name, ".values.yaml") {
			patches = append(patches, map[string]any{"path": name})
		}
	}
	text, err := yaml.Marshal(map[string]any{"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component",
		"patches": patches})
	if err != nil {
		return err
	}
	files[path.Join(at, "kustomization.yaml")] = text
	return nil
}

// patched is what a write says as a strategic merge patch: an entry of a list that is told by its name, and of which
// everything else is null, is deleted.
func patched(v any, byName bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, of := range v {
			out[k] = patched(of, byName)
		}
		if _, named := v["name"]; named && byName && absent(v) {
			return map[string]any{"name": v["name"], "$patch": "delete"}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, of := range v {
			out[i] = patched(of, byName)
		}
		return out
	}
	return v
}

// absent says of an entry that everything but its name is null.
func absent(entry map[string]any) bool {
	n := 0
	for k, v := range entry {
		if k != "name" && v != nil {
			return false
		}
		if k != "name" {
			n++
		}
	}
	return n > 0
}

// Values are what the values of a Helm release must say in place of a write. The charts of TSB copy the value spec into
// the plane as it is. The charts of Kong Mesh take variables of the control plane's Deployment; those that come from a
// Secret are entries of a list, which replaces the one that is there.
func Values(w plan.Write) map[string]any {
	if w.Object.Kind != "Deployment" {
		return map[string]any{"spec": w.After["spec"]}
	}
	variables, secrets := map[string]any{}, []any{}
	for _, entry := range environment(w.After) {
		name, _ := entry["name"].(string)
		from, _ := entry["valueFrom"].(map[string]any)
		ref, _ := from["secretKeyRef"].(map[string]any)
		if ref != nil {
			secrets = append(secrets, map[string]any{"Env": name, "Secret": ref["name"], "Key": ref["key"]})
			continue
		}
		variables[name] = entry["value"]
	}
	controlPlane := map[string]any{}
	if len(variables) > 0 {
		controlPlane["envVars"] = variables
	}
	if len(secrets) > 0 {
		controlPlane["secrets"] = secrets
	}
	return map[string]any{"kuma": map[string]any{"controlPlane": controlPlane}}
}

// environment are the variables that a write says of a Deployment's containers.
func environment(after map[string]any) (all []map[string]any) {
	spec, _ := after["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	containers, _ := pod["containers"].([]any)
	for _, c := range containers {
		container, _ := c.(map[string]any)
		env, _ := container["env"].([]any)
		for _, e := range env {
			if entry, ok := e.(map[string]any); ok {
				all = append(all, entry)
			}
		}
	}
	return all
}

func apiVersion(o plan.Ref) string {
	return strings.TrimPrefix(o.Group+"/"+cmp.Or(o.Version, "v1"), "/")
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// fileName is a name as a part of a path: contexts of EKS and GKE have slashes and colons.
func fileName(name string) string { return strings.Trim(notInNames.ReplaceAllString(name, "-"), "-.") }

// slug is a title as a part of a path.
func slug(title string) string { return strings.ToLower(fileName(title)) }
