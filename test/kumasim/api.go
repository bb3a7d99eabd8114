package kumasim

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"
)

// User is who asks the API.
type User struct {
	Name   string
	Groups []string
}

// Access says who is known to the API, and what each may do. In the product mesh-system:admin alone may do either by
// default (Kuma pkg/config/access/config.go).
type Access struct {
	User      func(token string) (User, bool) // of a bearer token
	Issuers   Allowed                         // who may have zone tokens: access.static.generateZoneToken
	Resources Allowed                         // who may read and change secrets: access.static.adminResources
	NoIssuer  bool                            // enableIssuer is false
	Rest      *Rest                           // the rest of the API; nil for none
	Issued    func(Issued)                    // hears of every token, as an audit log does; nil for none
}

// Allowed are the users and the groups that may do something.
type Allowed struct {
	Users  []string `json:"users"`
	Groups []string `json:"groups"`
}

// Admins may do everything, as in the product by default.
var Admins = Allowed{Users: []string{Admin.Name}, Groups: Admin.Groups}

func (a Allowed) has(u User) bool {
	return slices.Contains(a.Users, u.Name) ||
		slices.ContainsFunc(u.Groups, func(group string) bool { return slices.Contains(a.Groups, group) })
}

// Issued is a token that the API issued.
type Issued struct {
	Zone, ValidFor, By string
	Scope              []string
}

// Admin is whose token a control plane makes at its first start (Kuma
// pkg/plugins/authn/api-server/tokens/admin_token_bootstrap.go), and anonymous who brings no token.
var (
	Admin     = User{"mesh-system:admin", []string{"mesh-system:admin"}}
	anonymous = User{"mesh-system:anonymous", []string{"mesh-system:unauthenticated"}}
)

// API answers POST /tokens/zone, and what Access.Rest says.
func (g *Global) API(a Access) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tokens/zone", func(w http.ResponseWriter, r *http.Request) { g.issueFor(w, r, a) })
	if a.Rest != nil {
		a.Rest.serve(mux, a)
	}
	return mux
}

// TLS is how the API is served over TLS: with the global's certificate.
func (g *Global) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{g.cert}}
}

// ServeAPI serves the API over TLS; the caller closes it.
func (g *Global) ServeAPI(a Access) *httptest.Server {
	s := httptest.NewUnstartedServer(g.API(a))
	s.TLS = g.TLS()
	s.StartTLS()
	return s
}

// apiError is an error as the API answers it.
type apiError struct {
	Type       string         `json:"type"`
	Status     int            `json:"status"`
	Title      string         `json:"title"`
	Detail     string         `json:"detail"`
	Details    string         `json:"details"`
	Parameters []apiParameter `json:"invalid_parameters,omitempty"`
}

type apiParameter struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

func answer(w http.ResponseWriter, status int, title, detail string, p ...apiParameter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(apiError{"/std-errors", status, title, detail, detail, p})
}

// issueFor answers one request, in the product's order: who asks, then what is asked, then the key. Neither the
// zone's name nor the scope's values are looked at.
func (g *Global) issueFor(w http.ResponseWriter, r *http.Request, a Access) {
	who, known := a.Rest.user(r, a)
	if !known { // Kuma pkg/plugins/authn/api-server/tokens/authenticator.go
		answer(w, http.StatusUnauthorized, "Invalid authentication data", "Unauthenticated")
		return
	}
	var req struct {
		Zone     string   `json:"zone"`
		Scope    []string `json:"scope"`
		ValidFor string   `json:"validFor"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&req); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !a.Issuers.has(who) {
		answer(w, http.StatusForbidden, "Access Denied",
			fmt.Sprintf("user %q cannot access generate zone token for zone '%s'",
				who.Name+"/"+strings.Join(who.Groups, ","), req.Zone))
		return
	}
	var wrong []apiParameter
	if req.Scope == nil {
		wrong = append(wrong, apiParameter{"scope", "cannot be empty"})
	}
	validFor := 10 * 365 * 24 * time.Hour
	if req.ValidFor != "" {
		d, err := time.ParseDuration(req.ValidFor)
		if err != nil {
			wrong = append(wrong, apiParameter{"validFor", "is invalid: " + err.Error()})
		}
		validFor = d
	}
	if len(wrong) > 0 {
		answer(w, http.StatusBadRequest, "Invalid request", "Resource is not valid", wrong...)
		return
	}
	if a.NoIssuer {
		answer(w, http.StatusBadRequest, "Could not issue a token", "issuing tokens using the control plane is disabled.")
		return
	}
	if a.Rest != nil && !a.Rest.Store.there() {
		answer(w, http.StatusInternalServerError, "Could not issue a token", "Internal Server Error")
		return
	}
	token, err := g.Issue(req.Zone, req.Scope, validFor)
	var unknown *keyNotFound
	switch {
	case errors.As(err, &unknown):
		answer(w, http.StatusNotFound, "Signing Key not found", err.Error())
	case err != nil:
		answer(w, http.StatusInternalServerError, "Could not issue a token", "Internal Server Error")
	default:
		if a.Issued != nil {
			a.Issued(Issued{Zone: req.Zone, ValidFor: req.ValidFor, By: who.Name, Scope: req.Scope})
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, token)
	}
}
