package xcpsim

import (
	"context"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const hubManager = "tsb-operator-management-plane"

const (
	operatorResync = 5 * time.Second
	operatorRetry  = 250 * time.Millisecond
)

// hubOperator is tsb-operator-management-plane with the XCP operator below it.
type hubOperator struct {
	sim     *Sim
	c       *cluster
	planes  *mirror[*unstructured.Unstructured]
	wakeups []<-chan struct{}
	log     *changes
	rewrite rewriter
}

func newHubOperator(s *Sim, c *cluster) *hubOperator {
	o := &hubOperator{sim: s, c: c, planes: c.plane(managementPlanes), log: &changes{log: s.log, who: hubManager + "/" +
		c.site.cluster()}}
	o.rewrite = rewriter{c: c, gvr: managementPlanes, defaults: hubDefaults}
	c.plane(xcpClusters)
	o.wakeups = []<-chan struct{}{o.planes.notify(), c.secrets.notify()}
	return o
}

func (o *hubOperator) run(ctx context.Context) { operate(ctx, o.wakeups, o.log, o.reconcile) }

// reconcile brings the hub to what its ManagementPlane says, after adding defaults to it under OperatorRewritesCR:
//  1. read the accepted modes strictly; what cannot be read changes nothing;
//  2. learn the signing key;
//  3. render CentralXcp;
//  4. roll Central and MPC one after the other, in the order in which MPC is never without a mode that Central accepts,
//     if there is one.
//
// again says that a rollout is under way and reconcile wants to be called soon.
func (o *hubOperator) reconcile(ctx context.Context) (again bool, err error) {
	mp := o.c.only(managementPlanes, o.sim.opts.Installation.ManagementPlaneNamespace)
	if mp == nil {
		return false, nil
	}
	if o.sim.opts.Switches.OperatorRewritesCR {
		if err := o.rewrite.follow(ctx, mp); err != nil {
			return false, err
		}
	}
	ns := mp.GetNamespace()
	if data, ok := o.c.secret(ns, signingKeySecret); ok {
		i, err := newIssuer(data["private.key"], string(data["kid"]))
		if err != nil {
			return false, fmt.Errorf("secret %s/%s: %w", ns, signingKeySecret, err)
		}
		o.sim.setIssuer(o.c.site.cluster(), i)
	}
	accepts, err := hubModes(mp, o.sim.opts.Switches.hub())
	if err != nil {
		return false, fmt.Errorf("ManagementPlane %s/%s: %w", ns, mp.GetName(), err)
	}
	if err := o.c.apply(ctx, centralXcps, hubManager, map[string]any{
		"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "CentralXcp",
		"metadata": map[string]any{"namespace": ns, "name": centralXcpName}, "spec": map[string]any{},
	}); err != nil {
		return false, err
	}
	central, mpc := o.central(ns, accepts), o.mpc(ns, o.mpcMode(ns, accepts))
	order := []deployment{mpc, central}
	if !o.serving(ns)[o.mpcMode(ns, accepts)] {
		order = []deployment{central, mpc}
	}
	for _, d := range order {
		if err := o.c.apply(ctx, deployments, hubManager, d.object()); err != nil {
			return false, err
		}
		if done, err := o.c.rolledOut(ctx, ns, d.name); err != nil || !done {
			return true, err
		}
	}
	return false, nil
}

func (o *hubOperator) central(ns string, accepts map[Credential]bool) deployment {
	return deployment{
		namespace: ns, name: centralDeployment, replicas: 1, ports: []int64{grpcPort, metricsPort},
		env:     [][2]string{{acceptsEnv, formatModes(accepts)}},
		volumes: []volume{{name: centralCertSecret, secret: centralCertSecret}},
	}
}

func (o *hubOperator) mpc(ns string, mode Credential) deployment {
	d := deployment{namespace: ns, name: mpcDeployment, replicas: 1, ports: []int64{grpcPort},
		env: [][2]string{{centralEnv, "central:9443"}, {modeEnv, modeJWT}}}
	if mode == MTLS {
		d.env[1][1] = modeMTLS
		d.volumes = []volume{{name: mpcCertSecret, secret: mpcCertSecret}}
	}
	return d
}

// mpcMode is what MPC will present, given what Central is to accept: JWT as soon as it may; under MPCPrefersMTLS,
// mutual TLS for as long as it may and its certificate is there.
func (o *hubOperator) mpcMode(ns string, accepts map[Credential]bool) Credential {
	_, hasCert := o.c.secret(ns, mpcCertSecret)
	stays := o.sim.opts.Switches.MPCPrefersMTLS && hasCert && accepts[MTLS]
	if accepts[JWT] && !stays {
		return JWT
	}
	return MTLS
}

// serving returns the modes that every Central pod there is accepts, one that is about to go or to come included;
// none if there is no pod.
func (o *hubOperator) serving(ns string) map[Credential]bool {
	var common map[Credential]bool
	for _, p := range o.c.pods.all() {
		if p.Namespace != ns || p.Spec.Containers[0].Name != centralDeployment {
			continue
		}
		for _, e := range p.Spec.Containers[0].Env {
			if e.Name != acceptsEnv {
				continue
			}
			accepts := parseModes(e.Value)
			if common == nil {
				common = accepts
			}
			maps.DeleteFunc(common, func(c Credential, _ bool) bool { return !accepts[c] })
		}
	}
	return common
}

// operate calls reconcile whenever something wakes it, soon again when it asks for that or fails, and now and then.
func operate(ctx context.Context, wakeups []<-chan struct{}, log *changes,
	reconcile func(context.Context) (bool, error)) {
	for ctx.Err() == nil {
		again, err := reconcile(ctx)
		if ctx.Err() != nil {
			return
		}
		log.say(err)
		next := operatorResync
		if again || err != nil {
			next = operatorRetry
		}
		waitAny(ctx, wakeups, next)
	}
}

// waitAny returns when one of at most three wake-ups fires, after d, or when ctx ends.
func waitAny(ctx context.Context, wakeups []<-chan struct{}, d time.Duration) {
	var w [3]<-chan struct{}
	copy(w[:], wakeups)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w[0]:
	case <-w[1]:
	case <-w[2]:
	case <-t.C:
	}
}

// changes logs an error when it is a new one, and its end.
type changes struct {
	log  *lineWriter
	who  string
	last string
}

func (c *changes) say(err error) {
	now := ""
	if err != nil {
		now = err.Error()
	}
	if now == c.last {
		return
	}
	c.last = now
	if now == "" {
		now = "well again"
	}
	c.log.printf(c.who, "%s", now)
}
