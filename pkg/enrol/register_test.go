package enrol

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

func TestAContextThatTheWebhookCannotUseIsRefusedWithTheRemedy(t *testing.T) {
	_, ca := apifake.Certificate()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := func(*http.Request) (*url.URL, error) { return nil, errors.New("nobody is asked") }
	with := func(change func(*rest.Config)) *rest.Config {
		cfg := &rest.Config{Host: "https://edge-1.example.test:6443", TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
		change(cfg)
		return cfg
	}
	for _, tc := range []struct {
		name         string
		cfg          *rest.Config
		how          Registration
		server, says string
	}{
		{"as it is", with(func(*rest.Config) {}), Registration{}, "https://edge-1.example.test:6443", ""},
		{"without a scheme", with(func(c *rest.Config) { c.Host = "edge-1:6443" }), Registration{},
			"https://edge-1:6443", ""},
		{"the CA in a file", with(func(c *rest.Config) { c.CAData, c.CAFile = nil, file }), Registration{},
			"https://edge-1.example.test:6443", ""},
		{"another address for the hub", with(func(c *rest.Config) {
			c.Proxy, c.Host = proxy,
				"https://127.0.0.1:8443/k8s/clusters/c-1"
		}), Registration{Server: "https://10.1.2.3:6443"}, "https://10.1.2.3:6443", ""},
		{"by a proxy", with(func(c *rest.Config) { c.Proxy = proxy }), Registration{}, "",
			"by a proxy (proxy-url), which the webhook never does; name with --server"},
		{"any certificate", with(func(c *rest.Config) { c.Insecure, c.CAData = true, nil }), Registration{}, "",
			"trusts any certificate (insecure-skip-tls-verify)"},
		{"any certificate, at another address", with(func(c *rest.Config) { c.Insecure, c.CAData = true, nil }),
			Registration{Server: "https://10.1.2.3:6443"}, "", "insecure-skip-tls-verify"},
		{"no CA", with(func(c *rest.Config) { c.CAData = nil }), Registration{}, "", "names no CA"},
		{"a path", with(func(c *rest.Config) { c.Host += "/k8s/clusters/c-1" }), Registration{}, "",
			"clusters[0].cluster.server is not https://HOST or https://HOST:PORT, and nothing else; name with --server"},
		{"no TLS", with(func(c *rest.Config) { c.Host = "http://localhost:8001" }), Registration{}, "", "is not https://"},
		{"an address with a user", with(func(*rest.Config) {}), Registration{Server: "https://u:p4ss@10.1.2.3"}, "",
			"is not https://"},
		{"no name", with(func(*rest.Config) {}), Registration{ServerName: "a_b"}, "", "tls-server-name is not a DNS name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k, err := reachable("edge-1", tc.cfg, tc.how)
			switch {
			case tc.says == "" && (err != nil || k.Server != tc.server || string(k.CA) != string(ca)):
				t.Errorf("%s, %v; want %s", k.Server, err, tc.server)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says) ||
				!strings.HasPrefix(err.Error(), "context edge-1 cannot be handed to the webhook: ") ||
				strings.Contains(err.Error(), "p4ss")):
				t.Errorf("error %v, want %q in it", err, tc.says)
			}
		})
	}
}

// While the webhook read an edge itself nobody looked at what was once stated of it, which may be believed for days
// yet.
func TestAnEdgeThatIsNotReadLiveAnyMoreIsNotBelievedForWhatWasOnceStated(t *testing.T) {
	for _, tc := range []struct {
		name  string
		edge  []bed.Object
		fence string // that the statement tells of
		voids bool
	}{
		{"it was taken back by its team", onMTLS("a"), "", true},
		{"it is as it was stated", bed.OnJWT("a"), "", false},
		{"its fence is gone", bed.OnJWT("a"), "uid-of-a-fence", true},
		{"it is not reached", nil, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			entry := bed.Stated("a")
			entry["spec"].(bed.Object)["evidence"] = "Live"
			if tc.fence != "" {
				entry["status"].(bed.Object)["fence"] = bed.Object{"binding": "xcpauth-fence", "uid": tc.fence,
					"provenTime": entry["status"].(bed.Object)["observedTime"]}
			}
			clusters := map[string][]bed.Object{"hub": append(bed.OpenHub("a"), entry)}
			if tc.edge != nil {
				clusters["a"] = tc.edge
			}
			b, _ := bed.New(t, clusters)
			r, err := Enroller{Live: b.Live}.Unregister(t.Context(), []string{"a"})
			if err != nil {
				t.Fatal(err)
			}
			o := r.Outcomes[slices.IndexFunc(r.Outcomes, func(o engine.Outcome) bool { return o.Member == "a" })]
			if voided := slices.Contains(b.Wrote, "hub status"); voided != tc.voids ||
				strings.Contains(o.Why, "was taken back") != tc.voids || tc.voids &&
				!slices.Equal(b.Wrote[:2], []string{"hub status", "hub a"}) {
				t.Errorf("wrote %v, said %q; the statement is to be taken back first: %v", b.Wrote, o.Why, tc.voids)
			}
		})
	}
}
