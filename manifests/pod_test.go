package manifests_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// deployments are the two of an overlay, the webhook's first.
func deployments(t *testing.T, overlay string) []appsv1.Deployment {
	t.Helper()
	all := objects[appsv1.Deployment](t, reviewed(t, overlay), "Deployment")
	slices.SortFunc(all, func(a, b appsv1.Deployment) int { return strings.Compare(b.Name, a.Name) })
	if len(all) != 2 || all[0].Name != "xcpauth-webhook" || all[1].Name != "xcpauth-auditor" {
		t.Fatalf("want the webhook's Deployment and the auditor's: %v", all)
	}
	return all
}

func TestEachPodIsProbedSpreadAndKeepsItsMemory(t *testing.T) {
	for _, overlay := range overlays {
		for _, d := range deployments(t, overlay) {
			t.Run(overlay+" "+d.Name, func(t *testing.T) {
				pod := d.Spec.Template.Spec
				c := pod.Containers[0]
				for probe, want := range map[*corev1.Probe]string{c.StartupProbe: "/healthz", c.LivenessProbe: "/healthz",
					c.ReadinessProbe: "/readyz"} {
					if probe == nil || probe.HTTPGet.Path != want {
						t.Errorf("probe of %s: %+v", want, probe)
					}
				}
				limit := resource.MustParse("0")
				for _, e := range c.Env {
					if e.Name == "GOMEMLIMIT" {
						limit = resource.MustParse(strings.TrimSuffix(e.Value, "B"))
					}
				}
				if limit.IsZero() || limit.Cmp(*c.Resources.Limits.Memory()) >= 0 {
					t.Errorf("GOMEMLIMIT is %s, the limit %s", &limit, c.Resources.Limits.Memory())
				}
				for _, s := range pod.TopologySpreadConstraints {
					if s.WhenUnsatisfiable != corev1.ScheduleAnyway {
						t.Errorf("a rollout on few nodes would stop: %+v", s)
					}
				}
				accounts := objects[corev1.ServiceAccount](t, reviewed(t, overlay), "ServiceAccount")
				i := slices.IndexFunc(accounts, func(a corev1.ServiceAccount) bool { return a.Name == pod.ServiceAccountName })
				if pod.AutomountServiceAccountToken == nil || !*pod.AutomountServiceAccountToken || len(accounts) != 2 ||
					pod.ServiceAccountName != d.Name || i < 0 || accounts[i].AutomountServiceAccountToken == nil ||
					*accounts[i].AutomountServiceAccountToken {
					t.Errorf("the token is mounted because the pod says so, not because its own account does: %v, %v",
						pod.AutomountServiceAccountToken, accounts)
				}
				var mounted []string // keys of the certificate's Secret in the pod's file system
				for _, v := range pod.Volumes {
					for _, item := range v.Secret.Items {
						mounted = append(mounted, item.Key)
					}
				}
				var want []string
				if overlay == "cert-manager" && d.Name == "xcpauth-webhook" {
					want = []string{"tls.crt", "tls.key", "ca.crt"} // and no key of a CA
				}
				if !slices.Equal(mounted, want) || len(pod.Volumes) != len(c.VolumeMounts) {
					t.Errorf("mounted: %q, want %q", mounted, want)
				}
			})
		}
	}
}

func TestTheNetworkPolicyNamesEachPortOfThePod(t *testing.T) {
	for _, overlay := range overlays {
		policies := objects[networkingv1.NetworkPolicy](t, reviewed(t, overlay), "NetworkPolicy")
		if len(policies) != 2 {
			t.Errorf("%s: want one policy for each Deployment: %+v", overlay, policies)
		}
		for _, d := range deployments(t, overlay) {
			t.Run(overlay+" "+d.Name, func(t *testing.T) {
				i := slices.IndexFunc(policies, func(p networkingv1.NetworkPolicy) bool {
					return maps.Equal(p.Spec.PodSelector.MatchLabels, d.Spec.Selector.MatchLabels)
				})
				if i < 0 {
					t.Fatalf("no policy for the pods of %s: %+v", d.Name, policies)
				}
				var open, served []int32
				for _, rule := range policies[i].Spec.Ingress {
					for _, p := range rule.Ports {
						open = append(open, p.Port.IntVal)
					}
				}
				for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
					served = append(served, p.ContainerPort)
				}
				slices.Sort(open)
				slices.Sort(served)
				if !slices.Equal(open, served) {
					t.Errorf("open are %v, served %v", open, served)
				}
				var out []string
				for _, rule := range policies[i].Spec.Egress {
					for _, p := range rule.Ports {
						protocol := corev1.ProtocolTCP
						if p.Protocol != nil {
							protocol = *p.Protocol
						}
						out = append(out, fmt.Sprintf("%s %d", protocol, p.Port.IntVal))
					}
				}
				want := []string{"UDP 53", "TCP 53", "UDP 5353", "TCP 5353", "TCP 443", "TCP 6443", "TCP 8080"}
				if !slices.Equal(out, want) {
					t.Errorf("egress to %q, want %q", out, want)
				}
			})
		}
	}
}

// TestTheCertManagerLeafIsOfACAThatOutlivesItAndKeepsItsKey: cert-manager publishes one CA, so the overlap is that
// the root's key stays.
func TestTheCertManagerLeafIsOfACAThatOutlivesItAndKeepsItsKey(t *testing.T) {
	type issuer struct {
		Metadata struct{ Name string }
		Spec     struct {
			SelfSigned *struct{}
			CA         *struct{ SecretName string }
		}
	}
	type certificate struct {
		Metadata struct{ Name string }
		Spec     struct {
			SecretName            string
			IsCA                  bool
			Duration, RenewBefore metav1.Duration
			IssuerRef             struct{ Name string }
			PrivateKey            struct{ RotationPolicy string }
		}
	}
	issuers, certs := map[string]issuer{}, map[string]certificate{}
	for _, doc := range strings.Split(string(reviewed(t, "cert-manager")), "\n---\n") {
		var head struct{ Kind string }
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatal(err)
		}
		switch head.Kind {
		case "Issuer":
			var i issuer
			if err := yaml.Unmarshal([]byte(doc), &i); err != nil {
				t.Fatal(err)
			}
			issuers[i.Metadata.Name] = i
		case "Certificate":
			var c certificate
			if err := yaml.Unmarshal([]byte(doc), &c); err != nil {
				t.Fatal(err)
			}
			certs[c.Metadata.Name] = c
		}
	}
	leaf, root := certs["xcpauth-webhook"], certs["xcpauth-webhook-root"]
	if by := issuers[leaf.Spec.IssuerRef.Name].Spec.CA; by == nil || by.SecretName != root.Spec.SecretName ||
		!root.Spec.IsCA {
		t.Errorf("the leaf is not issued by the root: %+v", issuers)
	}
	if issuers[root.Spec.IssuerRef.Name].Spec.SelfSigned == nil {
		t.Errorf("the root is not self-signed: %+v", issuers)
	}
	if root.Spec.PrivateKey.RotationPolicy != "Never" || root.Spec.RenewBefore.Duration <= leaf.Spec.Duration.Duration {
		t.Errorf("a leaf may outlive what vouches for it: %+v", root.Spec)
	}
	if leaf.Spec.RenewBefore.Duration*3 != leaf.Spec.Duration.Duration || leaf.Spec.SecretName != "xcpauth-webhook-cert" {
		t.Errorf("the leaf: %+v", leaf.Spec)
	}
}
