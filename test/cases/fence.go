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
	return []FenceCase{
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
		{"an overlay of another kind", jwt, spec(overlay("Deployment", m{"path": "spec.template.metadata.annotations.auth", "value": m{"a": "b"}})), true},
		{"an overlay that the vendor documents", jwt, spec(overlay("EdgeXcp", sni)), true},
		{"a harmless overlay", jwt, spec(overlay("EdgeXcp", m{"path": "spec.logLevel", "value": "debug"})), true},
		{"a harmless number", jwt, spec(overlay("EdgeXcp", m{"path": "spec.replicas", "value": int64(2)})), true},
		{"an overlay of the mode", jwt, spec(overlay("EdgeXcp", m{"path": "spec.centralAuthMode", "value": "MUTUAL_TLS"})), false},
		{"an overlay of the mode, kind in capitals", jwt, spec(overlay("EDGEXCP", m{"path": "spec.centralAuthMode", "value": "MUTUAL_TLS"})), false},
		{"an overlay of the whole spec", jwt, spec(overlay("EdgeXcp", m{"path": "spec", "value": m{"centralAuthMode": "MUTUAL_TLS"}})), false},
		{"an overlay whose path is no text", jwt, spec(overlay("EdgeXcp", m{"path": int64(1), "value": "MUTUAL_TLS"})), false},
		{"an overlay that was there stays", spec(overlay("EdgeXcp", m{"path": "spec.x", "value": m{"a": "b"}})), spec(overlay("EdgeXcp", m{"path": "spec.x", "value": m{"a": "b"}})), true},
		{"an overlay whose patches are misspelt", jwt, spec(m{"centralAuthMode": "JWT", "kubeSpec": m{"overlays": []any{m{"kind": "EdgeXcp", "patch": []any{m{"path": "spec.centralAuthMode"}}}}}}), false},
		{"an overlay whose patches are no list", jwt, spec(m{"centralAuthMode": "JWT", "kubeSpec": m{"overlays": []any{m{"kind": "EdgeXcp", "patches": m{"path": "spec.centralAuthMode"}}}}}), false},
		{"overlays that are no list", jwt, spec(m{"centralAuthMode": "JWT", "kubeSpec": m{"overlays": "x"}}), false},
		{"a kubeSpec that is no object", jwt, spec(m{"centralAuthMode": "JWT", "kubeSpec": "x"}), false},
		{"an alias of kubeSpec", jwt, spec(m{"centralAuthMode": "JWT", "kube_spec": m{"overlays": []any{m{"kind": "EdgeXcp", "patches": []any{m{"path": "spec.centralAuthMode"}}}}}}), false},
		{"an alias of kubeSpec that was there stays", spec(m{"centralAuthMode": "JWT", "kube_spec": m{}}), spec(m{"centralAuthMode": "JWT", "kube_spec": m{}, "x": "y"}), true},
	}
}
