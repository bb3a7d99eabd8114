package xcpsim

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/test/kubelet"
)

// podRunner is the kubelet of one cluster's node, for the pods of the namespaces that the simulator plays.
type podRunner struct {
	sim  *Sim
	c    *cluster
	wake <-chan struct{}
	node *kubelet.Node

	mu    sync.Mutex
	pods  map[types.UID]*podRun
	addrs int
}

const podResync = time.Second

func newPodRunner(s *Sim, c *cluster) (*podRunner, error) {
	k := &podRunner{sim: s, c: c, wake: c.pods.notify(), pods: map[types.UID]*podRun{}}
	k.node = &kubelet.Node{Name: nodeName, IP: c.site.KubeletIP, Kube: c.kube, Find: k.find, Logf: k.logf}
	return k, k.node.Listen()
}

// run plays until ctx ends, then waits for every pod to end:
//  1. keep the Node and its lease, and serve logs and port-forward;
//  2. bind unbound pods, start those that are bound, end those that are being deleted or are gone.
func (k *podRunner) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := k.node.Run(ctx); err != nil {
			k.logf("%v", err)
		}
	})
	for ctx.Err() == nil {
		k.sync(ctx, &wg)
		wait(ctx, k.wake, podResync)
	}
	wg.Wait()
}

// sync compares the pods of the cluster with those that are being run.
func (k *podRunner) sync(ctx context.Context, wg *sync.WaitGroup) {
	there := map[types.UID]bool{}
	for _, p := range k.c.pods.all() {
		if !k.c.plays(p.Namespace) {
			continue
		}
		switch {
		case p.Spec.NodeName == "" && p.DeletionTimestamp == nil:
			if err := k.node.Bind(ctx, p); err != nil && ctx.Err() == nil {
				k.logf("%v", err)
			}
			continue
		case p.Spec.NodeName != nodeName:
			continue
		}
		there[p.UID] = true
		k.mu.Lock()
		run, running := k.pods[p.UID]
		if !running && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			k.addrs++
			run = newPodRun(k, p, k.node.PodIP(k.addrs))
			if p.DeletionTimestamp != nil {
				run.end() // nothing is started for it any more
			}
			k.pods[p.UID] = run
			wg.Go(func() {
				run.play(ctx)
				k.mu.Lock()
				defer k.mu.Unlock()
				delete(k.pods, p.UID)
			})
		}
		k.mu.Unlock()
		if p.DeletionTimestamp != nil && run != nil {
			run.end()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for uid, run := range k.pods {
		if !there[uid] {
			run.end() // deleted by force
		}
	}
}

func (k *podRunner) logf(format string, args ...any) {
	k.sim.log.printf("kubelet/"+k.c.site.Name, format, args...)
}

// find returns the running container of a pod by name.
func (k *podRunner) find(namespace, name string) (kubelet.Container, types.UID, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, run := range k.pods {
		if run.pod.Namespace == namespace && run.pod.Name == name {
			if c := run.current(); c != nil {
				return c, run.pod.UID, nil
			}
			return nil, "", fmt.Errorf("container of pod %s/%s is waiting to start: ContainerCreating", namespace, name)
		}
	}
	return nil, "", fmt.Errorf("pod %s/%s is not on this node", namespace, name)
}

// wait returns when wake fires, after d, or when ctx ends.
func wait(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}
