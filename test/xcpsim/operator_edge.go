package xcpsim

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const edgeManager = "tsb-operator-control-plane"

var serviceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}

// edgeServiceAccount is the documented name of the edge's ServiceAccount.
const edgeServiceAccount = "xcp-edge"

// edgeSite is one edge: a cluster, the name in TSB, the namespace.
type edgeSite struct {
	c               *cluster
	name, namespace string
}

// edgeOperator is tsb-operator-control-plane, as far as it renders EdgeXcp, with the XCP operator below it, which
// renders `edge`.
type edgeOperator struct {
	edgeSite
	sim     *Sim
	wakeups []<-chan struct{}
	log     *changes
	rewrite rewriter
}

func newEdgeOperator(s *Sim, e edgeSite) *edgeOperator {
	o := &edgeOperator{edgeSite: e, sim: s, log: &changes{log: s.log, who: edgeManager + "/" + e.name}}
	o.rewrite = rewriter{c: e.c, gvr: controlPlanes, defaults: edgeDefaults}
	o.wakeups = []<-chan struct{}{e.c.plane(controlPlanes).notify(), s.edgeWake[e.name]}
	return o
}

func (o *edgeOperator) run(ctx context.Context) { operate(ctx, o.wakeups, o.log, o.reconcile) }

// reconcile brings one edge to what its ControlPlane says, after adding defaults to it under OperatorRewritesCR:
//  1. read the mode and the overlays strictly; what cannot be read changes nothing;
//  2. render EdgeXcp;
//  3. render Deployment edge from that spec, with the volumes of its mode.
func (o *edgeOperator) reconcile(ctx context.Context) (again bool, err error) {
	cp := o.c.only(controlPlanes, o.namespace)
	if cp == nil {
		return false, nil
	}
	if o.sim.opts.Switches.OperatorRewritesCR {
		if err := o.rewrite.follow(ctx, cp); err != nil {
			return false, err
		}
	}
	ns := cp.GetNamespace()
	spec, err := edgeSpec(cp, o.sim.opts.Switches.edge())
	if err != nil {
		return false, fmt.Errorf("ControlPlane %s/%s: %w", ns, cp.GetName(), err)
	}
	d, err := o.edge(ns, spec)
	if err != nil {
		return false, fmt.Errorf("EdgeXcp %s/%s: %w", ns, edgeXcpName, err)
	}
	if err := o.c.apply(ctx, edgeXcps, edgeManager, map[string]any{
		"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp",
		"metadata": map[string]any{"namespace": ns, "name": edgeXcpName}, "spec": spec,
	}); err != nil {
		return false, err
	}
	if err := o.c.apply(ctx, serviceAccounts, edgeManager, map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"namespace": ns, "name": edgeServiceAccount},
	}); err != nil {
		return false, err
	}
	return false, o.c.apply(ctx, deployments, edgeManager, d.object())
}

// edge renders the Deployment of an EdgeXcp spec.
func (o *edgeOperator) edge(ns string, spec map[string]any) (deployment, error) {
	mode, err := modeValue(spec["centralAuthMode"])
	if err != nil {
		return deployment{}, err
	}
	text := func(path ...string) string {
		v, _, _ := unstructured.NestedString(spec, path...)
		return v
	}
	d := deployment{
		namespace: ns, name: edgeDeployment, replicas: 1, recreate: o.sim.opts.Switches.Recreate,
		serviceAccount: edgeServiceAccount,
		ports:          []int64{grpcPort, metricsPort},
		env: [][2]string{{modeEnv, mode}, {clusterEnv, text("xcpEdgeClusterName")},
			{centralEnv, text("xcpCentralHost")}},
	}
	if o.sim.edge(o.name).Asleep {
		d.replicas = 0
	}
	if mode != modeJWT {
		d.volumes = []volume{{name: edgeCertSecret, secret: edgeCertSecret}}
		return d, nil
	}
	or := func(v, otherwise string) string {
		if v == "" {
			return otherwise
		}
		return v
	}
	d.env = append(d.env, [2]string{sniEnv, text("centralAuthJwt", "centralSni")})
	d.volumes = []volume{
		{name: tokenVolume, secret: or(text("centralAuthJwt", "secret"), edgeTokenSecret)},
		{name: caVolume, secret: or(text("centralAuthJwt", "centralCaSecret"), caBundleSecret),
			optional: o.sim.opts.Switches.CAVolumeOptional},
	}
	return d, nil
}
