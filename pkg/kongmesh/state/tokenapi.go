package state

import (
	"fmt"
	"path"
	"strconv"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// adminLogin is the secret with the token of the user mesh-system:admin, which a global makes at its first start (Kuma
// pkg/plugins/authn/api-server/tokens/admin_token_bootstrap.go).
const adminLogin = "admin-user-token"

// apiOf is where a global's own API answers, and issues tokens (Kuma pkg/config/api-server/config.go and
// pkg/tokens/builtin/server): in clear, as who follows the product's page reaches it through kubectl port-forward, or
// over TLS where that is off.
func apiOf(cp ControlPlane, object plan.Ref) *plan.HubAPI {
	text := func(variable, file, otherwise string) string {
		if s := cp.set(cp.Spec, variable, file); s.text != "" {
			return s.text
		}
		return otherwise
	}
	api := &plan.HubAPI{Object: object, Base: path.Join("/", text("KUMA_API_SERVER_BASE_PATH", "apiServer.basePath", "/")),
		NoLogin: text("KUMA_API_SERVER_AUTHN_LOCALHOST_IS_ADMIN", "apiServer.authn.localhostIsAdmin", "true") == "true",
		Login:   plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: object.Namespace, Name: adminLogin}}
	port := text("KUMA_API_SERVER_HTTP_PORT", "apiServer.http.port", "5681")
	if text("KUMA_API_SERVER_HTTP_ENABLED", "apiServer.http.enabled", "true") == "false" {
		api.TLS, port = true, text("KUMA_API_SERVER_HTTPS_PORT", "apiServer.https.port", "5682")
	}
	var err error
	if api.Port, err = strconv.Atoi(port); err != nil || api.Port < 1 || api.Port > 65535 {
		api.Off = fmt.Sprintf("the port of the global's API is %q, which is none", zonetoken.Safe(port))
	}
	for _, e := range cp.environments() {
		if e.IssuerOn != "" && cp.set(cp.Spec, e.IssuerOn, inFile(e, "global.kds.auth.cpToken.enableIssuer",
			"global.kds.auth.zoneToken.enableIssuer")).text == "false" {
			api.Off = "the global issues no tokens (" + e.IssuerOn + " is false)"
		}
	}
	return api
}
