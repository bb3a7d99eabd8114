package cases

// FenceCase is one edit of a ControlPlane in a cluster with a fence.
type FenceCase struct {
	Name string
	// Old and New are the object's fields beside its metadata; a nil Old is a creation.
	Old, New map[string]any
	Admitted bool
}

// Fence is the table of what a fence lets pass.
func Fence() []FenceCase {
	spec := func(xcp any) m { return m{"spec": m{"hub": "registry", "components": m{"xcp": xcp}}} }
	overlay := func(kind string, patches ...any) m {
		return m{"centralAuthMode": "JWT", "kubeSpec": m{"overlays": []any{m{"kind": kind, "patches": patches}}}}
	}
	jwt, mtls := spec(m{"centralAuthMode": "JWT"}), spec(m{"centralAuthMode": "MUTUAL_TLS"})
	sni := m{"path": "spec.centralAuthJwt.centralSni", "value": "central.example.test"}
	var all []FenceCase
	for _, c := range Overlays() {
		with := spec(m{"centralAuthMode": "JWT", "kubeSpec": c.KubeSpec})
		all = append(all, FenceCase{"added: " + c.Name, jwt, with, !c.Reaches}, FenceCase{"created with: " + c.Name, nil,
			with, !c.Reaches},
			FenceCase{"it was there: " + c.Name, with, with, true})
	}
	beside := func(root, spec, components, xcp m) m {
		xcp["centralAuthMode"] = "JWT"
		components["xcp"] = xcp
		spec["components"] = components
		root["spec"] = spec
		return root
	}
	mode := m{"centralAuthMode": "MUTUAL_TLS"}
	for _, c := range []struct {
		name   string
		object m
	}{
		{"Spec", beside(m{"Spec": m{"components": m{"xcp": mode}}}, m{}, m{}, m{})},
		{"Components", beside(m{}, m{"Components": m{"xcp": mode}}, m{}, m{})},
		{"XCP", beside(m{}, m{}, m{"XCP": mode}, m{})},
		{"CentralAuthMode", beside(m{}, m{}, m{}, m{"CentralAuthMode": "MUTUAL_TLS"})},
		{"centralauthmode", beside(m{}, m{}, m{}, m{"centralauthmode": "MUTUAL_TLS"})},
		{"kube_spec", beside(m{}, m{}, m{}, m{"kube_spec": m{}})},
		{"KubeSpec", beside(m{}, m{}, m{}, m{"KubeSpec": m{}})},
	} {
		all = append(all, FenceCase{"another spelling comes: " + c.name, jwt, c.object, false},
			FenceCase{"another spelling was there: " + c.name, c.object, c.object, true})
	}
	env := []any{variable("ENABLE_ENHANCED_EAST_WEST_ROUTING", "true"), variable("CLUSTER_STATE_RESYNC_INTERVAL", "20s")}
	patches := []any{sni}
	for _, v := range env {
		patches = append(patches, m{"path": edgeEnv + "[-1]", "value": v})
	}
	dump := spec(m{"centralAuthMode": "JWT", "kubeSpec": m{"deployment": m{"replicaCount": int64(1), "resources": m{}},
		"service": m{"type": "ClusterIP"},
		"overlays": []any{m{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp", "name": "edge-xcp",
			"patches": patches}}}})
	return append(all, []FenceCase{
		{"a dump of a live installation is restored", jwt, dump, true},
		{"a dump of a live installation is created again", nil, dump, true},
		{"JWT stays", jwt, jwt, true},
		{"another field changes", jwt, spec(m{"centralAuthMode": "JWT", "logLevels": m{"default": "info"}}), true},
		{"back to mTLS", jwt, mtls, false},
		{"the field goes", jwt, spec(m{}), false},
		{"xcp goes", jwt, m{"spec": m{"components": m{}}}, false},
		{"the spec goes", jwt, m{}, false},
		{"null", jwt, spec(m{"centralAuthMode": nil}), false},
		{"UNKNOWN", jwt, spec(m{"centralAuthMode": "UNKNOWN"}), false},
		{"in small letters", jwt, spec(m{"centralAuthMode": "jwt"}), false},
		{"a number", jwt, spec(m{"centralAuthMode": int64(2)}), false},
		{"an alias beside it", jwt, spec(m{"centralAuthMode": "JWT", "central_auth_mode": "MUTUAL_TLS"}), false},
		{"components becomes a list", jwt, m{"spec": m{"components": []any{}}}, false},
		{"the spec becomes a string", jwt, m{"spec": "x"}, false},
		{"one that is on mTLS is free", mtls, mtls, true},
		{"to move on", mtls, jwt, true},
		{"and to be edited", mtls, spec(m{"centralAuthMode": "UNKNOWN"}), true},
		{"one without a spec is free", m{}, mtls, true},
		{"one with a list for a spec is free", m{"spec": []any{}}, mtls, true},
		{"created with JWT", nil, jwt, true},
		{"created with mTLS", nil, mtls, false},
		{"created without a mode", nil, spec(m{}), false},
		{"an overlay of another kind", jwt, spec(overlay("Deployment", m{"path": "spec.template.metadata.annotations.auth",
			"value": m{"a": "b"}})), true},
		{"an overlay that the vendor documents", jwt, spec(overlay("EdgeXcp", sni)), true},
		{"a harmless overlay", jwt, spec(overlay("EdgeXcp", m{"path": "spec.logLevel", "value": "debug"})), true},
		{"a harmless number", jwt, spec(overlay("EdgeXcp", m{"path": "spec.replicas", "value": int64(2)})), true},
		{"an overlay of the mode", jwt, spec(overlay("EdgeXcp", m{"path": "spec.centralAuthMode", "value": "MUTUAL_TLS"})),
			false},
		{"an overlay of the mode, kind in capitals", jwt, spec(overlay("EDGEXCP",
			m{"path": "spec.centralAuthMode", "value": "MUTUAL_TLS"})), false},
		{"an overlay of the whole spec", jwt, spec(overlay("EdgeXcp", m{"path": "spec",
			"value": m{"centralAuthMode": "MUTUAL_TLS"}})), false},
		{"an overlay whose path is no text", jwt, spec(overlay("EdgeXcp", m{"path": int64(1), "value": "MUTUAL_TLS"})),
			false},
		{"an overlay that was there stays", spec(overlay("EdgeXcp", m{"path": "spec.x", "value": m{"a": "b"}})),
			spec(overlay("EdgeXcp", m{"path": "spec.x", "value": m{"a": "b"}})), true},
		{"an overlay whose patches are misspelt", jwt, spec(m{"centralAuthMode": "JWT",
			"kubeSpec": m{"overlays": []any{m{"kind": "EdgeXcp", "patch": []any{m{"path": "spec.centralAuthMode"}}}}}}), false},
		{"an overlay whose patches are no list", jwt, spec(m{"centralAuthMode": "JWT",
			"kubeSpec": m{"overlays": []any{m{"kind": "EdgeXcp", "patches": m{"path": "spec.centralAuthMode"}}}}}), false},
		{"overlays that are no list", jwt, spec(m{"centralAuthMode": "JWT", "kubeSpec": m{"overlays": "x"}}), false},
		{"a kubeSpec that is no object", jwt, spec(m{"centralAuthMode": "JWT", "kubeSpec": "x"}), false},
		{"an alias of kubeSpec", jwt, spec(m{"centralAuthMode": "JWT", "kube_spec": m{"overlays": []any{m{"kind": "EdgeXcp",
			"patches": []any{m{"path": "spec.centralAuthMode"}}}}}}), false},
		{"an alias of kubeSpec that was there stays", spec(m{"centralAuthMode": "JWT", "kube_spec": m{}}),
			spec(m{"centralAuthMode": "JWT", "kube_spec": m{}, "x": "y"}), true},
	}...)
}
