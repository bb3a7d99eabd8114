package deploy

import "testing"

// A Deployment is rolled out once as many pods of it as are wanted are available, and none of before is left.
func TestARolloutSaysWhatItWaitsFor(t *testing.T) {
	two := int64(2)
	for want, change := range map[string]func(*deployment){
		"":                                   func(*deployment) {},
		"its controller has not seen it yet": func(d *deployment) { d.Metadata.Generation = 4 },
		"1 of 2 pods are there":              func(d *deployment) { d.Status.UpdatedReplicas = 1 },
		"0 of 2 pods are available":          func(d *deployment) { d.Status.AvailableReplicas = 0 },
		"1 pods of before are still there":   func(d *deployment) { d.Status.Replicas = 3 },
		"0 of 1 pods are available":          func(d *deployment) { d.Spec.Replicas, d.Status.AvailableReplicas = nil, 0 },
	} {
		d := deployment{}
		d.Metadata.Generation, d.Status.ObservedGeneration = 3, 3
		d.Spec.Replicas, d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas = &two, 2, 2, 2
		change(&d)
		if got := d.missing(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
