package cases

// reachingOverlays reach authentication, or are not understood, so that they may: the kinds of odd edits that look
// harmless.
func reachingOverlays() []OverlayCase {
	const kubeSpec = "spec.components.edgeServer.kubeSpec"
	const container = "spec.template.spec.containers.[name:edge]"
	edge := func(path string, value any) m { return overlays(patch("EdgeXcp", "edge-xcp", path, value)) }
	deployment := func(path string, value any) m { return overlays(patch("Deployment", "edge", path, value)) }
	without := func(key string) m {
		o := patch("EdgeXcp", "edge-xcp", "spec.centralAuthMode", "MUTUAL_TLS")
		delete(o, key)
		return overlays(o)
	}
	of := func(kind any) m {
		o := patch("EdgeXcp", "edge-xcp", "spec.centralAuthMode", "MUTUAL_TLS")
		o["kind"] = kind
		return overlays(o)
	}
	patches := func(list any) m { return overlays(m{"kind": "EdgeXcp", "name": "edge-xcp", "patches": list}) }
	args := patch("Deployment", "xcp-edge", container+".args", []any{"--x"})
	var all []OverlayCase
	for _, c := range []struct {
		name     string
		kubeSpec any
	}{
		// by the path
		{"the mode", edge("spec.centralAuthMode", "MUTUAL_TLS")},
		{"the modes of Central", overlays(patch("CentralXcp", "central-xcp", "spec.centralAuthModes.mutualTls", false))},
		{"the token's secret", edge("spec.centralAuthJwt.secret", "other")},
		{"the whole spec", edge("spec", m{"logLevels": "x"})},
		{"the whole spec, with a plain value", edge("spec", "x")},
		{"the empty path", edge("", m{"spec": m{"centralAuthMode": "MUTUAL_TLS"}})},
		{"all components", edge("spec.components", m{})},
		{"a whole component", edge("spec.components.edgeServer", m{})},
		{"the mode, padded", edge(" spec.centralAuthMode ", "MUTUAL_TLS")},
		{"the mode, padded within", edge("spec. centralAuthMode", "MUTUAL_TLS")},
		{"the mode in another case", edge("Spec.CENTRALAUTHMODE", "MUTUAL_TLS")},
		{"the mode in snake case", edge("spec.central_auth_mode", "MUTUAL_TLS")},
		{"the mode by way of a selector", edge("spec.[name:x].centralAuthMode", "MUTUAL_TLS")},
		{"the mode with an escaped dot", edge(`spec\.centralAuthMode`, "MUTUAL_TLS")},
		{"the mode with slashes", edge("spec/centralAuthMode", "MUTUAL_TLS")},
		{"a path with a slash before it", edge("/spec.logLevels", "x")},
		{"a path with two slashes in a name", edge("spec.logLevels.a//b", "x")},
		{"a documented overlay with no text", edge("spec.centralAuthJwt.centralSni", m{"a": "b"})},
		{"a documented overlay of the other plane's object", overlays(patch("CentralXcp", "central-xcp",
			"spec.centralAuthJwt.centralSni", "x"))},
		{"something that ends like a documented one", edge("spec.centralAuthJwt.secret.centralSni", "x")},
		// by the value
		{"no value", patches([]any{m{"path": "spec.logLevels"}})},
		{"the value null", edge("spec.logLevels", nil)},
		{"op", patches([]any{m{"op": "remove", "path": "spec.logLevels", "value": "x"}})},
		{"a whole kubeSpec that carries a command", edge(kubeSpec, m{"deployment": m{"command": []any{"x"}}})},
		{"a whole deployment with its containers", edge(kubeSpec+".deployment",
			m{"containers": []any{m{"args": []any{"x"}}}})},
		{"variables that are texts", edge(edgeEnv, []any{"CENTRAL_AUTH_MODE=MUTUAL_TLS"})},
		{"a variable named after the mode", edge(edgeEnv+"[-1]", variable("XCP_CENTRAL_AUTH_MODE", "MUTUAL_TLS"))},
		{"a variable by its index", edge(edgeEnv+"[0].value", "x")},
		{"a part of a variable by its index", edge(edgeEnv+"[0].valueFrom", m{"name": "A"})},
		{"a variable by something else than its name", edge(edgeEnv+".[value:A].value", "x")},
		{"another variable's name", edge(edgeEnv+".[name:A].name", "CENTRAL_AUTH_MODE")},
		{"a variable with a key that is not known", edge(edgeEnv+"[-1]", m{"name": "A", "Name": "CENTRAL_AUTH_MODE"})},
		{"envFrom", edge(kubeSpec+".deployment.envFrom", []any{m{"secretRef": m{"name": "x"}}})},
		{"the typed variables", m{"deployment": m{"env": []any{variable("CENTRAL_AUTH_MODE", "MUTUAL_TLS")}}}},
		{"the typed variables by another route", m{"deployment": m{"envFrom": []any{m{"configMapRef": m{"name": "x"}}}}}},
		// by the object
		{"a Deployment's args", deployment(container+".args", []any{"--auth=x"})},
		{"a Deployment's args, by number", deployment("spec.template.spec.containers[0].args[0]", "x")},
		{"a Deployment's args in another case", deployment("spec.template.spec.containers[0].ARGS", []any{"x"})},
		{"a Deployment's command", deployment(container+".command", []any{"x"})},
		{"a Deployment's image", deployment(container+".image", "x")},
		{"a Deployment's volumes", deployment("spec.template.spec.volumes[-1]", m{"name": "xcp-central-auth-jwt",
			"secret": m{"secretName": "x"}})},
		{"a Deployment's mounts", deployment(container+".volumeMounts[-1]", m{"name": "x", "mountPath": "/x"})},
		{"a Deployment's envFrom", deployment(container+".envFrom[-1]", m{"secretRef": m{"name": "x"}})},
		{"a Deployment's whole container", deployment(container, m{"name": "edge", "resources": m{}})},
		{"a Deployment's containers", deployment("spec.template.spec.containers[-1]", m{"name": "x"})},
		{"a Deployment's whole template", deployment("spec.template", m{})},
		{"a Deployment's whole spec", deployment("spec", m{})},
		{"a Deployment without a name", overlays(m{"kind": "Deployment", "patches": []any{m{"path": container + ".args",
			"value": []any{"x"}}}})},
		{"Central's Deployment", overlays(patch("Deployment", "central", container+".args", []any{"x"}))},
		{"kind missing", without("kind")},
		{"kind null", of(nil)},
		{"kind padded", of(" EdgeXcp ")},
		{"kind empty", of("")},
		{"kind in another case", of("EDGEXCP")},
		{"kind is a list", of([]any{"EdgeXcp"})},
		{"kind under another key", overlays(m{"Kind": "EdgeXcp", "kind": "Service", "patches": []any{}})},
		// by the form
		{"an overlay that is a text", overlays("EdgeXcp")},
		{"an overlay that is null", overlays(nil)},
		{"a patch that is a text", patches([]any{"spec.centralAuthMode=MUTUAL_TLS"})},
		{"patches that are a map", patches(m{"path": "spec.centralAuthMode"})},
		{"patches misspelt", overlays(m{"kind": "EdgeXcp", "patch": []any{m{"path": "spec.centralAuthMode", "value": "x"}}})},
		{"a path that is no text", patches([]any{m{"path": int64(1), "value": "x"}})},
		{"overlays that are a map", m{"overlays": m{}}},
		{"overlays that are a text", m{"overlays": "x"}},
		{"overlays in another case", m{"Overlays": []any{}}},
		{"a kubeSpec that is a text", "x"},
		{"a kubeSpec that is a list", []any{}},
		// by what it carries
		{"an overlay within an overlay", edge(kubeSpec+".overlays", []any{args})},
		{"one of many overlays within an overlay", edge(kubeSpec+".overlays[-1]", args)},
		{"overlays in a whole kubeSpec", edge(kubeSpec, m{"overlays": []any{args}})},
		{"a part of an overlay within an overlay", edge(kubeSpec+".overlays[0].patches[0].value", "x")},
		{"an overlay of EdgeXcp within an overlay", edge(kubeSpec+".overlays", []any{patch("EdgeXcp", "edge-xcp",
			"spec.logLevels", "x")})},
		{"overlays within an overlay that are texts", edge(kubeSpec+".overlays", []any{"x"})},
	} {
		all = append(all, OverlayCase{c.name, c.kubeSpec, true})
	}
	return all
}

// HubSpellingCase is a ManagementPlane with a key in another spelling beside both modes on.
type HubSpellingCase struct {
	Name   string
	Object m // its fields beside metadata
}

// HubSpellings are the keys on the way to the stanza, each there a second time in another spelling.
func HubSpellings() []HubSpellingCase {
	both := func() m { return m{"jwt": true, "mutualTls": true} }
	off := m{"jwt": true, "mutualTls": false}
	object := func(root, spec, components, xcp m) m {
		put := func(into, more m) m {
			for k, v := range more {
				into[k] = v
			}
			return into
		}
		return put(m{"spec": put(m{"components": put(m{"xcp": put(m{"centralAuthModes": both()}, xcp)}, components)}, spec)},
			root)
	}
	return []HubSpellingCase{
		{"Spec", object(m{"Spec": m{"components": m{"xcp": modes(off)}}}, nil, nil, nil)},
		{"Components", object(nil, m{"Components": m{"xcp": modes(off)}}, nil, nil)},
		{"COMPONENTS", object(nil, m{"COMPONENTS": m{"xcp": modes(off)}}, nil, nil)},
		{"XCP", object(nil, nil, m{"XCP": modes(off)}, nil)},
		{"Xcp", object(nil, nil, m{"Xcp": modes(off)}, nil)},
		{"CentralAuthModes", object(nil, nil, nil, m{"CentralAuthModes": off})},
		{"centralauthmodes", object(nil, nil, nil, m{"centralauthmodes": off})},
		{"central_auth_modes", object(nil, nil, nil, m{"central_auth_modes": off})},
		{"central-auth-modes", object(nil, nil, nil, m{"central-auth-modes": off})},
		{"kube_spec", object(nil, nil, nil, m{"kube_spec": m{}})},
		{"KubeSpec", object(nil, nil, nil, m{"KubeSpec": m{}})},
	}
}
