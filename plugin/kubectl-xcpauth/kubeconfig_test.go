package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// edit changes a kubeconfig in place.
func edit(t *testing.T, path string, change func(*clientcmdapi.Config)) {
	t.Helper()
	k, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(k)
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		t.Fatal(err)
	}
}

// row is one member of a report.
type row struct {
	Member, Context, State, Credential string
	Why                                []string
}

// status runs status and returns its rows by context, and by its name that of a member whose context is not known; it
// fails when one has two.
func status(t *testing.T, kubeconfig string, code int, args ...string) map[string]row {
	t.Helper()
	r := xcpauth(t, kubeconfig, append([]string{"status", "-o", "json"}, args...)...)
	if r.code != code {
		t.Fatalf("status %q: exit code %d, want %d\n%s\n%s", args, r.code, code, r.out, r.err)
	}
	var report struct{ Members []row }
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("status %q: %v\n%s", args, err, r.out)
	}
	rows := map[string]row{}
	for _, m := range report.Members {
		key := m.Context
		if key == "" {
			key = m.Member
		}
		if _, twice := rows[key]; twice {
			t.Errorf("status %q: context %q has two rows", args, key)
		}
		rows[key] = m
	}
	return rows
}

// connectProxy is an HTTP proxy that leads every name to one address, and keeps what it was asked for.
func connectProxy(t *testing.T, to string) (proxyURL string, asked func() []string) {
	var mu sync.Mutex
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method+" "+r.Host)
		mu.Unlock()
		server, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { defer server.Close(); io.Copy(server, client) }()
		go func() { defer client.Close(); io.Copy(client, server) }()
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func TestTheKubeconfigIsUsedAsKubectlDoes(t *testing.T) {
	eu := apifake.Start(apifake.Edge("eu")...)
	var requests []*http.Request // of eu
	var mu sync.Mutex
	eu.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r)
		return false
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "eu": eu}, nil)
	proxy, proxied := connectProxy(t, eu.Listener.Addr().String())
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("from-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*clientcmdapi.Cluster, *clientcmdapi.AuthInfo)
		seen   func(*http.Request) string // of every request, port-forwards too
		want   string
	}{
		{"impersonation", func(_ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
			u.Impersonate, u.ImpersonateUID, u.ImpersonateGroups = "deputy", "7", []string{"oncall", "mesh"}
			u.ImpersonateUserExtra = map[string][]string{"reason": {"CHG-1"}}
		}, func(r *http.Request) string {
			return fmt.Sprint(r.Header["Impersonate-User"], r.Header["Impersonate-Uid"], r.Header["Impersonate-Group"],
				r.Header["Impersonate-Extra-Reason"])
		}, "[deputy] [7] [oncall mesh] [CHG-1]"},
		{"tls-server-name", func(c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) { c.TLSServerName = "example.com" },
			func(r *http.Request) string { return r.TLS.ServerName }, "example.com"},
		{"proxy-url", func(c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			c.Server, c.ProxyURL = "https://example.com:6443", proxy // nothing listens there
		}, func(r *http.Request) string { return r.Host }, "example.com:6443"},
		{"a token in a file", func(_ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
			u.Token,
				u.TokenFile = "", tokenFile
		},
			func(r *http.Request) string { return r.Header.Get("Authorization") }, "Bearer from-a-file"},
		{"a token goes before a plugin", func(_ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
			u.Exec = &clientcmdapi.ExecConfig{APIVersion: "client.authentication.k8s.io/v1", Command: "false",
				InteractiveMode: clientcmdapi.NeverExecInteractiveMode}
		}, func(r *http.Request) string { return r.Header.Get("Authorization") }, "Bearer t"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requests = nil
			changed := filepath.Join(t.TempDir(), "kubeconfig")
			b, err := os.ReadFile(kubeconfig)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(changed, b, 0o600); err != nil {
				t.Fatal(err)
			}
			edit(t, changed, func(k *clientcmdapi.Config) { tc.change(k.Clusters["eu"], k.AuthInfos["eu"]) })
			if got := status(t, changed, 0)["eu"]; got.Member != "eu" {
				t.Errorf("the row is %+v", got)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(requests) < 14 { // a port-forward at the end, which this server refuses
				t.Errorf("%d requests, want all reads and a port-forward", len(requests))
			}
			for _, r := range requests {
				if got := tc.seen(r); got != tc.want {
					t.Errorf("%s came with %q, want %q", r.URL.Path, got, tc.want)
				}
			}
		})
	}
	if asked := proxied(); !slices.Contains(asked, "CONNECT example.com:6443") {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

// Every name that a kubeconfig may hold selects its context, has its row, and comes back whole in the commands that
// are suggested.
func TestContextsMayHaveAnyName(t *testing.T) {
	t.Parallel()
	names := []string{"my cluster", "team/a", "arn:aws:eks:eu-west-1:123456789012:cluster/prod", "größe-東京", "-dash",
		"--help", "^caret", "/slash/", "a,b", `quo"te`, "it's", "$HOME", "tab\tname", "new\nline"}
	servers := map[string]*apifake.Server{}
	var edges []string
	for i := range names {
		edges = append(edges, fmt.Sprintf("edge-%02d", i))
	}
	hub := apifake.Start(apifake.Hub(edges...)...)
	for i, name := range names {
		servers[name] = apifake.Start(apifake.Edge(edges[i])...)
	}
	for _, hubName := range []string{"arn:aws:eks:eu-west-1:123456789012:cluster/hub prod", "-hub's"} {
		servers[hubName] = hub
		kubeconfig := serve(t, servers, nil)
		rows := status(t, kubeconfig, 0)
		for i, name := range names {
			if rows[name].Member != edges[i] {
				t.Errorf("the row of context %q is %+v, want %s", name, rows[name], edges[i])
			}
			if only := status(t, kubeconfig, 0, "--context="+hubName, "--contexts="+name); len(only) < 2 ||
				only[name].Member != edges[i] {
				t.Errorf("context %q alone selects %v", name, only)
			}
		}
		for _, format := range []string{"table", "wide"} {
			table := tableOf(xcpauth(t, kubeconfig, "status", "-o", format).out)
			if n := strings.Count(table, "\n"); n != len(rows) {
				t.Errorf("%s: %d rows, want %d\n%s", format, n, len(rows), table)
			}
		}

		chosen := []string{"status", "--context", hubName}
		for _, name := range names {
			chosen = append(chosen, "--contexts="+name)
		}
		out := xcpauth(t, kubeconfig, append(chosen, "-o", "json")...).out
		var report struct{ Next string }
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		_, suggested, found := strings.Cut(report.Next, "can be done with: ")
		suggested, _, ends := strings.Cut(suggested, "; then ")
		if !found || !ends {
			t.Fatalf("no command is suggested: %q", report.Next)
		}
		words, err := exec.Command("sh", "-c",
			`kubectl() { shift; for w; do printf '%s\0' "$w"; done; }; `+suggested).Output()
		if err != nil {
			t.Fatalf("a shell does not take %s: %v", suggested, err)
		}
		if r := xcpauth(t, "", append(strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00"),
			"--dry-run")...); r.code != 4 || !strings.Contains(r.out, "Plan for") {
			t.Errorf("%s\nends with %d: %s%s", suggested, r.code, r.out, r.err)
		}
		delete(servers, hubName)
	}
}

func TestSeveralContextsToOneClusterAreOneMember(t *testing.T) {
	eu, hub := apifake.Start(apifake.Edge("eu")...), apifake.Start(apifake.Hub("eu")...)
	eu.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer expired" {
			return false
		}
		apifake.Status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return true
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": hub, "eu": eu}, nil)
	edit(t, kubeconfig, func(k *clientcmdapi.Config) {
		k.AuthInfos["expired"] = &clientcmdapi.AuthInfo{Token: "expired"}
		k.Contexts["eu-as-nobody"] = &clientcmdapi.Context{Cluster: "eu", AuthInfo: "expired"}
		k.Contexts["eu-again"] = &clientcmdapi.Context{Cluster: "eu", AuthInfo: "eu", Namespace: "istio-system"}
		k.Contexts["hub-again"] = &clientcmdapi.Context{Cluster: "hub", AuthInfo: "hub"}
		other := *k.Clusters["eu"]
		other.Server = strings.Replace(other.Server, "127.0.0.1", "localhost", 1) // which its certificate does not name
		k.Clusters["eu-by-name"], k.Contexts["eu-by-name"] = &other, &clientcmdapi.Context{Cluster: "eu-by-name",
			AuthInfo: "eu"}
	})
	rows := status(t, kubeconfig, 4)
	for context, want := range map[string]row{
		"eu":       {Member: "eu", State: "blocked"},
		"eu-again": {Member: "-", State: "skipped", Why: []string{"the same cluster as context eu"}},
		"eu-as-nobody": {Member: "-", State: "skipped",
			Why: []string{"the same API server as context eu; by this one it could not be looked at: the API server refused the context's credential (401); log in again"}},
		"hub-again":  {Member: "-", State: "skipped", Why: []string{"the same cluster as context hub"}},
		"eu-by-name": {Member: "-", State: "unreachable"}, // it says that it is another server, and cannot be asked
	} {
		got := rows[context]
		if got.Member != want.Member || got.State != want.State || (want.Why != nil && !slices.Equal(got.Why, want.Why)) {
			t.Errorf("context %s: %+v, want %+v", context, got, want)
		}
	}
	status(t, kubeconfig, 0, "--contexts", "^eu-by-name")
	if got := status(t, kubeconfig, 0, "--contexts", "^eu-by-name,^hub", "--context",
		"hub-again"); got["hub-again"].Member != "hub" {
		t.Errorf("the named hub is %+v", got["hub-again"])
	}
	if r := xcpauth(t, kubeconfig, "status", "--context", "eu-as-nobody"); r.code != 1 ||
		!strings.Contains(r.err, "eu-as-nobody (the API server refused") {
		t.Errorf("a named hub that refuses its credential is replaced by another context: exit code %d, %s", r.code, r.err)
	}
}

func TestOnlySelectedContextsAreTouched(t *testing.T) {
	other := apifake.Start(apifake.Edge("other")...)
	started := filepath.Join(t.TempDir(), "started")
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...), "other": other}, func(context string) apifake.Object {
		if context == "other" {
			return script(clientcmdapi.NeverExecInteractiveMode, "echo >>"+started+credentials("t"))
		}
		return nil
	})
	for _, args := range [][]string{{"status"}, {"plan"}, {"migrate", "--dry-run=server"}, {"migrate", "-y"},
		{"edge", "list"}} {
		xcpauth(t, kubeconfig, append(args, "--contexts", "hub,eu")...)
		if _, err := os.Stat(started); err == nil || other.Connections() != 0 {
			t.Errorf("%v touched a context that is not selected: %d connections, credential plugin %v", args,
				other.Connections(), err)
		}
	}
	status(t, kubeconfig, 0)
	if len(lines(t, started)) != 1 || other.Connections() == 0 {
		t.Error("the context is not touched when it is selected: nothing was counted here")
	}
}

func TestWhyThereIsNoHubIsOneSentenceInEveryFormat(t *testing.T) {
	gone := apifake.Gone()
	refuses := apifake.Start()
	refuses.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		apifake.Status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return true
	}
	edges := map[string]*apifake.Server{"eu": apifake.Start(apifake.Edge("eu")...),
		"us": apifake.Start(apifake.Edge("us")...)}
	for _, tc := range []struct {
		name    string
		servers map[string]*apifake.Server
		args    []string
		says    string
	}{
		{"none found", edges, nil, "no ManagementPlane found in contexts eu, us; name the management plane's context with --context"},
		{"two found", map[string]*apifake.Server{"hub-1": apifake.Start(apifake.Hub()...),
			"hub-2": apifake.Start(append(apifake.Hub(), apifake.KubeSystem("hub-2"))...)}, nil,
			"2 ManagementPlanes found: tsb/managementplane in hub-1, tsb/managementplane in hub-2; name one hub with --context, and one that takes over from it with --standby"},
		{"none reachable", map[string]*apifake.Server{"gone": gone, "refuses": refuses}, nil,
			"no ManagementPlane found: gone (the API server refused the connection), refuses (the API server refused the context's credential (401); log in again) could not be looked at; name the management plane's context with --context"},
		{"the named one not reachable", map[string]*apifake.Server{"gone": gone, "eu": edges["eu"]},
			[]string{"--context", "gone"},
			"no ManagementPlane found: gone (the API server refused the connection) could not be looked at; name the management plane's context with --context"},
	} {
		kubeconfig := serve(t, tc.servers, nil)
		for _, verb := range [][]string{{"status"}, {"plan"}, {"migrate", "--dry-run=server"}, {"migrate", "-y"}} {
			for _, format := range render.Formats {
				args := append(append(append([]string{}, verb...), tc.args...), "-o", format)
				r := xcpauth(t, kubeconfig, args...)
				if want := "error: " + tc.says + "\n"; r.code != 1 || r.err != want {
					t.Errorf("%s: %v: exit code %d, want 1; stderr\n%swant\n%s", tc.name, args, r.code, r.err, want)
				}
				if verb[0] != "status" || (format != "json" && format != "yaml") {
					continue
				}
				var report struct {
					Next    string
					Members []row
				}
				if err := yaml.Unmarshal([]byte(r.out), &report); err != nil || report.Next != tc.says {
					t.Errorf("%s: %v: next is %q: %v", tc.name, args, report.Next, err)
				}
				for context := range tc.servers {
					if n := len(slices.DeleteFunc(slices.Clone(report.Members),
						func(m row) bool { return m.Context != context })); n != 1 {
						t.Errorf("%s: %v: context %s has %d rows: %+v", tc.name, args, context, n, report.Members)
					}
				}
			}
		}
	}
}

// A proxy that gives no connection is told as the proxy's fault, with its address and without the credentials in it;
// what is wrong behind a proxy that does is not.
func TestAProxyThatGivesNoConnectionIsNamed(t *testing.T) {
	t.Parallel()
	proxy := func(answer http.HandlerFunc) *httptest.Server {
		s := httptest.NewServer(answer)
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		return s
	}
	refuses := func(code int) string {
		return proxy(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }).Listener.Addr().String()
	}
	hangs := proxy(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	behind := apifake.Start(apifake.Edge("eu")...)
	t.Cleanup(behind.Close)
	works, _ := connectProxy(t, behind.Listener.Addr().String())
	dead := apifake.RefusingAddress()
	for name, tc := range map[string]struct{ scheme, host, want string }{
		"nobody listens":        {"http", dead, "the proxy http://" + dead + " refused the connection"},
		"nobody listens, TLS":   {"https", dead, "the proxy https://" + dead + " refused the connection"},
		"nobody listens, SOCKS": {"socks5", dead, "the proxy socks5://" + dead + " refused the connection"},
		"it wants other log-ins": {"http", refuses(407),
			"gave no connection to the API server: Proxy Authentication Required"},
		"it does not get there": {"http", refuses(502), "gave no connection to the API server: Bad Gateway"},
		"it does not answer":    {"http", hangs.Listener.Addr().String(), "gave no connection to the API server in time"},
		"no trust, but by a proxy": {"http", strings.TrimPrefix(works, "http://"),
			"the API server's certificate is not trusted: "},
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
				"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
			edit(t, kubeconfig, func(k *clientcmdapi.Config) {
				k.Clusters["eu"].Server, k.Clusters["eu"].ProxyURL = "https://elsewhere.test:6443",
					tc.scheme+"://user:hunter2@"+tc.host
			})
			r := xcpauth(t, kubeconfig, "status", "--request-timeout", "1s", "-o", "json")
			said := strings.Join(strings.Fields(r.out), " ")
			if r.code != 4 || !strings.Contains(said, tc.want) || strings.Contains(said,
				"the API server refused the connection") {
				t.Errorf("exit code %d, want %q:\n%s%s", r.code, tc.want, r.out, r.err)
			}
			if strings.Contains(r.out+r.err, "hunter2") || strings.Contains(said, "the proxy ") == strings.HasPrefix(name,
				"no trust") {
				t.Errorf("the password is said, or the proxy where it is not to blame:\n%s%s", r.out, r.err)
			}
		})
	}
}
