package kongmesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// adminLogin is the secret with the token of the user mesh-system:admin, which a global makes at its first start (Kuma
// pkg/plugins/authn/api-server/tokens/admin_token_bootstrap.go).
const adminLogin = "admin-user-token"

// apiOf is where a global issues tokens (Kuma pkg/config/api-server/config.go and pkg/tokens/builtin/server): in clear, as who follows the
// product's page reaches it through kubectl port-forward, or over TLS where that is off.
func apiOf(cp controlPlane, object plan.Ref) *plan.TokenAPI {
	text := func(variable, file, otherwise string) string {
		if s := cp.set(cp.spec, variable, file); s.text != "" {
			return s.text
		}
		return otherwise
	}
	api := &plan.TokenAPI{Object: object, Path: path.Join("/", text("KUMA_API_SERVER_BASE_PATH", "apiServer.basePath", "/"), "tokens/zone"),
		Login: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: object.Namespace, Name: adminLogin}}
	port := text("KUMA_API_SERVER_HTTP_PORT", "apiServer.http.port", "5681")
	if text("KUMA_API_SERVER_HTTP_ENABLED", "apiServer.http.enabled", "true") == "false" {
		api.TLS, port = true, text("KUMA_API_SERVER_HTTPS_PORT", "apiServer.https.port", "5682")
	}
	var err error
	if api.Port, err = strconv.Atoi(port); err != nil || api.Port < 1 || api.Port > 65535 {
		api.Off = fmt.Sprintf("the port of the global's API is %q, which is none", safe(port))
	}
	for _, e := range cp.environments() {
		if e.IssuerOn != "" && cp.set(cp.spec, e.IssuerOn, inFile(e, "global.kds.auth.cpToken.enableIssuer", "global.kds.auth.zoneToken.enableIssuer")).text == "false" {
			api.Off = "the global issues no tokens (" + e.IssuerOn + " is false)"
		}
	}
	return api
}

// issuedBy is the API to ask for tokens on the way to a goal; nil where the key is to sign.
func issuedBy(h plan.Hub, goal plan.Goal) *plan.TokenAPI {
	if goal.FromKey || h.API == nil {
		return nil
	}
	api := *h.API
	if goal.OwnLogin {
		api.Login = plan.Ref{}
	}
	return &api
}

// Request is what is asked of a global so that a zone gets a token of the newest key; the error says why there is none to be had.
func Request(f plan.State, goal plan.Goal, zone string) (plan.TokenRequest, error) {
	t := plan.TokenRequest{API: issuedBy(f.Hub, goal), Hub: f.Hub.Context, Subject: zone, ValidFor: goal.ValidFor, DataKey: TokenKey}
	for _, k := range f.Hub.Keys {
		if k.Signs && k.Wrong == "" {
			t.Key, t.KeyID = k.Object, k.ID
		}
	}
	switch {
	case t.API != nil && t.API.Off != "":
		return t, fmt.Errorf("%s; pass --tokens-from=key", t.API.Off)
	case t.KeyID == "":
		return t, fmt.Errorf("the global in %s has no key that signs; kubectl xcpauth key list shows why", f.Hub.Context)
	}
	return t, nil
}

// Ask is the body with which a zone token for a control plane is asked for (Kuma pkg/tokens/builtin/server/types).
func Ask(zone string, validFor time.Duration) []byte {
	b, _ := json.Marshal(struct { // texts and a list of them: never fails
		Zone     string   `json:"zone"`
		Scope    []string `json:"scope"`
		ValidFor string   `json:"validFor"`
	}{zone, []string{Scope}, validFor.String()})
	return b
}

// Answered reads what the API answered: the token, when that is what was asked for. The error says what the product said, what that means
// and what to do; it never has a part of a token.
func Answered(status int, body []byte, zone string, validFor time.Duration) (plan.Secret, Zone, error) {
	if status != 200 {
		return plan.Secret{}, Zone{}, refusal(status, body, zone)
	}
	body = bytes.TrimSpace(body) // a newline at the end could not be presented
	z, err := ReadZone(body)
	if err != nil {
		return plan.Secret{}, Zone{}, fmt.Errorf("the global's API answered with something else than a token: %w", err)
	}
	if why := notAsked(z, zone, validFor); why != "" {
		return plan.Secret{}, Zone{}, fmt.Errorf("the global's API issued a token that was not asked for: %s", why)
	}
	return plan.NewSecret(body), z, nil
}

// How much longer a token may live than was asked for, since up to 2.10 it is valid from five minutes before it is made; and how much less,
// since its times are whole seconds, of which each may be taken at another moment.
const (
	longer = 10 * time.Minute
	less   = 5 * time.Second
)

// notAsked says what of a token is not as it was asked for, "" when all is.
func notAsked(z Zone, zone string, validFor time.Duration) string {
	switch life := z.Expires.Sub(z.Issued); {
	case z.Kind != Zoned || z.alg != "RS256":
		return "it is no zone token"
	case z.Name != zone:
		return fmt.Sprintf("it is of zone %q", safe(z.Name))
	case !slices.Equal(z.Scope, []string{Scope}):
		return safe(fmt.Sprintf("its scope is %v", z.Scope))
	case !plainKid(z.KeyID):
		return "it names no key"
	case CheckTokenID(z.ID) != nil:
		return "it has no ID by which it could be revoked"
	case z.Expires.IsZero() || z.Issued.IsZero() || life < validFor-less || life > validFor+longer:
		return fmt.Sprintf("it is valid for %s", life.Round(time.Second))
	case z.NotBefore.After(z.Issued), z.Issued.Sub(z.NotBefore) > longer: // so that it is good for no longer than it says
		return "it is valid from another time than it was issued"
	}
	return ""
}

// likeToken is what a JWT looks like, or what is left of one.
var likeToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*)*`)

// tokenless is a text without the tokens in it: whoever answers may repeat with what it was asked.
func tokenless(text string) string { return likeToken.ReplaceAllString(text, "(a token)") }

// refusal is what an answer that is no token means (Kuma pkg/core/rest/errors/error_handler.go).
func refusal(status int, body []byte, zone string) error {
	var said struct {
		Title      string `json:"title"`
		Detail     string `json:"detail"`
		Parameters []struct {
			Field  string `json:"field"`
			Reason string `json:"reason"`
		} `json:"invalid_parameters"`
	}
	json.Unmarshal(body, &said) // what is no JSON says nothing
	words := []string{fmt.Sprint(status)}
	for _, text := range []string{said.Title, said.Detail} {
		if text != "" {
			words = append(words, safe(tokenless(text)))
		}
	}
	for _, p := range said.Parameters {
		words = append(words, safe(tokenless(p.Field+" "+p.Reason)))
	}
	next := ""
	switch {
	case status == 401:
		next = "; the token with which it was asked is not known to it (it may have expired, or be of another mesh); hand over another with --api-token FILE, or pass --tokens-from=key"
	case status == 403:
		next = fmt.Sprintf("; who asked may not issue tokens for zone %s; hand over the token of a user who may with --api-token FILE, or pass --tokens-from=key", zone)
	case status == 404 && said.Title == "":
		next = "; does this version issue zone tokens? pass --tokens-from=key if not"
	}
	return fmt.Errorf("the global's API did not issue a token (%s)%s", strings.Join(words, ": "), next)
}
