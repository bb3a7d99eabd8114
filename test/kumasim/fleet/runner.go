package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/xcpauth/kubectl-xcpauth/test/kubelet"
)

const nodeName = "kumasim"

// podRunner is the kubelet of one cluster's node, for the pods of the control plane's namespace.
type podRunner struct {
	f    *Fleet
	c    *cluster
	node *kubelet.Node

	mu    sync.Mutex
	pods  map[types.UID]*pod
	addrs int
}

func newPodRunner(f *Fleet, c *cluster) (*podRunner, error) {
	k := &podRunner{f: f, c: c, pods: map[types.UID]*pod{}}
	k.node = &kubelet.Node{Name: nodeName, IP: c.site.KubeletIP, Kube: c.kube, Find: k.find, Logf: k.logf}
	return k, k.node.Listen()
}

func (k *podRunner) logf(format string, args ...any) {
	k.f.logf("kubelet of "+k.c.site.Name, format, args...)
}

// run plays until ctx ends, then waits for every pod's program to end:
//  1. keep the Node and its lease, and serve port-forward;
//  2. bind pods that are bound to no node, start those that are, end those that are being deleted or are gone.
func (k *podRunner) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		if err := k.node.Run(ctx); err != nil {
			k.logf("%v", err)
		}
	})
	if k.f.opts.Program != nil {
		all.Go(func() { k.serveServices(ctx) })
	}
	pods := k.c.kube.CoreV1().Pods(k.f.opts.Namespace)
	follow(ctx, func(ctx context.Context) (string, error) {
		list, err := pods.List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", err
		}
		return list.ResourceVersion, k.sync(ctx, list.Items, &all)
	}, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return pods.Watch(ctx, o) })
	all.Wait()
}

// sync compares the pods that there are with those that run. A pod whose program ended for good stays in the map
// until its object is gone.
func (k *podRunner) sync(ctx context.Context, there []corev1.Pod, all *sync.WaitGroup) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := map[types.UID]bool{}
	for i := range there {
		p := &there[i]
		seen[p.UID] = true
		run := k.pods[p.UID]
		switch {
		case p.Spec.NodeName == "" && p.DeletionTimestamp == nil:
			if err := k.node.Bind(ctx, p); err != nil {
				return err
			}
		case run != nil && p.DeletionTimestamp != nil:
			run.terminate(grace(p))
		case run == nil && p.Spec.NodeName == nodeName && p.Status.Phase != corev1.PodSucceeded &&
			p.Status.Phase != corev1.PodFailed:
			k.addrs++
			run = newPod(k, p, k.node.PodIP(k.addrs))
			if k.pods[p.UID] = run; p.DeletionTimestamp != nil {
				run.terminate(0) // nothing is started for it any more
			}
			all.Go(func() { run.play(k.f.ctx) })
		}
	}
	for uid, run := range k.pods {
		if !seen[uid] {
			run.terminate(0) // by force: a kubelet says SIGTERM all the same, and waits for a second or two
			delete(k.pods, uid)
		}
	}
	return nil
}

// grace is how long the process of a pod that is being deleted may take.
func grace(p *corev1.Pod) time.Duration {
	if s := p.DeletionGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 0
}

// named is a pod by its name, nil where there is none.
func (k *podRunner) named(name string) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.obj.Name == name {
			return p
		}
	}
	return nil
}

// find returns a pod's container by name.
func (k *podRunner) find(namespace, name string) (kubelet.Container, types.UID, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for uid, p := range k.pods {
		if p.obj.Namespace == namespace && p.obj.Name == name {
			return p, uid, nil
		}
	}
	return nil, "", fmt.Errorf("pod %s/%s is not on this node", namespace, name)
}
