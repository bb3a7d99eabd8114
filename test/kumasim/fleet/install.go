package fleet

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

//go:embed crds/*.yaml
var crdFiles embed.FS

// containerName is the control plane's container.
const containerName = "control-plane"

// Install makes the objects of every control plane, as the chart does (Kuma
// deployments/charts/kuma/templates/cp-deployment.yaml and _helpers.tpl at v2.13.5), on each cluster:
//  1. the kinds Zone and ZoneInsight;
//  2. the namespace, the ServiceAccount and the configuration;
//  3. the Deployment.
//
// What is there stays as it is.
func Install(ctx context.Context, o Options) error {
	o = o.filled()
	all, err := o.clusters()
	if err != nil {
		return err
	}
	if o.Program != nil {
		return o.installChart(ctx, all)
	}
	kinds, err := kinds()
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := testbed.InstallKinds(ctx, c.site.Config, kinds); err != nil {
			return err
		}
		if o.Outside && c.zone == "" {
			continue
		}
		if err := o.install(ctx, c); err != nil {
			return fmt.Errorf("install %s in %s: %w", o.deployment(), c.site.Name, err)
		}
	}
	return nil
}

func kinds() ([]*unstructured.Unstructured, error) {
	files, err := crdFiles.ReadDir("crds")
	if err != nil {
		return nil, fmt.Errorf("read the kinds: %w", err)
	}
	var all []*unstructured.Unstructured
	for _, f := range files {
		text, err := crdFiles.ReadFile("crds/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read the kinds: %w", err)
		}
		crd := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(text, &crd.Object); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		all = append(all, crd)
	}
	return all, nil
}

func (o Options) install(ctx context.Context, c *cluster) error {
	by := metav1.CreateOptions{FieldManager: "helm"}
	if o.Argo {
		by.FieldManager = "argocd-controller"
	}
	core := c.kube.CoreV1()
	for _, create := range []func() error{
		func() error {
			_, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Namespace}}, by)
			return err
		},
		func() error {
			_, err := core.ServiceAccounts(o.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: o.meta("ServiceAccount",
				o.deployment())}, by)
			return err
		},
		func() error {
			_, err := core.ConfigMaps(o.Namespace).Create(ctx, &corev1.ConfigMap{
				ObjectMeta: o.meta("ConfigMap", o.deployment()+"-config"), Data: map[string]string{"config.yaml": ""},
			}, by)
			return err
		},
		func() error {
			_, err := c.kube.AppsV1().Deployments(o.Namespace).Create(ctx, o.controlPlane(c.zone), by)
			return err
		},
	} {
		if err := create(); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// labels are kuma.cpLabels of the chart.
func (o Options) labels() map[string]string {
	return map[string]string{
		"app": o.deployment(), "helm.sh/chart": "kuma-" + o.Version, "app.kubernetes.io/name": o.Name,
		"app.kubernetes.io/instance": o.Name,
		"app.kubernetes.io/version":  o.Version, "app.kubernetes.io/managed-by": "Helm",
	}
}

// meta is of an object of the chart: Helm adds annotations to what it installs, Argo CD one of its own to what it
// renders.
func (o Options) meta(kind, name string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Namespace: o.Namespace, Labels: o.labels(), Annotations: map[string]string{}}
	if o.HelmOwned {
		m.Annotations["meta.helm.sh/release-name"] = o.Name
		m.Annotations["meta.helm.sh/release-namespace"] = o.Namespace
	}
	if o.Argo {
		group := ""
		if kind == "Deployment" {
			group = "apps"
		}
		m.Annotations["argocd.argoproj.io/tracking-id"] = fmt.Sprintf("%s:%s/%s:%s/%s", o.Name, group, kind,
			o.Namespace, name)
	}
	return m
}

// controlPlane is the Deployment of a zone, of the global where it has no name.
func (o Options) controlPlane(zone string) *appsv1.Deployment {
	replicas, more := o.GlobalReplicas, o.GlobalEnv
	env := map[string]string{
		environment: "kubernetes", storeType: "kubernetes", "KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE": o.Namespace,
		readOnly: "true", localhostIsAdmin: "false", modeName: "global",
	}
	if zone == "" && o.StoredElsewhere {
		env[environment], env[storeType] = universal, "postgres"
		for _, name := range []string{"KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE", readOnly, localhostIsAdmin} {
			delete(env, name)
		}
	}
	if zone != "" {
		replicas, more = o.ZoneReplicas, o.ZoneEnv[zone]
		env[modeName], env[zoneName] = "zone", zone
		env[globalAddr] = "grpcs://" + o.Global.KubeletIP + ":5685"
	}
	c := corev1.Container{
		Name: containerName, Image: o.image(o.Version), ImagePullPolicy: corev1.PullIfNotPresent,
		Args: []string{"run", "--log-level=info", "--log-output-path=",
			"--config-file=/etc/kuma.io/kuma-control-plane/config.yaml"},
		Ports: []corev1.ContainerPort{{Name: "diagnostics", ContainerPort: 5680, Protocol: corev1.ProtocolTCP},
			{ContainerPort: 5681}, {ContainerPort: 5682}},
		VolumeMounts: []corev1.VolumeMount{{Name: o.deployment() + "-config", MountPath: "/etc/kuma.io/kuma-control-plane",
			ReadOnly: true}, {Name: "tmp", MountPath: "/tmp"}},
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: env[name]})
	}
	c.Env = append(append(c.Env, more...), corev1.EnvVar{Name: "KUMA_INTER_CP_CATALOG_INSTANCE_ADDRESS",
		ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}})
	n, no, one, none := int32(replicas), false, intstr.FromInt32(1), intstr.FromInt32(0)
	return &appsv1.Deployment{
		ObjectMeta: o.meta("Deployment", o.deployment()),
		Spec: appsv1.DeploymentSpec{
			Replicas: &n,
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &one, MaxUnavailable: &none}},
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": o.deployment(),
				"app.kubernetes.io/name": o.Name, "app.kubernetes.io/instance": o.Name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: o.labels()},
				Spec: corev1.PodSpec{
					ServiceAccountName: o.deployment(), AutomountServiceAccountToken: &no, Containers: []corev1.Container{c},
					Volumes: []corev1.Volume{
						{Name: o.deployment() + "-config",
							VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: o.deployment() + "-config"}}}},
						{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
					},
				},
			},
		},
	}
}
