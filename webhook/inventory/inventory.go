package inventory

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// The vendor's resources that show members, in the versions that are documented.
var (
	managementPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "managementplanes"}
	controlPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "controlplanes"}
	xcpClusters = schema.GroupVersionResource{Group: "xcp.tetrate.io", Version: "v2", Resource: "clusters"}
	edgeXcps    = schema.GroupVersionResource{Group: "install.xcp.tetrate.io", Version: "v1alpha1",
		Resource: "edgexcps"}
	centralXcps = schema.GroupVersionResource{Group: "install.xcp.tetrate.io", Version: "v1alpha1",
		Resource: "centralxcps"}
)

// Reader reads inventories with one identity.
type Reader struct {
	objects   dynamic.Interface
	metadata  metadata.Interface
	groups    discovery.DiscoveryInterfaceWithContext
	entries   rest.Interface // for the roster's kind
	namespace string         // of the roster
	metrics   *metrics       // nil where Central's metrics are not to be read
}

// NewReader reads from the cluster of cfg, the roster from namespace, and with centralMetrics the pages of Central's
// pods. The client has no rate limit of its own: a decision must not wait behind another one, and the API server has
// fairness.
func NewReader(cfg *rest.Config, namespace string, centralMetrics bool) (*Reader, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return dated{next} })
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for the roster: %w", err)
	}
	groups, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a discovery client: %w", err)
	}
	names, err := metadata.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for names: %w", err)
	}
	kind := dynamic.ConfigFor(cfg)
	kind.GroupVersion, kind.APIPath = &api.GroupVersion, "/apis"
	entries, err := rest.RESTClientFor(kind)
	if err != nil {
		return nil, fmt.Errorf("making a client for the roster's entries: %w", err)
	}
	r := &Reader{objects: objects, metadata: names, groups: groups, entries: entries, namespace: namespace}
	if centralMetrics {
		r.metrics = newMetrics()
	}
	return r, nil
}

// Read reads the inventory of the hub whose ManagementPlane is in hubNamespace: its lists, at once. A kind of the
// vendor that the cluster does not serve in any version has no objects; everything else that cannot be read is an
// error, because members that nobody sees are not members that nobody has. Only of Central's metrics, which no API
// server answers for, an error is a part of the inventory.
func (r *Reader) Read(ctx context.Context, hubNamespace string) (verdict.Inventory, error) {
	var inv verdict.Inventory
	within, clocks := noting(ctx)
	reads, ctx := errgroup.WithContext(within)
	reads.Go(func() (err error) {
		inv.Roster, err = r.Roster(ctx)
		return err
	})
	reads.Go(func() (err error) {
		inv.ControlPlanes, err = r.plain(ctx, controlPlanes, metav1.NamespaceAll)
		return err
	})
	reads.Go(func() (err error) {
		inv.Clusters, err = r.names(ctx, xcpClusters, hubNamespace)
		return err
	})
	reads.Go(func() (err error) {
		inv.EdgeXcps, err = r.plain(ctx, edgeXcps, metav1.NamespaceAll)
		return err
	})
	reads.Go(func() (err error) {
		inv.CentralXcps, err = r.plain(ctx, centralXcps, hubNamespace)
		return err
	})
	reads.Go(func() error { return r.central(ctx, hubNamespace, &inv) })
	err := reads.Wait()
	if err == nil && len(inv.ControlPlanes) > 0 && slices.ContainsFunc(inv.Roster,
		func(e api.EdgeCluster) bool { return e.Status.Fence != nil }) {
		if inv.Fence, err = r.fence(within); err != nil { // then no statement is believed for the sake of it
			inv.FenceErr, err = err.Error(), nil
		}
	}
	inv.Now = clocks.now()
	return inv, err
}

// fence identifies the fence of this cluster as a statement does: the UID of its binding and that of its policy, with a
// slash between. It is "" where one of them is missing, or the kind.
func (r *Reader) fence(ctx context.Context) (string, error) {
	var uids []string
	for _, resource := range []string{"validatingadmissionpolicybindings", "validatingadmissionpolicies"} {
		gvr := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: resource}
		o, err := r.metadata.Resource(gvr).Get(ctx, plan.FenceName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("reading %s %s: %w", resource, plan.FenceName, err)
		}
		uids = append(uids, string(o.UID))
	}
	return strings.Join(uids, "/"), nil
}

// Hubs reads every ManagementPlane of the cluster.
func (r *Reader) Hubs(ctx context.Context) ([]unstructured.Unstructured, error) {
	return r.vendor(ctx, managementPlanes, metav1.NamespaceAll)
}

// Stored identifies the ManagementPlane that is stored under a name; the zero Identity says that there is none.
func (r *Reader) Stored(ctx context.Context, namespace, name string) (verdict.Identity, error) {
	var found verdict.Identity
	get := func(gvr schema.GroupVersionResource) error {
		o, err := r.metadata.Resource(gvr).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			found = verdict.Identity{UID: string(o.UID), ResourceVersion: o.ResourceVersion}
		}
		return err
	}
	err := get(managementPlanes)
	if apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		err = r.inServedVersion(ctx, managementPlanes,
			get) // it is the kind that is missing in this version, and not the object
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return verdict.Identity{}, fmt.Errorf("reading ManagementPlane %s/%s: %w", namespace, name, err)
	}
	return found, nil
}

// NamespaceEnds says whether a namespace is being deleted.
func (r *Reader) NamespaceEnds(ctx context.Context, name string) (bool, error) {
	o, err := r.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Get(ctx, name,
		metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return o.DeletionTimestamp != nil, nil
}

// Readable returns nil when the roster can be read; it asks for one entry only.
func (r *Reader) Readable(ctx context.Context) error {
	_, _, err := r.page(ctx, 1, "")
	return err
}

// vendor lists a resource of the vendor's in a namespace ("" = all).
func (r *Reader) vendor(ctx context.Context, gvr schema.GroupVersionResource,
	namespace string) (items []unstructured.Unstructured, err error) {
	err = r.inServedVersion(ctx, gvr, func(gvr schema.GroupVersionResource) error {
		list, err := r.objects.Resource(gvr).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			items = list.Items
		}
		return err
	})
	return items, err
}

// names lists the names of a resource of the vendor's in a namespace; the objects, which may be large, stay where
// they are.
func (r *Reader) names(ctx context.Context, gvr schema.GroupVersionResource,
	namespace string) (names []string, err error) {
	err = r.inServedVersion(ctx, gvr, func(gvr schema.GroupVersionResource) error {
		list, err := r.metadata.Resource(gvr).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			for i := range list.Items {
				names = append(names, list.Items[i].Name)
			}
		}
		return err
	})
	return names, err
}

// inServedVersion lists a resource of the vendor's. Where the documented version is not served, every version that is
// served is tried: a newer product must not look like one without members. A kind that is not served at all has no
// objects.
func (r *Reader) inServedVersion(ctx context.Context, gvr schema.GroupVersionResource,
	list func(schema.GroupVersionResource) error) error {
	err := list(gvr)
	if apierrors.IsNotFound(err) {
		version, found := "", false
		if version, found, err = r.servedVersion(ctx, gvr.GroupResource()); err == nil && !found {
			return nil
		}
		if err == nil {
			err = list(gvr.GroupResource().WithVersion(version))
		}
	}
	if err != nil {
		return fmt.Errorf("listing %s: %w", gvr.GroupResource(), err)
	}
	return nil
}

// servedVersion is the version in which the API server prefers to serve a resource, and false when it serves none.
func (r *Reader) servedVersion(ctx context.Context, gr schema.GroupResource) (version string, found bool, err error) {
	groups, err := r.groups.ServerGroupsWithContext(ctx)
	if err != nil {
		return "", false, err
	}
	for _, g := range groups.Groups {
		if g.Name != gr.Group {
			continue
		}
		versions := slices.Concat([]metav1.GroupVersionForDiscovery{g.PreferredVersion}, g.Versions)
		for _, v := range versions {
			resources, err := r.groups.ServerResourcesForGroupVersionWithContext(ctx, v.GroupVersion)
			if err != nil {
				return "", false, err
			}
			if slices.ContainsFunc(resources.APIResources, func(a metav1.APIResource) bool { return a.Name == gr.Resource }) {
				return v.Version, true, nil
			}
		}
	}
	return "", false, nil
}
