package fleet

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	nodeName = "kumasim"
	nodeBeat = 10 * time.Second
)

// kubelet is the node, the scheduler and the kubelet of one cluster, for the pods of the control plane's namespace.
type kubelet struct {
	f     *Fleet
	c     *cluster
	pods  map[types.UID]*pod
	addrs int
}

// run plays until ctx ends, then waits for every pod's program to end:
//  1. keep the Node and its lease;
//  2. bind pods that are bound to no node, start those that are, end those that are being deleted or are gone.
func (k *kubelet) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { k.keepNode(ctx) })
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

// sync compares the pods that there are with those that run. A pod whose program ended for good stays in the map until its object is gone.
func (k *kubelet) sync(ctx context.Context, there []corev1.Pod, all *sync.WaitGroup) error {
	seen := map[types.UID]bool{}
	for i := range there {
		p := &there[i]
		seen[p.UID] = true
		run := k.pods[p.UID]
		switch {
		case p.Spec.NodeName == "" && p.DeletionTimestamp == nil:
			if err := k.bind(ctx, p); err != nil {
				return err
			}
		case run != nil && p.DeletionTimestamp != nil:
			run.end()
		case run == nil && p.Spec.NodeName == nodeName && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed:
			k.addrs++
			run = newPod(k, p, podIP(k.c.site.KubeletIP, k.addrs))
			if k.pods[p.UID] = run; p.DeletionTimestamp != nil {
				run.end() // nothing is started for it any more
			}
			all.Go(func() { run.play(k.f.ctx) })
		}
	}
	for uid, run := range k.pods {
		if !seen[uid] {
			run.end() // by force
			delete(k.pods, uid)
		}
	}
	return nil
}

// podIP is the n-th address of a node's pods, in its own /16 of loopback beside the Services.
func podIP(node string, n int) string {
	ip := net.ParseIP(node).To4()
	return net.IPv4(ip[0], ip[1], byte(128+n/254%127), byte(1+n%254)).String()
}

// bind is the scheduler: there is one node.
func (k *kubelet) bind(ctx context.Context, p *corev1.Pod) error {
	err := k.c.kube.CoreV1().Pods(p.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: nodeName},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("bind pod %s: %w", p.Name, err)
	}
	return nil
}

// keepNode makes the Node and renews its lease.
func (k *kubelet) keepNode(ctx context.Context) {
	for ctx.Err() == nil {
		next := nodeBeat
		if _, err := limited(ctx, func(ctx context.Context) (any, error) { return nil, k.beat(ctx) }); err != nil && ctx.Err() == nil {
			k.f.logf("kubelet of "+k.c.site.Name, "%v", err)
			next = retryAfter
		}
		pause(ctx, next)
	}
}

func (k *kubelet) beat(ctx context.Context) error {
	nodes := k.c.kube.CoreV1().Nodes()
	node, err := nodes.Get(ctx, nodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node, err = nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("make the node: %w", err)
	}
	now := metav1.Now()
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: k.c.site.KubeletIP}}
	node.Status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("1000"),
	}
	node.Status.Allocatable = node.Status.Capacity
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update the node's status: %w", err)
	}
	leases := k.c.kube.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	holder, seconds, renewed := nodeName, int32(40), metav1.NewMicroTime(now.Time)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &renewed}
	lease, err := leases.Get(ctx, nodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: nodeName}, Spec: spec}, metav1.CreateOptions{})
	} else if err == nil {
		lease.Spec = spec
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("renew the node's lease: %w", err)
	}
	return nil
}
