package kongmesh

import (
	"slices"
	"strings"
)

// containerAndNames are the container of a patch by name, and the names of its variables.
func containerAndNames(values map[string]any) (container string, names []string) {
	for _, e := range variablesOf(values) {
		names = append(names, nameOf(e))
	}
	spec, _ := values["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	if list, _ := pod["containers"].([]any); len(list) == 1 {
		container = nameOf(list[0])
	}
	return container, names
}

// inlineName is the variable to write of those that a version takes: the newest name of the token itself.
func inlineName(names []string) string {
	for _, e := range []Environment{newNames, oldNames} {
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

// variablesOf are the variables in a patch by name, nil when it is of anything else.
func variablesOf(values map[string]any) []map[string]any {
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
	var all []map[string]any
	for _, e := range env {
		if m, ok := e.(map[string]any); ok && len(c) == 2 {
			all = append(all, m)
		}
	}
	return all
}

// allNames are the names of all versions' variables that are written: of a global, or of a zone.
func allNames(global bool) []string {
	remote := Version{Product: KongMesh, Major: 1, Minor: 2}.Environments()
	var names []string
	for _, e := range append([]Environment{newNames, oldNames}, remote...) {
		if global {
			names = append(names, e.GlobalType)
		} else {
			names = append(names, e.ZoneInline, e.ZonePath)
		}
	}
	return names
}

// plainReference says whether a variable is absent, or what it may be: of a global one of its words, of a zone a key of a secret or the
// path of a file.
func plainReference(e map[string]any, global bool) bool {
	for key, v := range e {
		_, text := v.(string)
		_, nested := v.(map[string]any)
		if key != "name" && key != "value" && key != "valueFrom" || v != nil && text == (key == "valueFrom") || v != nil && nested != (key == "valueFrom") {
			return false // a directive of the patch, say
		}
	}
	value, _ := e["value"].(string)
	words := []string{"", Off, oldNames.GlobalOn, newNames.GlobalOn}
	ref, referred := e["valueFrom"].(map[string]any)
	switch {
	case global:
		return !referred && slices.Contains(words, value)
	case referred:
		_, secret := ref["secretKeyRef"].(map[string]any)
		return secret && len(ref) == 1 && value == ""
	}
	return value == "" || strings.HasSuffix(nameOf(e), "_PATH")
}

// turnedOn says whether variables have a global authenticate its zones.
func turnedOn(variables []map[string]any) bool {
	return slices.ContainsFunc(variables, func(e map[string]any) bool {
		v, _ := e["value"].(string)
		return v == oldNames.GlobalOn || v == newNames.GlobalOn
	})
}
