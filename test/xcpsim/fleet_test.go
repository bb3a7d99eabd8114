package xcpsim_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// The tests share one bed, one after the other, and each leaves the clusters empty.
var (
	bedOnce sync.Once
	bed     *testbed.Bed
	bedErr  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if bed != nil {
		bed.Stop()
	}
	os.Exit(code)
}

const deadline = 90 * time.Second

// fleet is a hub and one edge with a running simulation.
type fleet struct {
	*xcpsim.Sim
	t    *testing.T
	opts xcpsim.Options
}

func options(t *testing.T, change func(*xcpsim.Options)) xcpsim.Options {
	t.Helper()
	bedOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		bed, bedErr = testbed.Start(ctx, testbed.Options{Clusters: []string{"hub", "edge-1"}, Log: os.Stderr})
	})
	if bedErr != nil {
		t.Fatalf("starting the clusters: %v", bedErr)
	}
	site := func(name string) xcpsim.Site {
		c := bed.Cluster(name)
		return xcpsim.Site{Name: name, Config: c.Config, KubeletIP: c.KubeletIP}
	}
	o := xcpsim.Options{
		Hub: site("hub"), Edges: []xcpsim.Site{site("edge-1")}, Log: t.Output(),
		Cadence: xcpsim.Cadence{Push: 200 * time.Millisecond},
	}
	if change != nil {
		change(&o)
	}
	return o
}

// start installs and starts a fleet and waits until it is connected by mutual TLS.
func start(t *testing.T, change func(*xcpsim.Options)) *fleet {
	t.Helper()
	o := options(t, change)
	if o.Installation.CertManager {
		if err := bed.Cluster("hub").StartCertManager(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer t.Cleanup(bed.Cluster("hub").StopCertManager) // before the clusters are emptied
	}
	if err := xcpsim.Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	sim, err := xcpsim.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{Sim: sim, t: t, opts: o}
	t.Cleanup(func() {
		sim.Stop()
		if n := len(sim.Sessions()); n != 0 {
			t.Errorf("%d sessions after Stop", n)
		}
		for _, d := range sim.Dials() {
			t.Log(d)
		}
		f.empty()
	})
	var all []string
	for _, e := range o.Edges {
		all = append(all, e.Name+"=mtls")
	}
	slices.Sort(all)
	if o.Standby.Name != "" {
		all = append(all, "mpc=mtls")
	}
	f.await("all edges and MPC on mutual TLS", func() error { return f.presents(strings.Join(all, " ") + " mpc=mtls") })
	return f
}

// await polls until check returns nil.
func (f *fleet) await(what string, check func() error) {
	f.t.Helper()
	if err := poll(check); err != nil {
		f.t.Fatalf("%s: not within %s: %v\nsessions: %+v", what, deadline, err, f.Sessions())
	}
}

func poll(check func() error) error {
	until := time.Now().Add(deadline)
	for {
		err := check()
		if err == nil || time.Now().After(until) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// presents compares the live sessions, as "member=credential" in order of their names.
func (f *fleet) presents(want string) error {
	var got []string
	for _, s := range f.Sessions() {
		got = append(got, s.Member+"="+string(s.Credential))
	}
	slices.Sort(got)
	if g := strings.Join(got, " "); g != want {
		return fmt.Errorf("sessions are %q, want %q", g, want)
	}
	return nil
}

func (f *fleet) session(member string) xcpsim.Session {
	f.t.Helper()
	var out xcpsim.Session
	f.await("a session of "+member, func() error {
		for _, s := range f.Sessions() {
			if s.Member == member {
				out = s
				return nil
			}
		}
		return fmt.Errorf("none")
	})
	return out
}

func (f *fleet) config(cluster string) *rest.Config {
	return bed.Cluster(cluster).Config
}

func (f *fleet) kube(cluster string) kubernetes.Interface {
	f.t.Helper()
	c, err := kubernetes.NewForConfig(f.config(cluster))
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

var (
	managementPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "managementplanes"}
	controlPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "controlplanes"}
	edgeXcps = schema.GroupVersionResource{Group: "install.xcp.tetrate.io", Version: "v1alpha1",
		Resource: "edgexcps"}
	centralXcps = schema.GroupVersionResource{Group: "install.xcp.tetrate.io", Version: "v1alpha1",
		Resource: "centralxcps"}
	xcpClusters  = schema.GroupVersionResource{Group: "xcp.tetrate.io", Version: "v2", Resource: "clusters"}
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	issuers      = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "issuers"}
	requests     = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1",
		Resource: "certificaterequests"}
)

func (f *fleet) dynamic(cluster string) dynamic.Interface {
	f.t.Helper()
	c, err := dynamic.NewForConfig(f.config(cluster))
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *fleet) patch(cluster string, gvr schema.GroupVersionResource, namespace, name, patch string) {
	f.t.Helper()
	_, err := f.dynamic(cluster).Resource(gvr).Namespace(namespace).Patch(f.t.Context(), name, types.MergePatchType,
		[]byte(patch), metav1.PatchOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) hubModes(modes string) {
	f.t.Helper()
	f.patch("hub", managementPlanes, "tsb", "managementplane",
		`{"spec":{"components":{"xcp":{"centralAuthModes":`+modes+`}}}}`)
}

func (f *fleet) edgeMode(mode string) {
	f.t.Helper()
	f.patch("edge-1", controlPlanes, "istio-system", "controlplane",
		`{"spec":{"components":{"xcp":{"centralAuthMode":"`+mode+`"}}}}`)
}

// bundle gives the edge the CA of Central's certificate.
func (f *fleet) bundle() {
	f.t.Helper()
	s, err := f.kube("hub").CoreV1().Secrets("tsb").Get(f.t.Context(), "xcp-central-cert", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = f.kube("edge-1").CoreV1().Secrets("istio-system").Create(f.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "xcp-central-ca-bundle"}, Data: map[string][]byte{"ca.crt": s.Data["ca.crt"]},
	}, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
}

// bothModes turns JWT on beside mutual TLS and waits until Central and MPC have followed.
func (f *fleet) bothModes() {
	f.t.Helper()
	mtlsOnly := f.session("edge-1").Central
	mpc := "mpc=jwt"
	if f.opts.Switches.MPCPrefersMTLS {
		mpc = "mpc=mtls"
	}
	f.hubModes(`{"jwt":true,"mutualTls":true}`)
	f.await("another Central, the edge still on mutual TLS", func() error {
		for _, s := range f.Sessions() {
			if s.Central == mtlsOnly {
				return fmt.Errorf("%s is still at %s", s.Member, s.Central)
			}
		}
		return f.presents("edge-1=mtls " + mpc)
	})
}

func (f *fleet) noRefusals() {
	f.t.Helper()
	for _, d := range f.Refusals() {
		f.t.Errorf("refused: %s", d)
	}
}

func (f *fleet) refusedWith(member string, reason xcpsim.Reason) error {
	return f.refusedSince(member, reason, time.Time{})
}

func (f *fleet) refusedSince(member string, reason xcpsim.Reason, since time.Time) error {
	for _, d := range f.Refusals() {
		if d.Member == member && d.Reason == reason && d.Time.After(since) {
			return nil
		}
	}
	return fmt.Errorf("%s has not been refused with %s", member, reason)
}

// empty removes what a fleet left, once nothing plays it any more.
func (f *fleet) empty() {
	ctx := context.Background()
	zero := int64(0)
	now := metav1.DeleteOptions{GracePeriodSeconds: &zero}
	all := metav1.ListOptions{}
	for _, at := range [][2]string{
		{"hub", "tsb"}, {"hub", "tse"}, {"hub", "istio-system"},
		{"edge-1", "tsb"}, {"edge-1", "istio-system"}, {"edge-1", "istio-system-2"}, {"edge-1", "tis-plus-system"},
	} {
		cluster, ns := at[0], at[1]
		k, d := f.kube(cluster), f.dynamic(cluster)
		for _, gvr := range []schema.GroupVersionResource{managementPlanes, controlPlanes, edgeXcps, centralXcps, xcpClusters,
			certificates, issuers, requests} {
			_ = d.Resource(gvr).Namespace(ns).DeleteCollection(ctx, now, all)
		}
		if err := poll(func() error {
			_ = k.AppsV1().Deployments(ns).DeleteCollection(ctx, now, all)
			_ = k.AppsV1().ReplicaSets(ns).DeleteCollection(ctx, now, all)
			_ = k.CoreV1().Pods(ns).DeleteCollection(ctx, now, all)
			_ = k.CoreV1().Secrets(ns).DeleteCollection(ctx, now, all)
			_ = k.CoreV1().Events(ns).DeleteCollection(ctx, now, all)
			rs, err := k.AppsV1().ReplicaSets(ns).List(ctx, all)
			if err != nil {
				return err
			}
			pods, err := k.CoreV1().Pods(ns).List(ctx, all)
			if err != nil {
				return err
			}
			secrets, err := k.CoreV1().Secrets(ns).List(ctx, all)
			if err != nil {
				return err
			}
			if n := len(rs.Items) + len(pods.Items) + len(secrets.Items); n > 0 {
				return fmt.Errorf("%d replica sets, pods and secrets left", n)
			}
			return nil
		}); err != nil {
			f.t.Errorf("emptying %s: %v", cluster, err)
		}
	}
}
