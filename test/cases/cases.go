// Package cases is the table of every way to write the hub's stanza and what must come of it.
// The pure rule and the deployed webhook are both tested by it, so that they cannot disagree.
// It holds data only and imports nothing of the product.
package cases

// Edges says what the fleet of a case presents.
type Edges string

// The three fleets of the table.
const (
	OnMTLS  Edges = "mtls"
	OnJWT   Edges = "jwt"
	Unknown Edges = "unknown"
)

// Case is one edit of spec.components.xcp in a ManagementPlane.
type Case struct {
	Name string
	// Old and New are the value of spec.components.xcp before and after; nil means that xcp itself is absent.
	Old, New map[string]any
	// Denied says for which fleets the edit must be denied.
	Denied map[Edges]bool
}

type m = map[string]any

func denied(edges ...Edges) map[Edges]bool {
	d := map[Edges]bool{}
	for _, e := range edges {
		d[e] = true
	}
	return d
}

func modes(v any) m { return m{"centralAuthModes": v} }

// All is the table. Old is both modes on unless the case says otherwise.
func All() []Case {
	both := modes(m{"jwt": true, "mutualTls": true})
	mtlsOnly := modes(m{"mutualTls": true})
	jwtOnly := modes(m{"jwt": true, "mutualTls": false})
	overlay := func(kind, path string, value any) any { return overlays(patch(kind, "x", path, value)) }
	return []Case{
		{"mutualTls true: nothing changes", both, modes(m{"jwt": true, "mutualTls": true}), nil},
		{"mutualTls false", both, modes(m{"jwt": true, "mutualTls": false}), denied(OnMTLS, Unknown)},
		{"mutualTls entry removed", both, modes(m{"jwt": true}), denied(OnMTLS, Unknown)},
		{"mutualTls null", both, modes(m{"jwt": true, "mutualTls": nil}), denied(OnMTLS, Unknown)},
		{`mutualTls "false"`, both, modes(m{"jwt": true, "mutualTls": "false"}), denied(OnMTLS, Unknown)},
		{`mutualTls "true"`, both, modes(m{"jwt": true, "mutualTls": "true"}), denied(OnMTLS, Unknown)},
		{"mutualTls 1", both, modes(m{"jwt": true, "mutualTls": int64(1)}), denied(OnMTLS, Unknown)},
		{"mutualTls is a list", both, modes(m{"jwt": true, "mutualTls": []any{}}), denied(OnMTLS, Unknown)},
		{"mutualTLS misspelt", both, modes(m{"jwt": true, "mutualTLS": true}), denied(OnMTLS, OnJWT, Unknown)},
		{"mutual_tls alias", both, modes(m{"jwt": true, "mutual_tls": true}), denied(OnMTLS, OnJWT, Unknown)},
		{"both spellings", both, modes(m{"jwt": true, "mutualTls": true, "mutual_tls": false}),
			denied(OnMTLS, OnJWT, Unknown)},
		{"jwt false", both, modes(m{"jwt": false, "mutualTls": true}), denied(OnJWT, Unknown)},
		{"jwt entry removed", both, modes(m{"mutualTls": true}), denied(OnJWT, Unknown)},
		{"both false", both, modes(m{"jwt": false, "mutualTls": false}), denied(OnMTLS, OnJWT, Unknown)},
		{"stanza {}", both, modes(m{}), denied(OnMTLS, OnJWT, Unknown)},
		{"stanza null", both, modes(nil), denied(OnMTLS, OnJWT, Unknown)},
		{"stanza is a string", both, modes("jwt"), denied(OnMTLS, OnJWT, Unknown)},
		{"stanza is a list", both, modes([]any{"jwt"}), denied(OnMTLS, OnJWT, Unknown)},
		{"stanza removed", both, m{}, denied(OnMTLS, OnJWT, Unknown)},
		{"xcp removed", both, nil, denied(OnMTLS, OnJWT, Unknown)},
		{"stanza under its alias", both, m{"central_auth_modes": m{"jwt": true, "mutualTls": true}},
			denied(OnMTLS, OnJWT, Unknown)},
		{"alias beside the stanza", both, m{"centralAuthModes": m{"jwt": true, "mutualTls": true},
			"central_auth_modes": m{"mutualTls": false}}, denied(OnMTLS, OnJWT, Unknown)},
		{"an overlay behind the field", both, m{"centralAuthModes": m{"jwt": true, "mutualTls": true},
			"kubeSpec": overlay("CentralXcp", "spec.centralAuthModes.mutualTls", "x")}, denied(OnMTLS, OnJWT, Unknown)},
		{"an overlay whose patches are misspelt", both, m{"centralAuthModes": m{"jwt": true, "mutualTls": true},
			"kubeSpec": m{"overlays": []any{m{"kind": "CentralXcp", "patch": []any{m{"path": "spec.centralAuthModes.mutualTls",
				"value": false}}}}}}, denied(OnMTLS, OnJWT, Unknown)},
		{"another overlay changes nothing", both, m{"centralAuthModes": m{"jwt": true, "mutualTls": true},
			"kubeSpec": overlay("CentralXcp", centralEnv, []any{variable("ENABLE_NON_INGRESS_HOST_LEVEL_AUTHORIZATION",
				"true")})}, nil},
		{"log levels change nothing", both, m{"centralAuthModes": m{"jwt": true, "mutualTls": true},
			"logLevels": m{"stream": "debug"}}, nil},

		{"jwt turned on beside mutualTls", mtlsOnly, both, nil},
		{"jwt: true alone silently drops mutualTls", mtlsOnly, modes(m{"jwt": true}), denied(OnMTLS, Unknown)},
		{"unset to jwt: true alone", m{}, modes(m{"jwt": true}), denied(OnMTLS, Unknown)},
		{"unset to both", m{}, both, nil},
		{"unset stays unset", m{}, m{"logLevels": m{"stream": "debug"}}, nil},
		{"unset to {}", m{}, modes(m{}), denied(OnMTLS, OnJWT, Unknown)},

		{"jwt-only stays jwt-only", jwtOnly, modes(m{"jwt": true, "mutualTls": false}), nil},
		{"jwt-only to the entry removed", jwtOnly, modes(m{"jwt": true}), nil},
		{"jwt-only with the stanza removed", jwtOnly, m{}, denied(OnJWT, Unknown)},
		{"jwt-only back to both", jwtOnly, both, nil},
		{"jwt-only back to mutualTls alone", jwtOnly, mtlsOnly, denied(OnJWT, Unknown)},
	}
}
