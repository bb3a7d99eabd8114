package fleet

import (
	"context"
	"fmt"
	"net"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
)

// serveServices plays kube-proxy for the Services of the control plane's namespace, until ctx ends: at each one's
// address, which is of loopback, connections are led to a pod that is ready.
func (k *podRunner) serveServices(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	at := map[string]context.CancelFunc{}
	defer func() {
		for _, stop := range at {
			stop()
		}
	}()
	services := k.c.kube.CoreV1().Services(k.f.opts.Namespace)
	follow(ctx, func(ctx context.Context) (string, error) {
		list, err := services.List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", err
		}
		seen := map[string]bool{}
		for _, s := range list.Items {
			for _, port := range s.Spec.Ports {
				address := net.JoinHostPort(s.Spec.ClusterIP, fmt.Sprint(port.Port))
				if s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Selector) == 0 {
					continue
				}
				if seen[address] = true; at[address] != nil {
					continue
				}
				open, stop := context.WithCancel(k.f.ctx)
				if err := forward(open, &all, address, func() string { return k.endpoint(s.Spec.Selector, port) }); err != nil {
					k.logf("%v", err)
				}
				at[address] = stop
			}
		}
		for address, stop := range at {
			if !seen[address] {
				stop()
				delete(at, address)
			}
		}
		return list.ResourceVersion, nil
	}, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return services.Watch(ctx, o)
	})
}

// endpoint is the address of a Service's port at a pod that is ready, preferably one that is not being deleted; ""
// where there is none.
func (k *podRunner) endpoint(selector map[string]string, port corev1.ServicePort) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := ""
	for _, p := range k.pods {
		if !p.isReady() || !labels.SelectorFromSet(selector).Matches(labels.Set(p.obj.Labels)) {
			continue
		}
		to := port.TargetPort.IntVal
		if port.TargetPort.Type == intstr.String {
			for _, named := range p.container().Ports {
				if named.Name == port.TargetPort.StrVal {
					to = named.ContainerPort
				}
			}
		}
		if to == 0 {
			to = port.Port
		}
		if found = net.JoinHostPort(p.ip, fmt.Sprint(to)); p.life.Err() == nil {
			return found
		}
	}
	return found
}
