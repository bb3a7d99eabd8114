package webhookprobe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Name is the name of the webhook's configuration, Deployment and Service.
const Name = "xcpauth-webhook"

// Look is everything that was seen.
type Look struct {
	At            time.Time
	Namespace     string // where it runs
	Installed     bool   // the configuration is there
	Configuration string // why it could not be read
	Entries       []Entry
	Pods          Count // of the Deployment
	Endpoints     Count // of the Service
	Edit          string
	Result        Result
}

// Count is how many of something are ready, of how many that are wanted.
type Count struct {
	Ready, Wanted int
	Missing       bool   // there is no such object
	Err           string // it could not be read
}

// NoEntry says that the configuration is there and has none of the entries that are shipped: it ships so, and the
// webhook writes them once a pod is ready.
func (l Look) NoEntry() bool {
	return l.Installed && !slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Installed })
}

// LookAt looks at the webhook of the hub with a ManagementPlane, in the namespace where it runs, and asks: four reads,
// and one dry run.
func LookAt(ctx context.Context, hub *kubeconfig.Cluster, namespace string, mp plan.Ref, now func() time.Time) Look {
	l := Look{At: now(), Namespace: namespace}
	var side sync.WaitGroup
	side.Go(func() { l.configuration(ctx, hub) })
	side.Go(func() { l.pods(ctx, hub, namespace) })
	side.Go(func() { l.endpoints(ctx, hub, namespace) })
	side.Go(func() { l.ask(ctx, hub, mp) })
	side.Wait()
	return l
}

// read gets what lies at a path.
func read(ctx context.Context, hub *kubeconfig.Cluster, r plan.Read, params ...string) ([]byte, error) {
	req := hub.REST.Get().AbsPath(observe.Path(r)).SetHeader("Accept", "application/json")
	for i := 0; i+1 < len(params); i += 2 {
		req = req.Param(params[i], params[i+1])
	}
	return kubeconfig.Body(req.Do(ctx))
}

func (l *Look) configuration(ctx context.Context, hub *kubeconfig.Cluster) {
	var shipped, found Configuration
	if err := yaml.Unmarshal(manifests.WebhookConfiguration, &shipped); err != nil {
		l.Configuration = "reading what is shipped: " + err.Error()
		return
	}
	body, err := read(ctx, hub, plan.Read{Group: "admissionregistration.k8s.io", Version: "v1",
		Resource: "validatingwebhookconfigurations", Name: Name})
	if apierrors.IsNotFound(err) {
		return
	}
	if err == nil {
		err = json.Unmarshal(body, &found)
	}
	if err != nil {
		l.Configuration = observe.Explain(err)
		return
	}
	l.Installed, l.Entries = true, compare(shipped, found, l.At)
}

func (l *Look) pods(ctx context.Context, hub *kubeconfig.Cluster, namespace string) {
	body, err := read(ctx, hub, plan.Read{Group: "apps", Version: "v1", Resource: "deployments",
		Namespace: namespace, Name: Name})
	var d struct {
		Spec   struct{ Replicas *int }
		Status struct{ ReadyReplicas int }
	}
	if err == nil {
		err = json.Unmarshal(body, &d)
	}
	switch {
	case apierrors.IsNotFound(err):
		l.Pods.Missing = true
	case err != nil:
		l.Pods.Err = observe.Explain(err)
	default:
		l.Pods.Ready, l.Pods.Wanted = d.Status.ReadyReplicas, 1
		if d.Spec.Replicas != nil {
			l.Pods.Wanted = *d.Spec.Replicas
		}
	}
}

func (l *Look) endpoints(ctx context.Context, hub *kubeconfig.Cluster, namespace string) {
	body, err := read(ctx, hub, plan.Read{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices",
		Namespace: namespace}, "labelSelector", "kubernetes.io/service-name="+Name)
	if err == nil {
		l.Endpoints.Ready, err = ready(body)
	}
	if err != nil {
		l.Endpoints.Err = observe.Explain(err)
	}
}

// ask makes the guarded edit as a dry run. It is denied, admitted or fails exactly as the edit would be; nothing is
// stored.
func (l *Look) ask(ctx context.Context, hub *kubeconfig.Cluster, mp plan.Ref) {
	l.Result.Answer = Unknown
	path := observe.Path(plan.Read{Group: mp.Group, Version: mp.Version, Resource: mp.Resource,
		Namespace: mp.Namespace, Name: mp.Name})
	body, err := kubeconfig.Body(hub.REST.Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx))
	var live map[string]any
	if err == nil {
		err = json.Unmarshal(body, &live)
	}
	if err != nil {
		l.Result.Says = fmt.Sprintf("reading %s: %s", mp, observe.Explain(err))
		return
	}
	patch, what := Edit(live)
	l.Edit = what
	doc, err := json.Marshal(patch)
	if err != nil {
		l.Result.Says = "encoding the edit: " + err.Error()
		return
	}
	var said warnings
	err = hub.REST.Patch(types.MergePatchType).AbsPath(path).Param("dryRun", "All").Param("fieldManager",
		"kubectl-xcpauth").
		WarningHandler(&said).MaxRetries(0).Body(doc).Do(ctx).Error()
	l.Result = judge(err, said.texts)
	if err != nil && l.Result.Answer == Unknown {
		l.Result.Says = observe.Explain(err)
	}
}

// warnings collects what the API server warns of in one answer.
type warnings struct{ texts []string }

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }
