package state

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The modes of a control plane (KUMA_MODE).
const (
	ModeGlobal = "global"
	ModeZone   = "zone"
)

// ControlPlane is a Deployment of the product, and what its template sets.
type ControlPlane struct {
	Object  *kube.Decoded
	Spec    kube.PodSpec // of the template
	Version zonetoken.Version
	Mode    string // "" when it is not known
	Zone    string // how a zone calls itself
	Dials   string // the global's address, of a zone
	config  file
	outside *outside     // nil when it is a Deployment of a cluster
	api     *plan.HubAPI // of one that is outside of clusters
	unread  string       // why its configuration file could not be read, which may set what the environment does not
}

// ControlPlaneOf reads a Deployment. What its environment does not say, its configuration file may, once that was read.
func ControlPlaneOf(o *kube.Decoded, read map[plan.Read]plan.Result) ControlPlane {
	cp := ControlPlane{Object: o, Spec: o.Spec.Template.Spec} // what does not fit is not set
	at := ConfigFileOf(o.Metadata, cp.Spec)
	if cp.unread = at.Unknown; cp.unread == "" {
		result := read[at.Read]
		decoded := plan.Cached(result, at.decode)
		if cp.config, cp.unread = decoded.file, decoded.why; kube.Unreadable(result) != "" {
			cp.unread = fmt.Sprintf("ConfigMap %s/%s could not be read: %s", at.Read.Namespace, at.Read.Name,
				kube.Unreadable(result))
		}
	}
	cp.Version = versionOf(cp.container().Image, o.Metadata.Labels["app.kubernetes.io/version"], o.Metadata.Labels["app"])
	cp.Mode = cp.set(cp.Spec, "KUMA_MODE", "mode").text
	cp.Zone = cp.set(cp.Spec, "KUMA_MULTIZONE_ZONE_NAME", "multizone.zone.name").text
	cp.Dials = cp.set(cp.Spec, "KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS", "multizone.zone.globalAddress").text
	return cp
}

// file is a control plane's configuration file.
type file map[string]any

// configFile is where a control plane has its configuration file from: a key of a ConfigMap.
type configFile struct {
	Read    plan.Read
	key     string
	Unknown string // why it cannot be told
}

// ConfigFileOf finds it by the flag --config-file (Kuma app/kuma-cp/cmd/run.go) and the volume that is mounted there.
// Without the flag it is where the chart has it.
func ConfigFileOf(d kube.Metadata, spec kube.PodSpec) configFile {
	of := func(name, key string) configFile {
		return configFile{Read: plan.Read{Version: "v1", Resource: "configmaps", Namespace: d.Namespace, Name: name},
			key: key}
	}
	c := containerOf(spec)
	at, given := flagOf(append(slices.Clone(c.Command), c.Args...), "--config-file", "-c")
	if !given {
		return of(d.Name+"-config", "config.yaml")
	}
	for _, m := range c.Mounts {
		key, inside := strings.CutPrefix(at, strings.TrimSuffix(m.MountPath, "/")+"/")
		if at == m.MountPath {
			key, inside = path.Base(m.SubPath), m.SubPath != ""
		}
		for _, v := range spec.Volumes {
			if !inside || v.Name != m.Name || v.ConfigMap == nil {
				continue
			}
			for _, i := range v.ConfigMap.Items {
				if i.Path == key {
					key = i.Key
				}
			}
			return of(v.ConfigMap.Name, key)
		}
	}
	return configFile{Unknown: fmt.Sprintf("its configuration file %s is in no ConfigMap that is mounted there", at)}
}

// flagOf is the value of a flag of a command line, by its long or its short name; the last one counts.
func flagOf(args []string, long, short string) (value string, given bool) {
	for i, a := range args {
		switch {
		case strings.HasPrefix(a, long+"="):
			value, given = strings.TrimPrefix(a, long+"="), true
		case (a == long || a == short) && i+1 < len(args):
			value, given = args[i+1], true
		case strings.HasPrefix(a, short) && a != short && !strings.HasPrefix(a, "--"):
			value, given = strings.TrimPrefix(strings.TrimPrefix(a, short), "="), true
		}
	}
	return value, given
}

// decodedFile is a configuration file, or why it is none.
type decodedFile struct {
	file file
	why  string
}

// decode reads the file out of its ConfigMap. Without the ConfigMap, or its key, nothing is set by it: pods that need
// it do not start.
func (c configFile) decode(r plan.Result) (d decodedFile) {
	if !r.OK() {
		return d
	}
	o := kube.One(r)
	if o == nil {
		d.why = fmt.Sprintf("ConfigMap %s/%s is not as its kind says", c.Read.Namespace, c.Read.Name)
		return d
	}
	data, _ := o.Raw["data"].(map[string]any)
	text, _ := data[c.key].(string)
	if err := yaml.Unmarshal([]byte(text), &d.file); err != nil {
		d.why = fmt.Sprintf("key %s of ConfigMap %s/%s is not YAML, so its pods do not start", c.key,
			c.Read.Namespace, c.Read.Name)
	}
	return d
}

// versionOf tells the version by the image's tag, else by the chart's label.
func versionOf(image, label, app string) zonetoken.Version {
	product := zonetoken.KongMesh
	if strings.Contains(image, "kumahq/") || strings.HasPrefix(app, "kuma-") {
		product = zonetoken.Kuma
	}
	_, tag, _ := strings.Cut(path.Base(strings.SplitN(image, "@", 2)[0]), ":")
	for _, text := range []string{tag, label} {
		if v, err := zonetoken.ParseVersion(product, text); err == nil {
			return v
		}
	}
	return zonetoken.Version{Product: product}
}

// Authenticates says whether a pod of a global, or its template, authenticates zones; known is false when that cannot
// be told.
func (cp ControlPlane) Authenticates(spec kube.PodSpec) (on, known bool, why string) {
	var seen []setting
	for _, e := range cp.environments() {
		s := cp.set(spec, e.GlobalType, inFile(e, "global.kds.auth.type", "global.kds.auth.type"))
		switch {
		case !s.known:
			return false, false, fmt.Sprintf("who is authenticated comes from %s, which is not looked into; set %s explicitly",
				s.where, e.GlobalType)
		case s.where == "" || s.text == "":
			continue
		case s.text != zonetoken.Off && s.text != e.GlobalOn:
			return false, false, fmt.Sprintf("%s is %q, which is neither %s nor %s", s.where, s.text, zonetoken.Off, e.GlobalOn)
		case len(seen) > 0 && (seen[0].text == zonetoken.Off) != (s.text == zonetoken.Off):
			return false, false, fmt.Sprintf("%s and %s say different things; set one of them", seen[0].where, s.where)
		}
		seen = append(seen, s)
	}
	return len(seen) > 0 && seen[0].text != zonetoken.Off, true, ""
}

// setting is one setting of a control plane.
type setting struct {
	text   string // "" when it is not set, or not to be seen
	secret *secretRef
	known  bool   // what it is is known, be it that it is not set
	where  string // what sets it: "KUMA_MODE", "config.yaml"; "" when nothing does
}

// secretRef is a key of a secret.
type secretRef struct{ name, key string }

// set reads a setting: a variable of the environment goes before the configuration file (Kuma pkg/config/loader.go).
func (cp ControlPlane) set(spec kube.PodSpec, variable, file string) setting {
	c := containerOf(spec)
	if v := c.Variable(variable); v != nil {
		switch {
		case v.ValueFrom == nil:
			return setting{text: v.Value, known: true, where: variable}
		case v.ValueFrom.SecretKeyRef != nil:
			return setting{secret: &secretRef{v.ValueFrom.SecretKeyRef.Name, v.ValueFrom.SecretKeyRef.Key}, known: true,
				where: variable}
		}
		return setting{where: variable}
	}
	if len(c.EnvFrom) > 0 {
		return setting{where: "envFrom of container " + c.Name}
	}
	if cp.unread != "" {
		return setting{where: "its configuration file: " + cp.unread}
	}
	switch v := cp.config.at(file).(type) {
	case nil:
		return setting{known: true}
	case string, bool, float64:
		s := setting{text: fmt.Sprint(v), known: true}
		if s.text != "" {
			s.where = "config.yaml"
		}
		return s
	}
	return setting{where: "config.yaml"}
}

// at is what the file has at a path with dots, nil when nothing.
func (f file) at(path string) any {
	var at any = map[string]any(f)
	for _, key := range strings.Split(path, ".") {
		m, _ := at.(map[string]any)
		at = m[key]
	}
	return at
}

// inFile is where the configuration file has a setting, under the old names and the new.
func inFile(e zonetoken.Environment, old, fresh string) string {
	if strings.HasPrefix(e.GlobalType, zonetoken.OldVariables) {
		return "kmesh.multizone." + old
	}
	return "multizone." + fresh
}

// authType are the names of the variables that say whom a global authenticates.
func (cp ControlPlane) AuthTypes() []string {
	var names []string
	for _, e := range cp.environments() {
		names = append(names, e.GlobalType)
	}
	return names
}

// tokenNames are the names of the variables that give a zone its token.
func (cp ControlPlane) tokenNames() []string {
	var names []string
	for _, e := range cp.environments() {
		names = append(names, e.ZoneInline, e.ZonePath)
	}
	return names
}

// environments are the names that the control plane's version takes; all there are where that is not known.
func (cp ControlPlane) environments() []zonetoken.Environment {
	if cp.Version.Known() {
		return cp.Version.Environments()
	}
	return []zonetoken.Environment{zonetoken.NewNames, zonetoken.OldNames}
}

// doubled says which of these variables are there more than once. The kubelet takes the last, and a patch by name
// changes the first: what would come of a change is not what was planned.
func (cp ControlPlane) doubled(names []string) (odd []string) {
	for _, name := range names {
		n := 0
		for _, v := range cp.container().Env {
			if v.Name == name {
				n++
			}
		}
		if n > 1 {
			odd = append(odd, fmt.Sprintf("%s has %s %d times, of which the last counts and a change would reach the first; leave one of them",
				cp.ref(), name, n))
		}
	}
	return odd
}

// ref refers to the Deployment.
func (cp ControlPlane) ref() plan.Ref {
	if cp.outside != nil {
		return plan.Ref{Kind: "global control plane", Name: cp.Object.Metadata.Name, UID: cp.Object.Metadata.UID}
	}
	return kube.Ref(kube.Object{Metadata: cp.Object.Metadata}, ControlPlanesRead, "Deployment")
}

// written are the paths of variables of these names in the template.
func (cp ControlPlane) written(names []string) [][]string {
	var paths [][]string
	for _, name := range names {
		paths = append(paths, []string{"spec", "template", "spec", "containers",
			fmt.Sprintf("k:{%q:%q}", "name", cp.container().Name),
			"env", fmt.Sprintf("k:{%q:%q}", "name", name)})
	}
	return paths
}

// variables are the variables of these names as they are, in the form of a patch by name; plain names those whose
// value must not be in one, since it may be a token.
func (cp ControlPlane) variables(names []string, secret bool) (entries []any, plain []string) {
	c := cp.container()
	for _, name := range names {
		entry := map[string]any{"name": name, "value": nil, "valueFrom": nil}
		if v := c.Variable(name); v != nil {
			switch {
			case v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil:
				entry["valueFrom"] = map[string]any{"secretKeyRef": map[string]any{"name": v.ValueFrom.SecretKeyRef.Name,
					"key": v.ValueFrom.SecretKeyRef.Key}}
			case v.ValueFrom != nil:
				plain = append(plain, name)
			case secret && !strings.HasSuffix(name, "_PATH"):
				plain = append(plain, name)
			default:
				entry["value"] = v.Value
			}
		}
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b any) int { return strings.Compare(NameOf(a), NameOf(b)) })
	return entries, plain
}

func NameOf(entry any) string {
	m, _ := entry.(map[string]any)
	s, _ := m["name"].(string)
	return s
}

// OldSettings are the settings of authentication that the configuration file has under the names that 3.0 does not
// read (Kong/kong-mesh#10960).
func (cp ControlPlane) OldSettings() []string {
	var all []string
	for _, path := range []string{"kmesh.multizone.global.kds.auth.type", "kmesh.multizone.zone.kds.auth.cpTokenInline",
		"kmesh.multizone.zone.kds.auth.cpTokenPath"} {
		if text, is := cp.config.at(path).(string); is && text != "" && text != zonetoken.Off {
			all = append(all, path)
		}
	}
	return all
}

// Values are the variables of a control plane by name; those with secrets have no value.
func (cp ControlPlane) Values() map[string]string {
	all := map[string]string{}
	for _, v := range cp.container().Env {
		value := v.Value
		if strings.Contains(v.Name, "TOKEN") && !strings.HasSuffix(v.Name, "_PATH") &&
			!strings.Contains(v.Name, "_AUTH_TYPE") {
			value = ""
		}
		all[v.Name] = value
	}
	return all
}

func (cp ControlPlane) container() kube.Container { return containerOf(cp.Spec) }

// containerOf is the control plane's container of a pod, the first where none is called so.
func containerOf(s kube.PodSpec) kube.Container {
	if c := s.Container(ContainerName); c != nil {
		return *c
	}
	if len(s.Containers) > 0 {
		return s.Containers[0]
	}
	return kube.Container{Name: ContainerName}
}
