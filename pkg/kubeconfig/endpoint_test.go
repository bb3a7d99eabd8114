package kubeconfig

import (
	"os"
	"path/filepath"
	"testing"
)

// Two contexts of one server are one cluster, unless their credential plugins differ: a gateway may tell the cluster by
// the user alone.
func TestAGatewayTellsClustersByTheirUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	const text = `
apiVersion: v1
kind: Config
clusters: [{name: gateway, cluster: {server: "https://gateway.example:443"}}]
users:
- {name: ann, user: {token: a}}
- {name: bob, user: {token: b}}
- {name: eu, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: tsh, args: [eu]}}}
- {name: us, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: tsh, args: [us]}}}
contexts:
- {name: ann, context: {cluster: gateway, user: ann}}
- {name: bob, context: {cluster: gateway, user: bob}}
- {name: eu, context: {cluster: gateway, user: eu}}
- {name: eu-too, context: {cluster: gateway, user: eu}}
- {name: us, context: {cluster: gateway, user: us}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(Options{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		a, b string
		same bool
	}{{"ann", "bob", true}, {"eu", "eu-too", true}, {"eu", "us", false}, {"ann", "eu", false}} {
		if same := f.Endpoint(tc.a) == f.Endpoint(tc.b); same != tc.same || f.Endpoint(tc.a) == "" {
			t.Errorf("%s and %s are of one API server: %v", tc.a, tc.b, same)
		}
	}
}
