package xcpsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// tokenOperator is the part of tsb-operator-control-plane that exchanges cluster-service-account for tokens and
// renews them.
type tokenOperator struct {
	edgeSite
	sim *Sim
	log *changes
}

// tokenCheck is how often tokens are looked at, besides when something changes.
const tokenCheck = 500 * time.Millisecond

func newTokenOperator(s *Sim, e edgeSite) *tokenOperator {
	return &tokenOperator{edgeSite: e, sim: s, log: &changes{log: s.log, who: edgeManager + "/" + e.name + "/tokens"}}
}

func (o *tokenOperator) run(ctx context.Context) {
	wake := []<-chan struct{}{o.c.secrets.notify(), o.c.plane(controlPlanes).notify()}
	for ctx.Err() == nil {
		err := o.reconcile(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			err = fmt.Errorf("token rotation failed, retrying in %s: %w", tokenCheck, err)
		}
		o.log.say(err)
		waitAny(ctx, wake, tokenCheck)
	}
}

// managed is one token secret of the operator.
type managed struct{ secret, key, subject string }

func edgeToken(cluster string) managed {
	return managed{edgeTokenSecret, "jwt", edgeSubject(cluster)}
}

// siblingTokens are those of the same service account for other agents of the cluster.
func siblingTokens(cluster string) []managed {
	return []managed{{"oap-token", "token", "oap-agent-" + cluster}, {"otel-token", "token", "otel-collector-" + cluster}}
}

// reconcile mints what is missing, unreadable or due:
//  1. without a service account there is nothing to do;
//  2. the service account must belong to this cluster;
//  3. every token older than Cadence.TokenRenew is replaced; under MintOnlyAfterFlip the edge's own waits for mode JWT.
func (o *tokenOperator) reconcile(ctx context.Context) error {
	cp := o.c.only(controlPlanes, o.namespace)
	if cp == nil {
		return nil
	}
	ns := cp.GetNamespace()
	account, ok := o.c.secret(ns, serviceAccountSecret)
	if !ok {
		return nil
	}
	cluster, _, _ := unstructured.NestedString(cp.Object, "spec", "managementPlane", "clusterName")
	if err := checkServiceAccount(account, cluster); err != nil {
		return err
	}
	tokens := siblingTokens(cluster)
	mode, err := edgeMode(cp, o.sim.opts.Switches.edge())
	if !o.sim.opts.Switches.MintOnlyAfterFlip || (err == nil && mode == modeJWT) {
		tokens = append(tokens, edgeToken(cluster))
	}
	for _, t := range tokens {
		if err := o.renew(ctx, ns, t, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (o *tokenOperator) renew(ctx context.Context, ns string, t managed, now time.Time) error {
	data, there := o.c.secret(ns, t.secret)
	issued, expires, ok := tokenAge(string(bytes.TrimSpace(data[t.key])))
	if there && ok && now.Before(expires) && now.Sub(issued) < o.sim.opts.Cadence.TokenRenew {
		return nil
	}
	if o.sim.edge(o.name).NoTokens {
		return errors.New("generate tokens: rpc error: code = Unavailable desc = connection refused")
	}
	i := o.sim.issuerOf("")
	if i == nil {
		return errors.New("generate tokens: rpc error: code = Unavailable desc = no signing key")
	}
	token, err := i.mint(t.subject, now, o.sim.opts.Cadence.TokenTTL)
	if err != nil {
		return fmt.Errorf("generate tokens: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeDeadline)
	defer cancel()
	return putSecret(ctx, o.c, ns, t.secret, corev1.SecretTypeOpaque, map[string][]byte{t.key: []byte(token)})
}

// putSecret creates a secret or replaces its data.
func putSecret(ctx context.Context, c *cluster, ns, name string, kind corev1.SecretType, data map[string][]byte) error {
	secrets := c.kube.CoreV1().Secrets(ns)
	s, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Type: kind,
			Data: data}, metav1.CreateOptions{})
	} else if err == nil {
		s.Data = data
		_, err = secrets.Update(ctx, s, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write secret %s/%s: %w", ns, name, err)
	}
	return nil
}
