package state

import (
	"path"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Where a global issues tokens follows from its settings, of the environment before those of its file.
func TestWhereAGlobalIssuesTokens(t *testing.T) {
	for _, tc := range []struct {
		name, version string
		env           map[string]string
		config        map[string]any
		port          int
		tls           bool
		path, off     string
	}{
		{"as installed", "2.13.5", nil, nil, 5681, false, "/", ""},
		{"another port and path", "2.13.5", map[string]string{"KUMA_API_SERVER_HTTP_PORT": "80",
			"KUMA_API_SERVER_BASE_PATH": "/mesh"}, nil, 80, false, "/mesh/", ""},
		{"from the file", "2.13.5", nil,
			map[string]any{"apiServer": map[string]any{"http": map[string]any{"port": float64(7000)}}}, 7000, false,
			"/", ""},
		{"the environment goes first", "2.13.5", map[string]string{"KUMA_API_SERVER_HTTP_PORT": "80"},
			map[string]any{"apiServer": map[string]any{"http": map[string]any{"port": float64(7000)}}}, 80, false,
			"/", ""},
		{"not in clear", "2.13.5", map[string]string{"KUMA_API_SERVER_HTTP_ENABLED": "false"}, nil, 5682, true,
			"/", ""},
		{"not in clear, by the file", "2.13.5", nil,
			map[string]any{"apiServer": map[string]any{"http": map[string]any{"enabled": false},
				"https": map[string]any{"port": float64(8443)}}}, 8443, true, "/", ""},
		{"no port", "2.13.5", map[string]string{"KUMA_API_SERVER_HTTP_PORT": "all"}, nil, 0, false, "/",
			`the port of the global's API is "all", which is none`},
		{"no issuer", "2.14.5", map[string]string{"KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_ENABLE_ISSUER": "false"}, nil,
			5681, false, "/", "the global issues no tokens (KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_ENABLE_ISSUER is false)"},
		{"no issuer, by the new name", "3.0.0",
			map[string]string{"KUMA_MULTIZONE_GLOBAL_KDS_AUTH_ZONE_TOKEN_ENABLE_ISSUER": "false"}, nil, 5681, false,
			"/", "the global issues no tokens (KUMA_MULTIZONE_GLOBAL_KDS_AUTH_ZONE_TOKEN_ENABLE_ISSUER is false)"},
		{"no issuer, before that could be said", "2.13.5",
			map[string]string{"KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_ENABLE_ISSUER": "false"}, nil, 5681, false,
			"/", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := zonetoken.ParseVersion(zonetoken.KongMesh, tc.version)
			if err != nil {
				t.Fatal(err)
			}
			cp := ControlPlane{Version: v, config: tc.config}
			c := kube.Container{Name: ContainerName}
			for name, value := range tc.env {
				c.Env = append(c.Env, kube.Variable{Name: name, Value: value})
			}
			cp.Spec.Containers = []kube.Container{c}
			api := apiOf(cp, plan.Ref{Namespace: zonetoken.KongNamespace})
			if api.Port != tc.port || api.TLS != tc.tls || api.Base != path.Clean(tc.path) || api.Off != tc.off ||
				api.Login.Name != "admin-user-token" || api.Login.Namespace != zonetoken.KongNamespace {
				t.Errorf("%+v", api)
			}
		})
	}
}
