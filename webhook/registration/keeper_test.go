package registration

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
)

// cluster is one configuration and the EndpointSlices of one Service.
type cluster struct {
	conf   admissionregistrationv1.ValidatingWebhookConfiguration
	slices []discoveryv1.EndpointSlice
	writes int
	err    error // of a list
}

func (c *cluster) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	c.conf.DeepCopyInto(obj.(*admissionregistrationv1.ValidatingWebhookConfiguration))
	return nil
}

func (c *cluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*discoveryv1.EndpointSliceList).Items = c.slices
	return c.err
}

func (c *cluster) Update(_ context.Context, obj client.Object, _ ...client.UpdateOption) error {
	obj.(*admissionregistrationv1.ValidatingWebhookConfiguration).DeepCopyInto(&c.conf)
	c.writes++
	return nil
}

// shipped are the entries as the API server has them once they are written.
func shipped(t *testing.T, bundle string) []admissionregistrationv1.ValidatingWebhook {
	t.Helper()
	var conf admissionregistrationv1.ValidatingWebhookConfiguration
	if err := yaml.UnmarshalStrict(manifests.WebhookConfiguration, &conf); err != nil {
		t.Fatal(err)
	}
	entries, _ := Next(conf.Webhooks, nil, service, []byte(bundle))
	return entries
}

var service = Service{Namespace: "ours", Name: "hook", Port: 443}

func endpoints(ready ...*bool) []discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{}
	for _, r := range ready {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: r}})
	}
	return []discoveryv1.EndpointSlice{{}, s}
}

func TestTheGuardIsClosedOnceAPodIsReadyAndKeptSo(t *testing.T) {
	type entries = []admissionregistrationv1.ValidatingWebhook
	ignore := func(e entries) entries {
		e = slices.Clone(e)
		e[0].FailurePolicy = new(admissionregistrationv1.Ignore)
		return e
	}
	another := admissionregistrationv1.ValidatingWebhook{Name: "another.example.com"}
	for _, tc := range []struct {
		name       string
		found      entries
		slices     []discoveryv1.EndpointSlice
		listing    error
		annotation string
		bundle     string // "" = nothing is served yet
		serving    error
		want       entries // nil = nothing is written
		says       string
	}{
		{"no pod is ready", nil, endpoints(new(false)), nil, "", "ca", nil, nil, "no pod of the Service is ready yet"},
		{"no pod is there", nil, nil, nil, "", "ca", nil, nil, "no pod of the Service is ready yet"},
		{"whether one is ready is not known", nil, endpoints(new(true)), errors.New("forbidden"), "", "ca", nil, nil,
			"listing the EndpointSlices of Service ours/hook: forbidden"},
		{"a pod is ready", nil, endpoints(new(false), new(true)), nil, "", "ca", nil, shipped(t, "ca"), ""},
		{"a pod says nothing of itself", nil, endpoints(nil), nil, "", "ca", nil, shipped(t, "ca"), ""},
		{"another's pod is ready alone", nil, endpoints(new(true)), nil, "", "ca", errors.New("draining"), nil,
			"this replica is not ready: draining"},
		{"there is no certificate yet", nil, endpoints(new(true)), nil, "", "", nil, nil, "no certificate"},
		{"all is as it is shipped", shipped(t, "ca"), nil, nil, "", "ca", nil, nil, ""},
		{"a CA bundle is its keeper's", shipped(t, "older"), nil, nil, "", "ca", nil, nil, ""},
		{"somebody opened it", ignore(shipped(t, "older")), nil, nil, "", "ca", nil, shipped(t, "older"), ""},
		{"somebody took one entry out", shipped(t, "older")[1:], nil, nil, "", "ca", nil,
			entries{shipped(t, "older")[1], shipped(t, "ca")[0]}, ""},
		{"it has another's entry too", append(shipped(t, "ca"), another), nil, nil, "", "ca", nil, nil, ""},
		{"it has another's entry alone", entries{another}, endpoints(), nil, "", "ca", nil, nil,
			"no pod of the Service is ready yet"},
		{"somebody else keeps the entries", ignore(shipped(t, "ca")), endpoints(new(true)), nil, "unmanaged", "ca", nil,
			nil, ""},
		{"somebody else keeps none", nil, endpoints(new(true)), nil, "unmanaged", "ca", nil, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &cluster{slices: tc.slices, err: tc.listing}
			c.conf.Webhooks = tc.found
			c.conf.Annotations = map[string]string{"xcpauth.io/entries": tc.annotation, "of": "others"}
			k := &Keeper{Objects: c, Configuration: "conf", Service: service, Log: slog.New(slog.DiscardHandler),
				Serving: func() error { return tc.serving }, Bundle: func() ([]byte, error) {
					if tc.bundle == "" {
						return nil, errors.New("no certificate to serve yet")
					}
					return []byte(tc.bundle), nil
				}}
			err := k.Round(t.Context())
			if said := errorText(err); (said == "") != (tc.says == "") || !strings.Contains(said, tc.says) {
				t.Errorf("it says %q, want %q", said, tc.says)
			}
			want, writes := tc.want, 1
			if want == nil {
				want, writes = tc.found, 0
			}
			if c.writes != writes || !equality.Semantic.DeepEqual(c.conf.Webhooks, want) {
				t.Errorf("%d writes, and the entries are\n%+v\nwant\n%+v", c.writes, c.conf.Webhooks, want)
			}
			if c.conf.Annotations["of"] != "others" {
				t.Error("the annotations were changed")
			}
		})
	}
}

// Whatever the entries are, one round makes those that are shipped of it, and a second writes nothing.
func TestWhatIsKeptIsNeverWrittenTwice(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		found := changedByOthers(r, shipped(t, "theirs"))
		c := &cluster{slices: endpoints(new(true))}
		c.conf.Webhooks = found
		k := &Keeper{Objects: c, Configuration: "conf", Service: service, Log: slog.New(slog.DiscardHandler),
			Serving: func() error { return nil }, Bundle: func() ([]byte, error) { return []byte("ca"), nil }}
		for range 2 {
			if err := k.Round(t.Context()); err != nil {
				r.Fatal(err)
			}
		}
		if c.writes > 1 || len(c.conf.Webhooks) != len(shipped(t, "")) {
			r.Fatalf("%d writes, and %d entries", c.writes, len(c.conf.Webhooks))
		}
		for _, e := range c.conf.Webhooks {
			if bundle := string(e.ClientConfig.CABundle); bundle != "ca" && bundle != "theirs" {
				r.Errorf("%s has the bundle %q", e.Name, bundle)
			}
			if e.ClientConfig.CABundle = nil; !isShipped(t, e) {
				r.Errorf("%s is not as it is shipped: %+v", e.Name, e)
			}
		}
	})
}

// changedByOthers are some of the entries, some of them changed.
func changedByOthers(r *rapid.T, entries []admissionregistrationv1.ValidatingWebhook) (
	found []admissionregistrationv1.ValidatingWebhook) {
	for _, e := range entries {
		if !rapid.Bool().Draw(r, "is there") {
			continue
		}
		if rapid.Bool().Draw(r, "fails open") {
			e.FailurePolicy = new(admissionregistrationv1.Ignore)
		}
		if rapid.Bool().Draw(r, "selects") {
			e.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}
		if rapid.Bool().Draw(r, "has no condition") {
			e.MatchConditions = nil
		}
		if rapid.Bool().Draw(r, "has no bundle") {
			e.ClientConfig.CABundle = nil
		}
		if rapid.Bool().Draw(r, "is sent elsewhere") {
			e.ClientConfig.Service.Namespace = "theirs"
		}
		found = append(found, e)
	}
	return found
}

// isShipped says whether an entry without its bundle is one of those that are shipped.
func isShipped(t *testing.T, e admissionregistrationv1.ValidatingWebhook) bool {
	t.Helper()
	return slices.ContainsFunc(shipped(t, ""), func(s admissionregistrationv1.ValidatingWebhook) bool {
		return equality.Semantic.DeepEqual(s, e)
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
