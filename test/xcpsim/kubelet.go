package xcpsim

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
)

// kubelet is the node, the scheduler and the kubelet of one cluster, for the pods of the namespaces that the simulator plays.
type kubelet struct {
	sim    *Sim
	c      *cluster
	wake   <-chan struct{}
	ln     net.Listener
	server *kubeletServer

	mu    sync.Mutex
	pods  map[types.UID]*podRun
	addrs int
}

const (
	nodeBeat  = 10 * time.Second
	podResync = time.Second
)

func newKubelet(s *Sim, c *cluster) (*kubelet, error) {
	k := &kubelet{sim: s, c: c, wake: c.pods.notify(), pods: map[types.UID]*podRun{}}
	var err error
	if k.ln, err = net.Listen("tcp", net.JoinHostPort(c.site.KubeletIP, "0")); err != nil {
		return nil, fmt.Errorf("listen for the node of %s: %w", c.site.Name, err)
	}
	if k.server, err = newKubeletServer(k); err != nil {
		_ = k.ln.Close()
		return nil, err
	}
	return k, nil
}

// run plays until ctx ends, then waits for every pod to end:
//  1. serve logs and port-forward;
//  2. keep the Node and its lease;
//  3. bind unbound pods, start those that are bound, end those that are being deleted or are gone.
func (k *kubelet) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { k.server.serve(ctx, k.ln) })
	wg.Go(func() { k.keepNode(ctx) })
	for ctx.Err() == nil {
		k.sync(ctx, &wg)
		wait(ctx, k.wake, podResync)
	}
	wg.Wait()
}

// podIP is the n-th address that a node gives to its pods: of loopback, in the node's own /16, beside the Services and whatever else has
// an address in it.
func podIP(node string, n int) string {
	ip := net.ParseIP(node).To4()
	return net.IPv4(ip[0], ip[1], byte(128+n/254%127), byte(1+n%254)).String()
}

// sync compares the pods of the cluster with those that are being run.
func (k *kubelet) sync(ctx context.Context, wg *sync.WaitGroup) {
	there := map[types.UID]bool{}
	for _, p := range k.c.pods.all() {
		if !k.c.plays(p.Namespace) {
			continue
		}
		switch {
		case p.Spec.NodeName == "" && p.DeletionTimestamp == nil:
			if err := k.bind(ctx, p); err != nil && ctx.Err() == nil {
				k.sim.log.printf("kubelet/"+k.c.site.Name, "%v", err)
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
			run = newPodRun(k, p, podIP(k.c.site.KubeletIP, k.addrs))
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

// bind is the scheduler: there is one node.
func (k *kubelet) bind(ctx context.Context, p *corev1.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, writeDeadline)
	defer cancel()
	err := k.c.kube.CoreV1().Pods(p.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("bind pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	return nil
}

// find returns the running container of a pod by name.
func (k *kubelet) find(namespace, name string) (*container, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, run := range k.pods {
		if run.pod.Namespace == namespace && run.pod.Name == name {
			if c := run.current(); c != nil {
				return c, nil
			}
			return nil, fmt.Errorf("container of pod %s/%s is waiting to start: ContainerCreating", namespace, name)
		}
	}
	return nil, fmt.Errorf("pod %s/%s is not on this node", namespace, name)
}

// keepNode makes the Node and renews its lease; it makes up for an API server that was away.
func (k *kubelet) keepNode(ctx context.Context) {
	for ctx.Err() == nil {
		next := nodeBeat
		if err := k.beat(ctx); err != nil {
			if ctx.Err() == nil {
				k.sim.log.printf("kubelet/"+k.c.site.Name, "%v", err)
			}
			next = relistAfter
		}
		pause(ctx, next)
	}
}

func (k *kubelet) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeDeadline)
	defer cancel()
	nodes := k.c.kube.CoreV1().Nodes()
	node, err := nodes.Get(ctx, nodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node, err = nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("make node: %w", err)
	}
	k.fillStatus(node)
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update node status: %w", err)
	}
	return k.renew(ctx)
}

func (k *kubelet) fillStatus(node *corev1.Node) {
	now := metav1.Now()
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: k.c.site.KubeletIP}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(k.ln.Addr().(*net.TCPAddr).Port)
	node.Status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("1000"),
	}
	node.Status.Allocatable = node.Status.Capacity
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status",
		LastHeartbeatTime: now, LastTransitionTime: now,
	}}
}

func (k *kubelet) renew(ctx context.Context) error {
	leases := k.c.kube.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NewMicroTime(time.Now())
	holder, seconds := nodeName, int32(40)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now}
	lease, err := leases.Get(ctx, nodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: nodeName}, Spec: spec}, metav1.CreateOptions{})
	} else if err == nil {
		lease.Spec = spec
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("renew node lease: %w", err)
	}
	return nil
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
