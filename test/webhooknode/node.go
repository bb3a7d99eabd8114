package webhooknode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// Node plays the node of one pod of the webhook, or of the auditor: it mounts the certificate's Secret and runs the
// binary. One goroutine at a time starts and ends the process; Ready, Calls and Log may be called beside it.
type Node struct {
	// Env is the environment of the process that is started next, NAME=value each; it has nothing else.
	Env []string

	binary          string
	args            []string
	ip, port        string // of the admission port
	metrics, health string // host:port
	log             buffer
	running         atomic.Pointer[process]
	readiness       corev1.Probe // the Deployment's, with what Kubernetes fills in
	unmount         func()
	kube            kubernetes.Interface // of the hub; nil for the auditor, which no Service leads to
}

// tokenLife is how long the process may run: a kubelet would renew its token, nothing here does.
const tokenLife = 7 * 24 * time.Hour

// New prepares a node for the webhook that Install put into a cluster; nothing runs yet. binary is a build of
// webhook/xcpauth-webhook, dir an empty or missing directory for the kubeconfig and the mounted Secret. Close ends it.
//
// Steps:
//  1. Find the Service's address and port, and ports for metrics and health beside it.
//  2. Get a token of the Deployment's service account, so that the shipped RBAC is what is used.
//  3. Take the container's arguments and its readiness probe from the Deployment, with its environment filled in.
//  4. Keep the Secret mounted until Close.
func New(ctx context.Context, hub *testbed.Cluster, binary, dir string) (*Node, error) {
	return NewAt(ctx, hub, binary, dir, "")
}

// NewAt is New for a node at an address of its own, as one of several behind the Service; see Balance.
func NewAt(ctx context.Context, hub *testbed.Cluster, binary, dir, ip string) (*Node, error) {
	kube, err := kubernetes.NewForConfig(hub.Config)
	if err != nil {
		return nil, fmt.Errorf("preparing a node for the webhook of %s: %w", hub.Name, err)
	}
	service, err := kube.CoreV1().Services(api.Namespace).Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("preparing a node for the webhook of %s: %w", hub.Name, err)
	}
	if ip == "" {
		ip = service.Spec.ClusterIP
	}
	n, err := prepare(ctx, kube, hub, Name, binary, dir, ip)
	if err != nil {
		return nil, err
	}
	certDir := filepath.Join(dir, "tls")
	if err := os.Mkdir(certDir, 0o700); err != nil {
		return nil, fmt.Errorf("preparing a node for the webhook of %s: %w", hub.Name, err)
	}
	n.port = strconv.Itoa(int(service.Spec.Ports[0].Port))
	n.args = append(n.args, "--cert-dir="+certDir, "--address="+ip, "--port="+n.port)
	n.args = append(n.args, "--service-port="+n.port)
	n.unmount, n.kube = mount(kube, certDir), kube
	return n, nil
}

// NewAuditor is New for the auditor, at an address of its own. It mounts nothing, and nobody calls it.
func NewAuditor(ctx context.Context, hub *testbed.Cluster, binary, dir, ip string) (*Node, error) {
	kube, err := kubernetes.NewForConfig(hub.Config)
	if err != nil {
		return nil, fmt.Errorf("preparing a node for the auditor of %s: %w", hub.Name, err)
	}
	return prepare(ctx, kube, hub, AuditorName, binary, dir, ip)
}

// prepare makes a node for a pod of a Deployment: steps 1 to 3 of New but for the Service.
func prepare(ctx context.Context, kube kubernetes.Interface, hub *testbed.Cluster, name, binary, dir, ip string) (
	_ *Node, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("preparing a node for Deployment %s/%s of %s: %w", api.Namespace, name, hub.Name, err)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	metrics, errMetrics := freePort(ip, metricsPorts)
	health, errHealth := freePort(ip, healthPorts)
	if err := errors.Join(errMetrics, errHealth); err != nil {
		return nil, err
	}
	deployment, err := kube.AppsV1().Deployments(api.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := writeIdentity(ctx, kube, hub, deployment.Spec.Template.Spec.ServiceAccountName, kubeconfig); err != nil {
		return nil, err
	}
	probe := deployment.Spec.Template.Spec.Containers[0].ReadinessProbe
	if probe == nil {
		return nil, errors.New("its container has no readiness probe")
	}
	n := &Node{readiness: *probe, binary: binary, ip: ip, metrics: ip + ":" + strconv.Itoa(metrics),
		health: ip + ":" + strconv.Itoa(health), unmount: func() {}}
	n.args = append(arguments(deployment), "--kubeconfig="+kubeconfig, "--metrics-address="+n.metrics,
		"--health-address="+n.health)
	return n, nil
}

// Close ends the process and unmounts the Secret. It may be called again.
func (n *Node) Close() {
	n.Stop()
	n.unmount()
}

// writeIdentity writes a kubeconfig with a token of a service account and nothing else that could authenticate.
func writeIdentity(ctx context.Context, kube kubernetes.Interface, hub *testbed.Cluster, account, path string) error {
	life := int64(tokenLife.Seconds())
	token, err := kube.CoreV1().ServiceAccounts(api.Namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &life}},
		metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("getting a token of service account %s/%s: %w", api.Namespace, account, err)
	}
	return testbed.WriteKubeconfig(path, hub.Name, map[string]*rest.Config{hub.Name: {Host: hub.Server,
		BearerToken:     token.Status.Token,
		TLSClientConfig: rest.TLSClientConfig{CAData: hub.Config.CAData}}})
}

// arguments are those of the first container, with $(NAME) of its environment filled in as a kubelet does for the
// namespace, the one reference that is used.
func arguments(deployment *appsv1.Deployment) []string {
	container := deployment.Spec.Template.Spec.Containers[0]
	var args []string
	for _, arg := range container.Args {
		for _, env := range container.Env {
			if env.ValueFrom != nil && env.ValueFrom.FieldRef != nil &&
				env.ValueFrom.FieldRef.FieldPath == "metadata.namespace" {
				arg = strings.ReplaceAll(arg, "$("+env.Name+")", deployment.Namespace)
			}
		}
		args = append(args, arg)
	}
	return args
}

// mount writes the keys of the certificate's Secret as files, and again whenever they change, as a kubelet does,
// until the returned function is called.
func mount(kube kubernetes.Interface, certDir string) (unmount func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var stopped sync.WaitGroup
	stopped.Go(func() {
		mounted := ""
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			secret, err := kube.CoreV1().Secrets(api.Namespace).Get(ctx, "xcpauth-webhook-cert", metav1.GetOptions{})
			if err != nil || secret.ResourceVersion == mounted || len(secret.Data["tls.crt"]) == 0 {
				return
			}
			// the certificate last: it is what the process looks for
			for _, key := range []string{"ca.crt", "tls.key", "tls.crt"} {
				part := filepath.Join(certDir, "."+key)
				if os.WriteFile(part, secret.Data[key], 0o600) != nil || os.Rename(part, filepath.Join(certDir, key)) != nil {
					return
				}
			}
			mounted = secret.ResourceVersion
		}, 100*time.Millisecond)
	})
	return func() { cancel(); stopped.Wait() }
}
