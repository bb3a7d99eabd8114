package fleet_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// The tests share one bed, one after the other, and each leaves the clusters empty.
var (
	bedOnce sync.Once
	bed     *testbed.Bed
	bedErr  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if bed != nil {
		bed.Stop()
	}
	os.Exit(code)
}

const (
	deadline   = 60 * time.Second
	namespace  = "kong-mesh-system"
	deployment = "kong-mesh-control-plane"
	authType   = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE"
	inline     = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	key1       = "zone-token-signing-key-1"
)

// played is a global and the zone west, with a running Fleet.
type played struct {
	*fleet.Fleet
	t    *testing.T
	opts fleet.Options
}

// start installs and starts a fleet, and takes both away at the end of the test.
func start(t *testing.T, change func(*fleet.Options)) *played {
	t.Helper()
	bedOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		bed, bedErr = testbed.Start(ctx, testbed.Options{Clusters: []string{"global", "west"}, Log: os.Stderr,
			NoVendorCRDs: true})
	})
	if bedErr != nil {
		t.Fatalf("starting the clusters: %v", bedErr)
	}
	site := func(name string) fleet.Site {
		c := bed.Cluster(name)
		return fleet.Site{Name: name, Config: c.Config, KubeletIP: c.KubeletIP}
	}
	o := fleet.Options{Global: site("global"), Zones: []fleet.Site{site("west")}, Log: t.Output()}
	if change != nil {
		change(&o)
	}
	if err := fleet.Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := fleet.Uninstall(ctx, o); err != nil {
			t.Error(err)
		}
	})
	f, err := fleet.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return &played{f, t, o}
}

// await polls until check returns nil.
func (p *played) await(what string, check func() error) {
	p.t.Helper()
	until := time.Now().Add(deadline)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			p.t.Fatalf("%s: not within %s: %v", what, deadline, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *played) kube(cluster string) kubernetes.Interface {
	p.t.Helper()
	k, err := kubernetes.NewForConfig(bed.Cluster(cluster).Config)
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

// setEnv sets a variable of a cluster's control plane; value is the variable's JSON behind its name.
func (p *played) setEnv(cluster, name, value string) {
	p.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"control-plane","env":[{"name":%q,%s}]}]}}}}`,
		name, value)
	_, err := p.kube(cluster).AppsV1().Deployments(namespace).Patch(p.t.Context(), deployment,
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
}

// requireAuth switches authentication on and waits until only pods that require it run.
func (p *played) requireAuth() {
	p.t.Helper()
	p.setEnv("global", authType, `"value":"cpToken"`)
	p.rolledOut("global")
}

// restart starts a cluster's pods again, as kubectl rollout restart does.
func (p *played) restart(cluster string) {
	p.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`,
		time.Now().Format(time.RFC3339Nano))
	_, err := p.kube(cluster).AppsV1().Deployments(namespace).Patch(p.t.Context(), deployment,
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
}

// rolledOut waits until a cluster has pods of the newest template alone.
func (p *played) rolledOut(cluster string) {
	p.t.Helper()
	k := p.kube(cluster)
	p.await("the rollout in "+cluster, func() error {
		d, err := k.AppsV1().Deployments(namespace).Get(p.t.Context(), deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s, n := d.Status, *d.Spec.Replicas; s.ObservedGeneration < d.Generation || s.UpdatedReplicas != n ||
			s.Replicas != n || s.AvailableReplicas != n {
			return fmt.Errorf("status is %+v", s)
		}
		pods, err := k.CoreV1().Pods(namespace).List(p.t.Context(), metav1.ListOptions{})
		if err == nil && len(pods.Items) != int(*d.Spec.Replicas) {
			err = fmt.Errorf("%d pods", len(pods.Items))
		}
		return err
	})
}

// token issues a token with the global's own key.
func (p *played) token(zone string) string {
	p.t.Helper()
	s, err := p.kube("global").CoreV1().Secrets(namespace).Get(p.t.Context(), key1, metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	m := &kumasim.Memory{}
	if err := m.Put(kumasim.GlobalSecret(key1, s.Data["value"])); err != nil {
		p.t.Fatal(err)
	}
	g, err := kumasim.New(kumasim.Options{Source: m, Auth: kumasim.AuthZoneToken})
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := g.Issue(zone, []string{"cp"}, time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// issued is a token that a global issues, wherever its keys are.
func (p *played) issued(zone string) string {
	p.t.Helper()
	token, err := p.Issue(zone, []string{"cp"}, time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// put creates a secret of a cluster.
func (p *played) put(cluster, name string, kind corev1.SecretType, key, value string) {
	p.t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, Data: map[string][]byte{key: []byte(value)}}
	if _, err := p.kube(cluster).CoreV1().Secrets(namespace).Create(p.t.Context(), s, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// giveToken puts a token where the zone's Deployment is made to refer to, and waits for the rollout.
func (p *played) giveToken(zone, token string) {
	p.t.Helper()
	p.put(zone, "cp-token", corev1.SecretTypeOpaque, "token", token)
	p.setEnv(zone, inline, `"valueFrom":{"secretKeyRef":{"name":"cp-token","key":"token"}}`)
	p.rolledOut(zone)
}

// connected waits for a stream of a zone that satisfies is.
func (p *played) connected(zone string, is func(fleet.Stream) bool) fleet.Stream {
	p.t.Helper()
	var s fleet.Stream
	p.await("a stream of "+zone, func() error {
		var there bool
		if s, there = p.Live()[zone]; !there || is != nil && !is(s) {
			return fmt.Errorf("live are %v", p.Live())
		}
		return nil
	})
	return s
}

// refused waits for a call after the n-th that was refused for a reason.
func (p *played) refused(n int, reason kumasim.Reason) fleet.Call {
	p.t.Helper()
	var found fleet.Call
	p.await("a refusal for "+string(reason), func() error {
		for _, c := range p.Calls()[n:] {
			if found = c; c.Refused() && c.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("refused are %v", p.Refused())
	})
	return found
}

// subscriptions are those that a zone's ZoneInsight has, none where it is not there.
func (p *played) subscriptions(zone string) []map[string]any {
	p.t.Helper()
	dyn, err := dynamic.NewForConfig(bed.Cluster("global").Config)
	if err != nil {
		p.t.Fatal(err)
	}
	kind := schema.GroupVersionResource{Group: "kuma.io", Version: "v1alpha1", Resource: "zoneinsights"}
	o, err := dyn.Resource(kind).Get(p.t.Context(), zone, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	list, _, _ := unstructured.NestedSlice(o.Object, "spec", "subscriptions")
	var all []map[string]any
	for _, s := range list {
		all = append(all, s.(map[string]any))
	}
	return all
}

// pods are the pods of a cluster's control plane.
func (p *played) pods(cluster string) []corev1.Pod {
	p.t.Helper()
	list, err := p.kube(cluster).CoreV1().Pods(namespace).List(p.t.Context(), metav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return list.Items
}

// jti is the id of a token.
func jti(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		ID string `json:"jti"`
	}
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil || claims.ID == "" {
		t.Fatalf("the token has no jti: %v", err)
	}
	return claims.ID
}
