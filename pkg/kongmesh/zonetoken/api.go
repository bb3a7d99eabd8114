package zonetoken

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// APISecret is a secret of a global as its own API has it (Kuma pkg/core/resources/model/rest/v1alpha1/meta.go).
type APISecret struct {
	Name    string            `json:"name"`
	Created string            `json:"creationTime"`
	Labels  map[string]string `json:"labels"`
	Data    []byte            `json:"data"`
}

// Ask is the body with which a zone token for a control plane is asked for (Kuma pkg/tokens/builtin/server/types).
func Ask(zone string, validFor time.Duration) []byte {
	b, _ := json.Marshal(struct { // texts and a list of them: never fails
		Zone     string   `json:"zone"`
		Scope    []string `json:"scope"`
		ValidFor string   `json:"validFor"`
	}{zone, []string{scope}, validFor.String()})
	return b
}

// Answered reads what the API answered: the token, when that is what was asked for. The error says what the product
// said, what that means and what to do; it never has a part of a token.
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

// How much longer a token may live than was asked for, since up to 2.10 it is valid from five minutes before it is
// made; and how much less, since its times are whole seconds, of which each may be taken at another moment.
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
		return fmt.Sprintf("it is of zone %q", Safe(z.Name))
	case !slices.Equal(z.Scope, []string{scope}):
		return Safe(fmt.Sprintf("its scope is %v", z.Scope))
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

// refusal is what an answer that is no token means.
func refusal(status int, body []byte, zone string) error {
	said := read(body)
	next := ""
	switch {
	case status == 401:
		next = "; the token with which it was asked is not known to it (it may have expired, or be of another mesh); pass another with --api-token FILE, or pass --tokens-from=key"
	case status == 403:
		next = fmt.Sprintf("; who asked may not issue tokens for zone %s; pass the token of a user who may with --api-token FILE, or pass --tokens-from=key", zone)
	case status == 404 && said.Title == "":
		next = "; does this version issue zone tokens? pass --tokens-from=key if not"
	}
	return fmt.Errorf("the global's API did not issue a token (%s)%s", Said(status, body), next)
}

// Said is what the API said with a status, without a part of a token.
func Said(status int, body []byte) string {
	said := read(body)
	words := []string{fmt.Sprint(status)}
	for _, text := range []string{said.Title, said.Detail} {
		if text != "" {
			words = append(words, Safe(tokenless(text)))
		}
	}
	for _, p := range said.Parameters {
		words = append(words, Safe(tokenless(p.Field+" "+p.Reason)))
	}
	return strings.Join(words, ": ")
}

// SaidByAPI says whether an error is written as the API writes its own: a gateway in front of it has words of its own,
// of which nothing follows.
func SaidByAPI(body []byte) bool { return read(body).Title != "" }

// apiError is an error as the API has it (Kuma pkg/core/rest/errors/error_handler.go).
type apiError struct {
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	Parameters []struct {
		Field  string `json:"field"`
		Reason string `json:"reason"`
	} `json:"invalid_parameters"`
}

// read reads an error; what is no JSON says nothing.
func read(body []byte) apiError {
	var said apiError
	_ = json.Unmarshal(body, &said)
	return said
}

// likeToken is what a JWT looks like, or what is left of one.
var likeToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*)*`)

// tokenless is a text without the tokens in it: the one that answers may repeat what it was asked with.
func tokenless(text string) string { return likeToken.ReplaceAllString(text, "(a token)") }
