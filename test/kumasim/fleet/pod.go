package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// pod is one pod on the node: of its containers the control plane is played.
type pod struct {
	k    *podRunner
	obj  *corev1.Pod
	ip   string
	life context.Context // until the pod is to end
	end  context.CancelFunc

	restarts int32
	last     *corev1.ContainerStateTerminated

	mu    sync.Mutex
	runs  *process
	ready bool          // a real program has said so
	grace time.Duration // of a pod that is being deleted: how long its process may take
}

// process is one run of the control plane's program.
type process struct {
	stop   context.CancelFunc
	killed atomic.Bool
}

// terminate sends the process SIGTERM: it ends within its grace.
func (p *pod) terminate(grace time.Duration) {
	p.mu.Lock()
	p.grace = grace
	p.mu.Unlock()
	p.end()
}

// kill ends the process as SIGKILL does: it says nothing to anybody. The next process follows.
func (p *pod) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs != nil {
		p.runs.killed.Store(true)
		p.runs.stop()
	}
}

// drain is how long the pod still is there after its process was told to end.
func (p *pod) drain() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(p.k.f.opts.DrainFor, p.grace)
}

const (
	eventEvery = 10 * time.Second
	crashPause = time.Second // 10 s and more with a real kubelet
)

func newPod(k *podRunner, obj *corev1.Pod, ip string) *pod {
	p := &pod{k: k, obj: obj, ip: ip}
	p.life, p.end = context.WithCancel(k.f.ctx)
	return p
}

// instance is the name of the process, as control planes make it of their host's.
func (p *pod) instance() string { return p.obj.Name + "-" + string(p.obj.UID[:4]) }

// play is the life of the pod:
//  1. mount the volumes as they are now; while that cannot be, wait in ContainerCreating, with an Event;
//     resolve the environment as it is now; while that cannot be, wait in CreateContainerConfigError, with an Event;
//  2. run the control plane: Running, and Ready when the program says so;
//  3. a program that ends by itself has crashed: begin again after a pause;
//  4. when the pod is being deleted, end the program, wait for it as long as it takes and its grace lasts, and remove
//     the object.
//
// At the end of ctx the program ends and the object stays.
func (p *pod) play(ctx context.Context) {
	for p.life.Err() == nil {
		files, env, ok := p.prepare()
		if !ok {
			break
		}
		err := p.runProgram(files, env)
		if p.life.Err() != nil {
			break
		}
		p.k.f.logf(p.obj.Name, "the process ended: %v", err)
		p.crashed(err)
		pause(p.life, crashPause)
	}
	if ctx.Err() == nil {
		pause(ctx, p.drain())
		p.remove(ctx)
	}
}

// prepare returns the files and the environment that a container starts with now, or that the pod ended first.
func (p *pod) prepare() (files, env map[string]string, ok bool) {
	var said time.Time
	explain := func(waiting, event, message string) {
		p.report(p.waiting(waiting, strings.TrimPrefix(message, "Error: ")))
		if time.Since(said) > eventEvery {
			said = time.Now()
			p.event(event, message)
		}
	}
	for p.life.Err() == nil {
		files, err := limited(p.life, p.files)
		if err == nil {
			env, err = limited(p.life, p.environment)
		}
		var mount *mountError
		var config *configError
		switch {
		case err == nil:
			return files, env, true
		case errors.As(err, &mount):
			explain("ContainerCreating", "FailedMount", err.Error())
		case errors.As(err, &config):
			// Kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go
			explain("CreateContainerConfigError", "Failed", "Error: "+err.Error())
		}
		pause(p.life, retryAfter)
	}
	return nil, nil, false
}

// runProgram runs the control plane and reports on it until it has ended.
func (p *pod) runProgram(files, env map[string]string) error {
	life, stop := context.WithCancel(p.life)
	defer stop()
	run := &process{stop: stop}
	p.mu.Lock()
	p.runs = run
	p.mu.Unlock()
	ready := make(chan struct{})
	started := metav1.Now()
	var reporting sync.WaitGroup
	reporting.Go(func() {
		p.report(p.running(started, false))
		select {
		case <-ready:
			p.report(p.running(started, true))
		case <-life.Done():
		}
	})
	err := p.k.f.runProgram(life, p, run, files, env, sync.OnceFunc(func() { close(ready) }))
	stop()
	reporting.Wait()
	p.last = &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: started, FinishedAt: metav1.Now()}
	if run.killed.Load() {
		p.last.ExitCode, err = 137, errors.New("signal: killed")
	}
	return err
}

func (p *pod) crashed(err error) {
	p.restarts++
	if err != nil {
		p.last.Message = err.Error()
	}
	p.report(p.waiting("CrashLoopBackOff", fmt.Sprintf("back-off restarting failed container=%s pod=%s_%s(%s)",
		containerName, p.obj.Name, p.obj.Namespace, p.obj.UID)))
	p.event("BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", containerName, p.obj.Name,
		p.obj.Namespace, p.obj.UID))
}

// remove deletes the object at once.
func (p *pod) remove(ctx context.Context) {
	now := int64(0)
	for ctx.Err() == nil {
		_, err := limited(ctx, func(ctx context.Context) (any, error) {
			return nil, p.k.c.kube.CoreV1().Pods(p.obj.Namespace).Delete(ctx, p.obj.Name,
				metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &p.obj.UID}})
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		pause(ctx, retryAfter)
	}
}

// report writes the pod's status until it is stored, or the pod ends.
func (p *pod) report(status corev1.PodStatus) {
	pods := p.k.c.kube.CoreV1().Pods(p.obj.Namespace)
	for p.life.Err() == nil {
		_, err := limited(p.life, func(ctx context.Context) (any, error) {
			return nil, retry.RetryOnConflict(retry.DefaultRetry, func() error {
				now, err := pods.Get(ctx, p.obj.Name, metav1.GetOptions{})
				if err != nil || now.UID != p.obj.UID {
					return err
				}
				if status.StartTime = now.Status.StartTime; status.StartTime == nil {
					begin := metav1.Now()
					status.StartTime = &begin
				}
				status.QOSClass = now.Status.QOSClass
				now.Status = status
				_, err = pods.UpdateStatus(ctx, now, metav1.UpdateOptions{})
				return err
			})
		})
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
		pause(p.life, retryAfter)
	}
}

func (p *pod) waiting(reason, message string) corev1.PodStatus {
	phase := corev1.PodPending
	if p.restarts > 0 {
		phase = corev1.PodRunning
	}
	return p.status(phase, false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason,
		Message: message}})
}

func (p *pod) running(started metav1.Time, ready bool) corev1.PodStatus {
	return p.status(corev1.PodRunning, ready,
		corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}})
}

func (p *pod) status(phase corev1.PodPhase, ready bool, state corev1.ContainerState) corev1.PodStatus {
	now := metav1.Now()
	s := corev1.PodStatus{Phase: phase, HostIP: p.k.c.site.KubeletIP, HostIPs: []corev1.HostIP{{IP: p.k.c.site.KubeletIP}},
		PodIP: p.ip, PodIPs: []corev1.PodIP{{IP: p.ip}}}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady,
		corev1.PodReady} {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now}
		if !ready && kind != corev1.PodScheduled && kind != corev1.PodInitialized {
			c.Status, c.Reason = corev1.ConditionFalse, "ContainersNotReady"
		}
		s.Conditions = append(s.Conditions, c)
	}
	started := state.Running != nil
	for _, c := range p.obj.Spec.Containers {
		cs := corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image, State: state, Ready: ready,
			Started: &started, RestartCount: p.restarts}
		if p.last != nil {
			cs.LastTerminationState.Terminated = p.last
		}
		if started {
			cs.ContainerID = fmt.Sprintf("kumasim://%s-%d", p.obj.UID, p.restarts)
		}
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
	}
	return s
}

// event says something of the pod, as a kubelet; it is said once, and not again if the API server is away.
func (p *pod) event(reason, message string) {
	now := metav1.Now()
	_, _ = limited(p.life, func(ctx context.Context) (any, error) {
		return p.k.c.kube.CoreV1().Events(p.obj.Namespace).Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{GenerateName: p.obj.Name + ".", Namespace: p.obj.Namespace},
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.obj.Namespace, Name: p.obj.Name,
				UID: p.obj.UID, FieldPath: "spec.containers{" + containerName + "}"},
			Reason: reason, Type: corev1.EventTypeWarning, Message: message, Count: 1,
			Source: corev1.EventSource{Component: "kubelet", Host: nodeName}, FirstTimestamp: now, LastTimestamp: now,
		}, metav1.CreateOptions{})
	})
}
