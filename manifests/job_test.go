package manifests_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
)

// A pod of the Job that is evicted is replaced, one that ended by itself is not, and never do two run. It passes the
// restricted Pod Security Standard that our namespace enforces.
func TestTheJobGoesOnAfterAnEvictionAndNotAfterItsEnd(t *testing.T) {
	spec := shippedJob(t).Spec
	if *spec.BackoffLimit != 0 || *spec.PodReplacementPolicy != batchv1.Failed ||
		spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("a run that ended is tried again: %+v", spec)
	}
	rule := spec.PodFailurePolicy.Rules[0]
	if rule.Action != batchv1.PodFailurePolicyActionIgnore || rule.OnPodConditions[0].Type != corev1.DisruptionTarget {
		t.Errorf("an eviction counts as a failure: %+v", rule)
	}
	pod, c := spec.Template.Spec, spec.Template.Spec.Containers[0]
	if !*pod.SecurityContext.RunAsNonRoot ||
		pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
		*c.SecurityContext.AllowPrivilegeEscalation || len(c.SecurityContext.Capabilities.Drop) != 1 ||
		*pod.AutomountServiceAccountToken {
		t.Errorf("the pod may more than it needs: %+v", pod)
	}
	if *pod.TerminationGracePeriodSeconds < 60 {
		t.Errorf("it has %d seconds to put a wave back", *pod.TerminationGracePeriodSeconds)
	}
}

// The next pod waits longer than the lock of one that was killed is good.
func TestAPodOfTheJobWaitsForTheLockOfADeadOne(t *testing.T) {
	c := shippedJob(t).Spec.Template.Spec.Containers[0]
	i := slices.IndexFunc(c.Args, func(arg string) bool { return strings.HasPrefix(arg, "--lock-timeout=") })
	if i < 0 {
		t.Fatalf("a pod does not wait for the lock of one that was killed: %q", c.Args)
	}
	_, value, _ := strings.Cut(c.Args[i], "=")
	if waits, err := time.ParseDuration(value); err != nil || waits <= engine.LockFor {
		t.Errorf("a pod waits %q for the lock of one that was killed, which is held for %s: %v", value, engine.LockFor, err)
	}
}

func shippedJob(t *testing.T) batchv1.Job {
	t.Helper()
	text, err := os.ReadFile("job/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	jobs := objects[batchv1.Job](t, text, "Job")
	if len(jobs) != 1 {
		t.Fatalf("%d Jobs", len(jobs))
	}
	return jobs[0]
}
