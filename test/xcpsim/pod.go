package xcpsim

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// podRun is one pod on the node, from its volumes to its deletion.
type podRun struct {
	k     *podRunner
	pod   *corev1.Pod
	ip    string
	once  sync.Once
	ended chan struct{} // closed when the pod is to end
	ready chan struct{}

	mu sync.Mutex
	c  *container
}

const (
	mountRetry = 200 * time.Millisecond
	eventEvery = 10 * time.Second
)

func newPodRun(k *podRunner, pod *corev1.Pod, ip string) *podRun {
	return &podRun{k: k, pod: pod, ip: ip, ended: make(chan struct{}), ready: make(chan struct{})}
}

func (r *podRun) end() { r.once.Do(func() { close(r.ended) }) }

func (r *podRun) current() *container {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c
}

// play is the life of the pod:
//  1. wait in ContainerCreating until every secret volume can be mounted, with an Event for each that cannot;
//  2. run its program with the volumes as they are now, Running, and Ready when the program says so;
//  3. when it is deleted end the program and wait for it, then remove the object.
//
// At the end of ctx it ends the program and leaves the object.
func (r *podRun) play(ctx context.Context) {
	life, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-r.ended:
			stop()
		case <-life.Done():
		}
	})
	defer watching.Wait()
	defer stop()
	select {
	case <-r.ended:
		stop()
	default:
	}
	if volumes, ok := r.mount(life); ok {
		r.runProgram(life, volumes)
	}
	if ctx.Err() == nil {
		r.remove(ctx)
	}
}

func (r *podRun) runProgram(life context.Context, volumes map[string]map[string][]byte) {
	c := newContainer(r.pod, r.ip, volumes)
	c.setReady = sync.OnceFunc(func() { close(r.ready) })
	c.live = func(volume string) (map[string][]byte, bool) {
		for _, v := range r.pod.Spec.Volumes {
			if v.Name == volume && v.Secret != nil {
				return r.k.c.secret(r.pod.Namespace, v.Secret.SecretName)
			}
		}
		return nil, false
	}
	r.mu.Lock()
	r.c = c
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.report(life, r.running(false))
		select {
		case <-r.ready:
			r.report(life, r.running(true))
		case <-life.Done():
		}
	}()
	c.run(life, r.k.sim.programOf(r.k.c, r.pod))
	<-done
}

// mount waits for the secret volumes and returns their content; ok is false if the pod ends first.
func (r *podRun) mount(life context.Context) (map[string]map[string][]byte, bool) {
	said := map[string]time.Time{}
	reported := false
	for life.Err() == nil {
		volumes := map[string]map[string][]byte{}
		complete := true
		for _, v := range r.pod.Spec.Volumes {
			if v.Secret == nil {
				continue
			}
			data, ok := r.k.c.secret(r.pod.Namespace, v.Secret.SecretName)
			if ok {
				volumes[v.Name] = data
				continue
			}
			if v.Secret.Optional != nil && *v.Secret.Optional {
				continue
			}
			complete = false
			if time.Since(said[v.Name]) > eventEvery {
				said[v.Name] = time.Now()
				r.event(life, fmt.Sprintf("MountVolume.SetUp failed for volume %q : secret %q not found", v.Name,
					v.Secret.SecretName))
			}
		}
		if complete {
			return volumes, true
		}
		if !reported {
			reported = r.report(life, r.creating())
		}
		pause(life, mountRetry)
	}
	return nil, false
}

// remove deletes the object at once, as the kubelet does when a pod's containers have ended.
func (r *podRun) remove(ctx context.Context) {
	zero := int64(0)
	for ctx.Err() == nil {
		err := r.attempt(ctx, func(ctx context.Context) error {
			return r.k.c.kube.CoreV1().Pods(r.pod.Namespace).Delete(ctx, r.pod.Name, metav1.DeleteOptions{
				GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &r.pod.UID},
			})
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		pause(ctx, relistAfter)
	}
}

func (r *podRun) attempt(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeDeadline)
	defer cancel()
	return f(ctx)
}

// report writes the pod's status until it is stored or the pod ends, and says whether it was.
func (r *podRun) report(life context.Context, status corev1.PodStatus) bool {
	pods := r.k.c.kube.CoreV1().Pods(r.pod.Namespace)
	for life.Err() == nil {
		err := r.attempt(life, func(ctx context.Context) error {
			return retry.RetryOnConflict(retry.DefaultRetry, func() error {
				p, err := pods.Get(ctx, r.pod.Name, metav1.GetOptions{})
				if err != nil || p.UID != r.pod.UID {
					return err
				}
				if status.StartTime = p.Status.StartTime; status.StartTime == nil {
					now := metav1.Now()
					status.StartTime = &now
				}
				status.QOSClass = p.Status.QOSClass
				p.Status = status
				_, err = pods.UpdateStatus(ctx, p, metav1.UpdateOptions{})
				return err
			})
		})
		if err == nil || apierrors.IsNotFound(err) {
			return true
		}
		pause(life, relistAfter)
	}
	return false
}

func (r *podRun) creating() corev1.PodStatus {
	s := r.status(corev1.PodPending, false)
	for i := range s.ContainerStatuses {
		s.ContainerStatuses[i].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	}
	return s
}

func (r *podRun) running(ready bool) corev1.PodStatus {
	s := r.status(corev1.PodRunning, ready)
	s.PodIP, s.PodIPs = r.ip, []corev1.PodIP{{IP: r.ip}}
	started := true
	for i := range s.ContainerStatuses {
		cs := &s.ContainerStatuses[i]
		cs.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
		cs.Ready, cs.Started, cs.ContainerID = ready, &started, "xcpsim://"+string(r.pod.UID)
	}
	return s
}

func (r *podRun) status(phase corev1.PodPhase, ready bool) corev1.PodStatus {
	now := metav1.Now()
	s := corev1.PodStatus{Phase: phase, HostIP: r.k.c.site.KubeletIP, HostIPs: []corev1.HostIP{{IP: r.k.c.site.KubeletIP}}}
	condition := func(kind corev1.PodConditionType, on bool) {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: now}
		if on {
			c.Status = corev1.ConditionTrue
		} else {
			c.Reason = "ContainersNotReady"
		}
		s.Conditions = append(s.Conditions, c)
	}
	condition(corev1.PodScheduled, true)
	condition(corev1.PodInitialized, true)
	condition(corev1.ContainersReady, ready)
	condition(corev1.PodReady, ready)
	for _, c := range r.pod.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image,
			ImageID: c.Image})
	}
	return s
}

// event says FailedMount in the words of a kubelet, as documented.
func (r *podRun) event(life context.Context, message string) {
	now := metav1.Now()
	_ = r.attempt(life, func(ctx context.Context) error {
		_, err := r.k.c.kube.CoreV1().Events(r.pod.Namespace).Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{GenerateName: r.pod.Name + ".", Namespace: r.pod.Namespace},
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: r.pod.Namespace, Name: r.pod.Name,
				UID: types.UID(r.pod.UID)},
			Reason: "FailedMount", Type: corev1.EventTypeWarning, Message: message, Count: 1,
			Source: corev1.EventSource{Component: "kubelet", Host: nodeName}, FirstTimestamp: now, LastTimestamp: now,
		}, metav1.CreateOptions{})
		return err
	})
}

// programOf chooses what a pod runs by the name of its container.
func (s *Sim) programOf(c *cluster, pod *corev1.Pod) program {
	switch pod.Spec.Containers[0].Name {
	case centralDeployment:
		return s.centralProgram(c)
	case mpcDeployment:
		return s.mpcProgram(c)
	case edgeDeployment:
		return s.edgeProgram(s.edgeNamed(c, pod.Namespace))
	}
	return idle
}
