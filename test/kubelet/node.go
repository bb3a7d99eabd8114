package kubelet

import (
	"context"
	"fmt"
	"net"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	beatEvery    = 10 * time.Second
	retryAfter   = 250 * time.Millisecond
	requestLimit = 10 * time.Second
)

// Node is the one node of a cluster.
type Node struct {
	Name string
	IP   string // of loopback; its pods are in the same /16
	Kube kubernetes.Interface
	Find Find // the running pods; see Find
	Logf func(format string, args ...any)

	ln net.Listener
}

// Listen opens the server's port, so that the Node can tell of it before it serves.
func (n *Node) Listen() error {
	var err error
	if n.ln, err = net.Listen("tcp", net.JoinHostPort(n.IP, "0")); err != nil {
		return fmt.Errorf("listen for node %s: %w", n.Name, err)
	}
	return nil
}

// Close closes the port of a node that was never run.
func (n *Node) Close() error { return n.ln.Close() }

// Run serves, makes the Node, and renews its lease until ctx ends; it makes up for an API server that was away. It
// closes the port.
func (n *Node) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- n.serve(ctx) }()
	for ctx.Err() == nil {
		next := beatEvery
		if err := n.beat(ctx); err != nil {
			if ctx.Err() == nil {
				n.Logf("%v", err)
			}
			next = retryAfter
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return <-served
}

func (n *Node) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	nodes := n.Kube.CoreV1().Nodes()
	node, err := nodes.Get(ctx, n.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node, err = nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name}}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("make the node: %w", err)
	}
	n.fillStatus(node)
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update the node's status: %w", err)
	}
	return n.renew(ctx)
}

func (n *Node) fillStatus(node *corev1.Node) {
	now := metav1.Now()
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: n.IP}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(n.ln.Addr().(*net.TCPAddr).Port)
	node.Status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods: resource.MustParse("1000"),
	}
	node.Status.Allocatable = node.Status.Capacity
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
		Message: "kubelet is posting ready status", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
}

func (n *Node) renew(ctx context.Context) error {
	leases := n.Kube.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	seconds, now := int32(40), metav1.NewMicroTime(time.Now())
	spec := coordinationv1.LeaseSpec{HolderIdentity: &n.Name, LeaseDurationSeconds: &seconds, RenewTime: &now}
	lease, err := leases.Get(ctx, n.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.Name}, Spec: spec},
			metav1.CreateOptions{})
	} else if err == nil {
		lease.Spec = spec
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("renew the node's lease: %w", err)
	}
	return nil
}

// Bind is the scheduler: it puts a pod on the node, unless that is done or the pod is gone.
func (n *Node) Bind(ctx context.Context, p *corev1.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	err := n.Kube.CoreV1().Pods(p.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: n.Name},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("bind pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	return nil
}

// PodIP is the i-th address that the node gives to its pods: of loopback, in the node's own /16, beside the Services
// and whatever else has an address in it.
func (n *Node) PodIP(i int) string {
	ip := net.ParseIP(n.IP).To4()
	return net.IPv4(ip[0], ip[1], byte(128+i/254%127), byte(1+i%254)).String()
}

// Find returns the running container of a pod by its namespace and name, and the pod's UID; the error says why there
// is none.
type Find func(namespace, name string) (Container, types.UID, error)
