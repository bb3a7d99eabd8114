package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// Program is the product itself, to be run in place of the stand-in: see Options.Program.
type Program struct {
	ControlPlane string // the path of kuma-cp, which every pod runs
	Kumactl      string // the path of kumactl, which renders the chart
}

// ProgramVersion asks a control plane's program which product it is, and of which version.
func ProgramVersion(ctx context.Context, path string) (Product, string, error) {
	out, err := exec.CommandContext(ctx, path, "version", "--detailed").CombinedOutput()
	if err != nil {
		return "", "", fmt.Errorf("ask %s for its version: %w\n%s", path, err, out)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if key, value, is := strings.Cut(line, ":"); is {
			said[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	product := map[string]Product{"Kuma": Kuma, "Kong Mesh": KongMesh}[said["Product"]]
	if product == "" || said["Version"] == "" {
		return "", "", fmt.Errorf("ask %s for its version: it says no product and version that are known:\n%s", path, out)
	}
	return product, strings.TrimPrefix(said["Version"], "v"), nil
}

// paceOfPrograms has real programs keep a pace that tests can wait for; the lease must be longer than its renewal, and
// that longer than a retry, which is 2 s.
var paceOfPrograms = map[string]string{
	"KUMA_MULTIZONE_GLOBAL_KDS_ZONE_INSIGHT_FLUSH_INTERVAL":     "1s",
	"KUMA_GENERAL_RESILIENT_COMPONENT_BASE_BACKOFF":             "500ms",
	"KUMA_GENERAL_RESILIENT_COMPONENT_MAX_BACKOFF":              "2s",
	"KUMA_RUNTIME_KUBERNETES_LEADER_ELECTION_LEASE_DURATION":    "4s",
	"KUMA_RUNTIME_KUBERNETES_LEADER_ELECTION_RENEW_DEADLINE":    "3s",
	"KUMA_MULTIZONE_ZONE_KDS_TLS_SKIP_VERIFY":                   "true", // a relay has a certificate of its own
	"KUMA_MULTIZONE_GLOBAL_KDS_ZONE_HEALTH_CHECK_POLL_INTERVAL": "5m",   // not of the version's own choice
	"KUMA_MULTIZONE_GLOBAL_KDS_ZONE_HEALTH_CHECK_TIMEOUT":       "20m",
	"KUMA_REPORTS_ENABLED":                                      "false",
}

// storeElsewhere has a global keep its state in its own memory: the shortest way to a store that is not its cluster's.
// The chart's own variables come after those that are given to it, so they are replaced.
func storeElsewhere(deployment *unstructured.Unstructured) error {
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return fmt.Errorf("have the global keep its state elsewhere: %w", err)
	}
	for _, c := range containers {
		container, _ := c.(map[string]any)
		env, _ := container["env"].([]any)
		env = slices.DeleteFunc(env, func(e any) bool {
			v, _ := e.(map[string]any)
			return v["name"] == environment || v["name"] == storeType
		})
		container["env"] = append(env, map[string]any{"name": environment, "value": universal},
			map[string]any{"name": storeType, "value": "memory"})
	}
	return unstructured.SetNestedSlice(deployment.Object, containers, "spec", "template", "spec", "containers")
}

// installChart installs what kumactl renders: the global's first, then the zones' with the address of its Service.
func (o Options) installChart(ctx context.Context, all []*cluster) error {
	address := ""
	for _, c := range all {
		rendered, err := o.render(ctx, c.zone, address)
		for _, u := range rendered {
			if c.zone == "" && o.StoredElsewhere && u.GetKind() == "Deployment" {
				err = errors.Join(err, storeElsewhere(u))
			}
		}
		if err == nil {
			err = c.create(ctx, o, rendered)
		}
		if err == nil && c.zone == "" {
			address, err = c.syncAddress(ctx, o)
		}
		if err != nil {
			return fmt.Errorf("install %s in %s: %w", o.deployment(), c.site.Name, err)
		}
	}
	return nil
}

// syncAddress is where zones find the global: the Service of the chart, at its own address.
func (c *cluster) syncAddress(ctx context.Context, o Options) (string, error) {
	name := o.Name + "-global-zone-sync"
	s, err := c.kube.CoreV1().Services(o.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("look for the global's address: %w", err)
	}
	return "grpcs://" + s.Spec.ClusterIP + ":5685", nil
}

// render has kumactl render the chart of a zone, of the global where it has no name.
func (o Options) render(ctx context.Context, zone, global string) ([]*unstructured.Unstructured, error) {
	replicas, more := o.GlobalReplicas, o.GlobalEnv
	args := []string{
		"install", "control-plane", "--without-kubernetes-connection", "--namespace", o.Namespace,
		"--control-plane-registry", "docker.io/kong", "--control-plane-repository", "kuma-cp",
		"--control-plane-version", o.Version,
	}
	if o.Product == Kuma {
		args[slices.Index(args, "docker.io/kong")] = "docker.io/kumahq"
	}
	if zone == "" {
		args = append(args, "--mode", "global")
	} else {
		replicas, more = o.ZoneReplicas, o.ZoneEnv[zone]
		args = append(args, "--mode", "zone", "--zone", zone, "--kds-global-address", global)
	}
	env := []corev1.EnvVar{}
	for _, name := range slices.Sorted(maps.Keys(paceOfPrograms)) {
		env = append(env, corev1.EnvVar{Name: name, Value: paceOfPrograms[name]})
	}
	values := map[string]any{
		"nameOverride": o.Name, "controlPlane": map[string]any{"replicas": replicas, "envVarEntries": append(env, more...)},
	}
	if product, _, err := ProgramVersion(ctx, o.Program.Kumactl); err == nil && product == KongMesh && o.nested(ctx) {
		values = map[string]any{"kuma": values} // Kong's chart has Kuma's within it
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("render the chart: %w", err)
	}
	dir, err := os.MkdirTemp("", "kumactl-")
	if err != nil {
		return nil, fmt.Errorf("render the chart: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("render the chart: %w", err)
	}
	cmd := exec.CommandContext(ctx, o.Program.Kumactl, append(args, "--values", file)...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("render the chart with kumactl %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return objects(out)
}

// nested says whether the chart of kumactl has the control plane's values under "kuma".
func (o Options) nested(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, o.Program.Kumactl, "install", "control-plane", "--dump-values").Output()
	var values map[string]any
	return err == nil && yaml.Unmarshal(out, &values) == nil && values["kuma"] != nil && values["controlPlane"] == nil
}

// objects are those of a stream of YAML documents.
func objects(text []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	docs := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := docs.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read what kumactl rendered: %w", err)
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// create creates objects: kinds first, webhooks last. What is there stays as it is.
func (c *cluster) create(ctx context.Context, o Options, all []*unstructured.Unstructured) error {
	rank := func(u *unstructured.Unstructured) int {
		switch kind := u.GetKind(); {
		case kind == "Namespace":
			return 0
		case kind == "Deployment":
			return 2
		case strings.HasSuffix(kind, "WebhookConfiguration"):
			return 3
		}
		return 1
	}
	var kinds []*unstructured.Unstructured
	all = slices.DeleteFunc(slices.Clone(all), func(u *unstructured.Unstructured) bool {
		is := u.GetKind() == "CustomResourceDefinition"
		if is {
			kinds = append(kinds, u)
		}
		return is
	})
	if err := testbed.InstallKinds(ctx, c.site.Config, kinds); err != nil {
		return err
	}
	groups, err := restmapper.GetAPIGroupResources(c.kube.Discovery())
	if err != nil {
		return fmt.Errorf("discover the kinds: %w", err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	for _, u := range all {
		if u.GetKind() == "Job" || u.GetAnnotations()["helm.sh/hook"] != "" {
			continue
		}
		m, err := mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
		if err != nil {
			return fmt.Errorf("create %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		if m.Scope.Name() == meta.RESTScopeNameRoot {
			u.SetNamespace("") // the chart gives its webhooks one
		}
		client := c.dyn.Resource(m.Resource).Namespace(u.GetNamespace())
		_, err = client.Create(ctx, u, metav1.CreateOptions{FieldManager: "helm"})
		if apierrors.IsAlreadyExists(err) && u.GetKind() == "Namespace" { // it was made before, without the chart's labels
			labels, _ := json.Marshal(map[string]any{"metadata": map[string]any{"labels": u.GetLabels()}})
			_, err = client.Patch(ctx, u.GetName(), types.MergePatchType, labels, metav1.PatchOptions{})
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}

// uninstallChart takes away what the chart has outside of its namespace, its kinds excepted: the webhooks first, which
// nobody answers any more.
func (o Options) uninstallChart(ctx context.Context, c *cluster) error {
	for _, kind := range []schema.GroupVersionResource{
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"},
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	} {
		of := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance in (kuma, kong-mesh, " + o.Name + ")"}
		if err := c.dyn.Resource(kind).DeleteCollection(ctx, metav1.DeleteOptions{}, of); err != nil {
			return fmt.Errorf("delete the chart's %s: %w", kind.Resource, err)
		}
	}
	_, lists, err := c.kube.Discovery().ServerGroupsAndResources()
	if err != nil {
		return fmt.Errorf("discover the kinds: %w", err)
	}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil || version.Group != "kuma.io" {
			continue
		}
		for _, r := range list.APIResources {
			if !r.Namespaced && slices.Contains(r.Verbs, "deletecollection") {
				if err := c.empty(ctx, version.WithResource(r.Name), ""); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
