package mesh

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// clusters are lent to one test after the other: with the product's namespace, and the shipped roles bound to ann.
var clusters *testbed.Pool

// program is the directory of the built plugin.
var program string

// lent is how many clusters may run: those of three tests side by side.
const lent = 12

func TestMain(m *testing.M) {
	if why := unfit(); why != "" {
		fmt.Fprintln(os.Stderr, "These tests cannot run with KUMA_CP and KUMACTL as they are:", why)
		os.Exit(1)
	}
	code, err := withClusters(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withClusters runs the tests with a pool of clusters and one build of the plugin.
func withClusters(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if program, err = os.MkdirTemp("", "xcpauth-mesh-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(program)
	if err := sandbox.Build(ctx, "./plugin/kubectl-xcpauth", filepath.Join(program, "kubectl-xcpauth")); err != nil {
		return 0, err
	}
	o := testbed.Options{Dir: filepath.Join(program, "bed"), Log: os.Stderr, NoVendorCRDs: true, Prepare: bindRoles}
	if clusters, err = testbed.NewPool(ctx, lent, o); err != nil {
		return 0, err
	}
	defer clusters.Stop()
	return m.Run(), nil
}

// bindRoles gives the shipped roles to ann in a cluster: the tests show that they are enough.
func bindRoles(ctx context.Context, c *testbed.Cluster) error {
	for _, args := range [][]string{
		{"create", "namespace", namespace},
		{"apply", "-f", filepath.Join("..", "..", "..", "manifests", "rbac", "mesh.yaml")},
		{"create", "clusterrolebinding", "ann-reads", "--clusterrole=xcpauth-mesh-read", "--user=ann"},
		{"create", "clusterrolebinding", "ann-migrates", "--clusterrole=xcpauth-mesh-migrate", "--user=ann"},
		{"-n", namespace, "create", "rolebinding", "ann-reads", "--role=xcpauth-mesh-read", "--user=ann"},
		{"-n", namespace, "create", "rolebinding", "ann-migrates", "--role=xcpauth-mesh-migrate", "--user=ann"},
	} {
		if err := c.Kubectl(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// asAnn writes a kubeconfig in which ann, who has the shipped roles and no other, reaches every cluster of a bed.
func asAnn(bed *testbed.Bed) (path string, err error) {
	cfg, err := clientcmd.LoadFromFile(bed.Kubeconfig)
	if err != nil {
		return "", err
	}
	for _, u := range cfg.AuthInfos {
		u.Impersonate = "ann"
	}
	path = filepath.Join(bed.Dir, "ann.kubeconfig")
	return path, clientcmd.WriteToFile(*cfg, path)
}
