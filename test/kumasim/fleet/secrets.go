package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

const (
	ownNamespace = "kong-mesh-system" // in kumasim, whatever it is called in the cluster
	globalSecret = "system.kuma.io/global-secret"
	keyPrefix    = "zone-token-signing-key"
)

// secrets is a kumasim.Source: the secrets of the global's cluster as last seen, through an outage of its API server
// too.
type secrets struct {
	c         *cluster
	namespace string
	filled    chan struct{} // closed at the first look
	first     sync.Once     // closes it

	looking sync.Mutex // held for a look: none that began earlier ends later

	mu  sync.Mutex
	all []kumasim.Secret
}

func newSecrets(c *cluster, namespace string) *secrets {
	return &secrets{c: c, namespace: namespace, filled: make(chan struct{})}
}

// run looks until ctx ends.
func (s *secrets) run(ctx context.Context) {
	follow(ctx, s.look, s.c.kube.CoreV1().Secrets("").Watch)
}

// look reads all secrets once. It returns their version.
func (s *secrets) look(ctx context.Context) (string, error) {
	s.looking.Lock()
	defer s.looking.Unlock()
	list, err := s.c.kube.CoreV1().Secrets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	var all []kumasim.Secret
	for _, o := range list.Items {
		namespace := o.Namespace
		switch {
		case namespace == s.namespace:
			namespace = ownNamespace
		case namespace == ownNamespace:
			namespace += " of another"
		}
		all = append(all, kumasim.Secret{Namespace: namespace, Name: o.Name, Type: string(o.Type),
			Labels: o.Labels, Data: o.Data})
	}
	s.mu.Lock()
	s.all = all
	s.mu.Unlock()
	s.first.Do(func() { close(s.filled) })
	return list.ResourceVersion, nil
}

// Secrets implements kumasim.Source.
func (s *secrets) Secrets() ([]kumasim.Secret, error) {
	select {
	case <-s.filled:
	default:
		return nil, errors.New("the API server was not read yet")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]kumasim.Secret(nil), s.all...), nil
}

// makeFirst makes the first signing key and the administrator's token where there is none, and returns once both were
// seen: a global that is ready accepts what it has made.
func (s *secrets) makeFirst(ctx context.Context) error {
	if err := errors.Join(s.makeKey(ctx), s.makeAdmin(ctx)); err != nil {
		return err
	}
	_, err := s.look(ctx)
	return err
}

// makeKey makes the first signing key if there is none, as a global does at its start and never later.
func (s *secrets) makeKey(ctx context.Context) error {
	client := s.c.kube.CoreV1().Secrets(s.namespace)
	list, err := client.List(ctx, metav1.ListOptions{FieldSelector: "type=" + globalSecret})
	if err != nil {
		return fmt.Errorf("look for signing keys: %w", err)
	}
	for _, o := range list.Items {
		if strings.HasPrefix(o.Name, keyPrefix) {
			return nil
		}
	}
	key, err := kumasim.NewKey()
	if err != nil {
		return err
	}
	_, err = client.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: keyPrefix + "-1"}, Type: globalSecret,
		Data: map[string][]byte{"value": key}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the signing key: %w", err)
	}
	return nil
}

// makeElsewhere makes the first signing key and the administrator's token in a store that is not the cluster's.
func makeElsewhere(s *kumasim.Store) error {
	return errors.Join(s.MakeFirst(keyPrefix, func() (kumasim.Secret, error) {
		key, err := kumasim.NewKey()
		return kumasim.GlobalSecret(keyPrefix+"-1", key), err
	}), s.MakeFirst(adminToken, func() (kumasim.Secret, error) {
		return kumasim.GlobalSecret(adminToken, []byte(newAdminToken())), nil
	}))
}
