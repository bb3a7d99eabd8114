package testbed

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// The vendor's kinds, written by us with no schema at all, like the one public dump of the real ControlPlane CRD: no
// status subresource, no printer columns, no conversion. ManagementPlane has no documented short name, so none here.
//
//go:embed crds/*.yaml
var crdFiles embed.FS

// InstallCRDs applies the vendor's kinds to a cluster and returns when each is established, in discovery and served.
func InstallCRDs(ctx context.Context, cfg *rest.Config) error {
	crds, err := readCRDs(crdFiles, "crds")
	if err != nil {
		return err
	}
	return InstallKinds(ctx, cfg, crds)
}

// InstallKinds applies CRDs to a cluster and returns when each is established, in discovery and served.
func InstallKinds(ctx context.Context, cfg *rest.Config, crds []*unstructured.Unstructured) error {
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("making a client for %s: %w", cfg.Host, err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return fmt.Errorf("making a client for %s: %w", cfg.Host, err)
	}
	kinds := dyn.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1",
		Resource: "customresourcedefinitions"})
	for _, crd := range crds {
		_, err := kinds.Apply(ctx, crd.GetName(), crd, metav1.ApplyOptions{FieldManager: "testbed", Force: true})
		if err != nil {
			return fmt.Errorf("applying CRD %s to %s: %w", crd.GetName(), cfg.Host, err)
		}
	}
	for _, crd := range crds {
		gvr := servedAs(crd)
		err := poll(ctx, time.Minute, func(ctx context.Context) error {
			return served(ctx, kinds, dyn, disco, crd.GetName(), gvr)
		})
		if err != nil {
			return fmt.Errorf("waiting for CRD %s on %s: %w", crd.GetName(), cfg.Host, err)
		}
	}
	return nil
}

// served returns nil once the CRD is established, its resource is in discovery and a list of it is answered.
func served(ctx context.Context, kinds dynamic.ResourceInterface, dyn dynamic.Interface,
	disco discovery.DiscoveryInterface, name string, gvr schema.GroupVersionResource) error {
	crd, err := kinds.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if !established(crd) {
		return fmt.Errorf("not established yet")
	}
	found, err := discovered(disco, gvr)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("not in discovery yet")
	}
	_, err = dyn.Resource(gvr).List(ctx, metav1.ListOptions{Limit: 1})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("not served yet")
	}
	return err
}

// discovered looks for the resource in the aggregated discovery document, the one that kubectl reads: it comes a moment
// later than the group's own.
func discovered(disco discovery.DiscoveryInterface, gvr schema.GroupVersionResource) (bool, error) {
	_, lists, err := disco.ServerGroupsAndResources()
	if err != nil {
		return false, err
	}
	for _, list := range lists {
		for _, r := range list.APIResources {
			if list.GroupVersion == gvr.GroupVersion().String() && r.Name == gvr.Resource {
				return true, nil
			}
		}
	}
	return false, nil
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}

// servedAs returns the one resource that a CRD with one version defines.
func servedAs(crd *unstructured.Unstructured) schema.GroupVersionResource {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	version, _, _ := unstructured.NestedString(versions[0].(map[string]any), "name")
	return schema.GroupVersionResource{Group: group, Version: version, Resource: plural}
}

// readCRDs returns the CRDs of the YAML files in a directory.
func readCRDs(from fs.FS, dir string) ([]*unstructured.Unstructured, error) {
	files, err := fs.Glob(from, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("finding CRDs: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("finding CRDs: none in %s", dir)
	}
	var out []*unstructured.Unstructured
	for _, name := range files {
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, fmt.Errorf("reading CRDs: %w", err)
		}
		crd := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(b, &crd.Object); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", name, err)
		}
		out = append(out, crd)
	}
	return out, nil
}
