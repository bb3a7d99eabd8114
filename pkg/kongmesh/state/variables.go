package state

import (
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
)

// ContainerAndNames are the container of a patch by name, and the names of its variables.
func ContainerAndNames(values map[string]any) (container string, names []string) {
	variables := VariablesOf(values)
	names = make([]string, 0, len(variables))
	for _, e := range variables {
		names = append(names, NameOf(e))
	}
	spec, _ := values["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	if list, _ := pod["containers"].([]any); len(list) == 1 {
		container = NameOf(list[0])
	}
	return container, names
}

// InlineName is the variable to write of those that a version takes: the newest name of the token itself.
func InlineName(names []string) string {
	for _, e := range []zonetoken.Environment{zonetoken.NewNames, zonetoken.OldNames} {
		if slices.Contains(names, e.ZoneInline) {
			return e.ZoneInline
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_INLINE") {
			return name
		}
	}
	return ""
}

// VariablesOf are the variables in a patch by name, nil when it is of anything else.
func VariablesOf(values map[string]any) []map[string]any {
	at := values
	for _, key := range []string{"spec", "template", "spec"} {
		next, ok := at[key].(map[string]any)
		if !ok || len(at) != 1 {
			return nil
		}
		at = next
	}
	containers, _ := at["containers"].([]any)
	if len(at) != 1 || len(containers) != 1 {
		return nil
	}
	c, _ := containers[0].(map[string]any)
	env, _ := c["env"].([]any)
	if len(env) == 0 || len(c) != 2 {
		return nil
	}
	all := make([]map[string]any, 0, len(env))
	for _, e := range env {
		if m, ok := e.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// AllNames are the names of all versions' variables that are written: of a global, or of a zone.
func AllNames(global bool) []string {
	remote := zonetoken.Version{Product: zonetoken.KongMesh, Major: 1, Minor: 2}.Environments()
	var names []string
	for _, e := range append([]zonetoken.Environment{zonetoken.NewNames, zonetoken.OldNames}, remote...) {
		if global {
			names = append(names, e.GlobalType)
		} else {
			names = append(names, e.ZoneInline, e.ZonePath)
		}
	}
	return names
}

// PlainReference says whether a variable is absent, or what it may be: of a global one of its words, of a zone a key
// of a secret or the path of a file.
func PlainReference(e map[string]any, global bool) bool {
	for key, v := range e {
		_, text := v.(string)
		_, nested := v.(map[string]any)
		if key != "name" && key != "value" && key != "valueFrom" || v != nil && text == (key == "valueFrom") || v != nil &&
			nested != (key == "valueFrom") {
			return false // a directive of the patch, say
		}
	}
	value, _ := e["value"].(string)
	words := []string{"", zonetoken.Off, zonetoken.OldNames.GlobalOn, zonetoken.NewNames.GlobalOn}
	ref, referred := e["valueFrom"].(map[string]any)
	switch {
	case global:
		return !referred && slices.Contains(words, value)
	case referred:
		_, secret := ref["secretKeyRef"].(map[string]any)
		return secret && len(ref) == 1 && value == ""
	}
	return value == "" || strings.HasSuffix(NameOf(e), "_PATH")
}

// TurnedOn says whether variables have a global authenticate its zones.
func TurnedOn(variables []map[string]any) bool {
	return slices.ContainsFunc(variables, func(e map[string]any) bool {
		v, _ := e["value"].(string)
		return v == zonetoken.OldNames.GlobalOn || v == zonetoken.NewNames.GlobalOn
	})
}
