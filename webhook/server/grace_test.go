package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
)

// manifest decodes the first document of a shipped manifest.
func manifest(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../manifests", name))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n---\n")
	if err := yaml.UnmarshalStrict([]byte(first), into); err != nil {
		t.Fatal(err)
	}
}

// A pod is killed when its grace is over: until then it must have gone on answering for the whole delay, and finished
// the last call.
func TestThePodsGraceHoldsADrainAndTheLastCall(t *testing.T) {
	var d appsv1.Deployment
	var conf admissionregistrationv1.ValidatingWebhookConfiguration
	manifest(t, "base/deployment.yaml", &d)
	manifest(t, "guard/validating-webhook-configuration.yaml", &conf)
	spec := d.Spec.Template.Spec
	for _, arg := range spec.Containers[0].Args {
		if strings.HasPrefix(arg, "--shutdown-delay") {
			t.Errorf("%s is not what this test reckons with", arg)
		}
	}
	grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
	var call time.Duration
	for _, w := range conf.Webhooks {
		call = max(call, time.Duration(*w.TimeoutSeconds)*time.Second)
	}
	if call != admit.CallWithin {
		t.Errorf("the API server gives a call %s, and we take %s by default", call, admit.CallWithin)
	}
	if need := ShutdownDelay + 2*call; grace < need {
		t.Errorf("a grace of %s, and a drain takes %s with two calls after it", grace, need)
	}
	probe := spec.Containers[0].ReadinessProbe
	if seen := time.Duration(probe.PeriodSeconds) * time.Second; seen >= ShutdownDelay {
		t.Errorf("readiness is looked at each %s: it goes on answering for %s only, and is sent calls until it is seen not ready", seen, ShutdownDelay)
	}
}
