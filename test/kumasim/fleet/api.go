package fleet

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// The API's settings (Kuma pkg/config/api-server/config.go), and the secret with the administrator's token.
const (
	httpEnabled = "KUMA_API_SERVER_HTTP_ENABLED"
	httpPort    = "KUMA_API_SERVER_HTTP_PORT"
	httpsPort   = "KUMA_API_SERVER_HTTPS_PORT"
	adminToken  = "admin-user-token"

	localhostIsAdmin = "KUMA_API_SERVER_AUTHN_LOCALHOST_IS_ADMIN"
	readOnly         = "KUMA_API_SERVER_READ_ONLY"

	// without _USERS and _GROUPS (Kuma pkg/config/access/config.go)
	mayIssue      = "KUMA_ACCESS_STATIC_GENERATE_ZONE_TOKEN"
	mayAdminister = "KUMA_ACCESS_STATIC_ADMIN_RESOURCES"
)

// serveAPI serves the API of a global's pod at the pod's address, in clear and over TLS, until ctx ends; it calls
// listening once it can be asked. On Kubernetes the chart does not let the pod's own loopback be the administrator, so
// neither is who comes through port-forward; its variant with a store of its own does (_helpers.tpl).
func (f *Fleet) serveAPI(ctx context.Context, p *pod, v version, g *kumasim.Global, rest *kumasim.Rest,
	env map[string]string, listening func()) error {
	port := func(variable, otherwise string) string {
		if set := env[variable]; set != "" {
			return set
		}
		return otherwise
	}
	srv := &http.Server{
		Handler:           g.API(f.access(v, env, rest)),
		ReadHeaderTimeout: 10 * time.Second, TLSConfig: g.TLS(), ErrorLog: log.New(io.Discard, "", 0),
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer srv.Close()
	if env[httpEnabled] != "false" {
		ln, err := net.Listen("tcp", net.JoinHostPort(p.ip, port(httpPort, "5681")))
		if err != nil {
			return fmt.Errorf("serve the API: %w", err)
		}
		all.Go(func() { _ = srv.Serve(ln) })
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(p.ip, port(httpsPort, "5682")))
	if err != nil {
		return fmt.Errorf("serve the API: %w", err)
	}
	all.Go(func() { _ = srv.ServeTLS(ln, "", "") })
	listening()
	<-ctx.Done()
	return nil
}

// access is who may do what at the API of a global with this environment.
func (f *Fleet) access(v version, env map[string]string, rest *kumasim.Rest) kumasim.Access {
	return kumasim.Access{User: f.user, Issuers: allowed(env, mayIssue), Resources: allowed(env, mayAdminister),
		Issued: f.audited, NoIssuer: v.noIssuer(env), Rest: rest}
}

// allowed is who may do something, by the two variables that say so: the administrator where one is not set.
func allowed(env map[string]string, variable string) kumasim.Allowed {
	list := func(name, otherwise string) []string {
		if value, set := env[name]; set {
			return strings.Split(value, ",")
		}
		return []string{otherwise}
	}
	return kumasim.Allowed{Users: list(variable+"_USERS", kumasim.Admin.Name),
		Groups: list(variable+"_GROUPS", kumasim.Admin.Groups[0])}
}

// user is who has a token: the administrator, or one of the options.
func (f *Fleet) user(token string) (kumasim.User, bool) {
	if u, known := f.opts.Users[token]; known {
		return u, true
	}
	admin := f.secrets.value(adminToken)
	if all, err := f.elsewhere.Secrets(); (f.opts.StoredElsewhere || f.opts.Outside) && err == nil {
		admin = ""
		for _, s := range all {
			if s.Name == adminToken {
				admin = string(s.Data["value"])
			}
		}
	}
	return kumasim.Admin, admin != "" && admin == token
}

// audited records a token that a global issued.
func (f *Fleet) audited(i kumasim.Issued) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued = append(f.issued, i)
}

// Issued are the tokens that globals issued through their API so far, oldest first.
func (f *Fleet) Issued() []kumasim.Issued {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.issued)
}

// makeAdmin makes the administrator's token if there is none, as a global does at its start. It looks like the
// product's, and its signature is of no key.
func (s *secrets) makeAdmin(ctx context.Context) error {
	token := newAdminToken()
	_, err := s.c.kube.CoreV1().Secrets(s.namespace).Create(ctx,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: adminToken}, Type: globalSecret,
			Data: map[string][]byte{"value": []byte(token)}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the administrator's token: %w", err)
	}
	return nil
}

func newAdminToken() string {
	part := base64.RawURLEncoding.EncodeToString
	var signature [256]byte
	rand.Read(signature[:])
	return part([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." +
		part([]byte(`{"Name":"mesh-system:admin","Groups":["mesh-system:admin"]}`)) + "." + part(signature[:])
}

// value is what a secret of the control plane's namespace holds, as last seen.
func (s *secrets) value(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.all {
		if o.Namespace == ownNamespace && o.Name == name {
			return string(o.Data["value"])
		}
	}
	return ""
}

// Dial implements kubelet.Container: the pod has an address of its own.
func (p *pod) Dial(ctx context.Context, port int32) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort(p.ip, fmt.Sprint(port)))
}

// Logs implements kubelet.Container with what was said so far.
func (p *pod) Logs(_ context.Context, w io.Writer, tail int, _ bool, _ func()) {
	lines := p.k.f.saidBy(p.obj.Name)
	if tail >= 0 && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	for _, line := range lines {
		_, _ = io.WriteString(w, line)
	}
}
