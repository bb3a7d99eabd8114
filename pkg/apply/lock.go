package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// lockRenew is how often a lock is renewed.
const lockRenew = 10 * time.Second

// lease is the part of a coordination.k8s.io/v1 Lease that we use.
type lease struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name            string         `json:"name"`
		Namespace       string         `json:"namespace"`
		ResourceVersion string         `json:"resourceVersion,omitempty"`
		ManagedFields   []managedField `json:"managedFields,omitempty"`
	} `json:"metadata"`
	Spec leaseSpec `json:"spec"`
}

type managedField struct {
	Time     string         `json:"time"`
	FieldsV1 map[string]any `json:"fieldsV1"`
}

type leaseSpec struct {
	HolderIdentity       string `json:"holderIdentity"`
	LeaseDurationSeconds int    `json:"leaseDurationSeconds"`
	AcquireTime          string `json:"acquireTime,omitempty"`
	RenewTime            string `json:"renewTime,omitempty"`
}

const microTime = "2006-01-02T15:04:05.000000Z07:00"

// leaseLock is a lock that renews itself.
type leaseLock struct {
	live   *Live
	c      *kubeconfig.Cluster
	ref    plan.Ref
	holder string
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	held    lease
	renewed time.Time // by this machine's monotonic clock
	lost    error
}

// Lock implements Clusters:
//
//  1. create the Lease where it is not there, and its namespace where that is missing too;
//  2. a Lease that nobody holds, that this process holds, or whose holder is a dead process of this machine, is taken;
//  3. so is one that was not renewed for LockFor, told by its API server's clock alone: by when it was last written,
//     and the Date of the answer;
//  4. any other is another run's.
func (l *Live) Lock(ctx context.Context, home, by string) (engine.Lock, error) {
	c, err := l.Fleet.Cluster(home)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	holder := processOf(by)
	namespace, err := l.StateNamespace(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("taking the lock in %s: %w", home, err)
	}
	k := &leaseLock{live: l, c: c, ref: LockRef(namespace), holder: holder, done: make(chan struct{})}
	for range conflictRetries {
		held, serverNow, err := k.read(ctx)
		if apierrors.IsNotFound(err) {
			held, serverNow, err = lease{}, time.Time{}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the lock (%s in %s): %s", k.ref, home, observe.Explain(err))
		}
		if by := held.Spec.HolderIdentity; by != "" && (by != holder || !strings.Contains(by, "]/")) && !gone(by, holder) &&
			serverNow.Sub(held.written()) < engine.LockFor {
			return nil, &engine.LockedError{Home: home, Holder: by, Since: held.Spec.AcquireTime}
		}
		err = k.take(ctx, held)
		// its namespace: to make one takes a right that few need
		if apierrors.IsNotFound(err) && held.Metadata.ResourceVersion == "" {
			if _, err := l.Write(ctx, plan.Write{Context: home, Op: plan.OpCreate, Object: roster.NamespaceRef(namespace),
				After: roster.NamespaceObject(namespace)}, nil); err != nil {
				return nil, fmt.Errorf("creating the namespace for the lock: %w", err)
			}
			err = k.take(ctx, held)
		}
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			continue // somebody else was faster: look again
		}
		if err != nil {
			if ctx.Err() != nil {
				k.release() // its answer alone may be lost, and who comes next need not wait for nobody
			}
			return nil, fmt.Errorf("taking the lock (%s in %s): %s", k.ref, home, observe.Explain(err))
		}
		renewing, stop := context.WithCancel(context.Background())
		k.stop = stop
		go k.renew(renewing)
		return k, nil
	}
	return nil, fmt.Errorf("taking the lock (%s in %s): somebody else keeps changing it; run the command again", k.ref,
		home)
}

// LockRef is the Lease that is the lock, in a namespace.
func LockRef(namespace string) plan.Ref {
	return plan.Ref{Group: "coordination.k8s.io", Version: "v1", Resource: "leases", Kind: "Lease",
		Namespace: namespace, Name: api.LockName}
}

// read gets the Lease and the API server's time. It goes past the REST client, which does not show headers.
func (k *leaseLock) read(ctx context.Context) (lease, time.Time, error) {
	var l lease
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.c.REST.Get().AbsPath(ObjectPath(k.ref)).URL().String(),
		nil)
	if err != nil {
		return l, time.Time{}, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.c.HTTP.Do(req)
	if err != nil {
		return l, time.Time{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return l, time.Time{}, k.c.REST.Get().AbsPath(ObjectPath(k.ref)).Do(ctx).Error() // in the API server's own words
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = k.live.Now()
	}
	return l, now, json.NewDecoder(resp.Body).Decode(&l)
}

// written is when the Lease was last written, in its API server's clock; in its holder's where managedFields were
// stripped.
func (l lease) written() time.Time {
	var last time.Time
	for _, f := range l.Metadata.ManagedFields {
		if t, err := time.Parse(time.RFC3339, f.Time); err == nil && t.After(last) {
			last = t
		}
	}
	if last.IsZero() {
		last, _ = time.Parse(microTime, l.Spec.RenewTime) // zero when that is none either
	}
	return last
}

// renew keeps the lock until it is let go or somebody else has taken it.
func (k *leaseLock) renew(ctx context.Context) {
	defer close(k.done)
	t := time.NewTicker(lockRenew)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		k.mu.Lock()
		from := k.held
		k.mu.Unlock()
		try, cancel := context.WithTimeout(ctx, lockRenew)
		err := k.take(try, from)
		if apierrors.IsConflict(err) { // with itself, where an answer was lost
			if now, _, unread := k.read(try); unread == nil && now.Spec.HolderIdentity == k.holder &&
				now.Spec.AcquireTime == from.Spec.AcquireTime {
				err = k.take(try, now)
			}
		}
		cancel()
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			k.mu.Lock()
			k.lost = fmt.Errorf("the lock (%s in %s) was taken by somebody else; nothing more is written; look at kubectl xcpauth status and run the command again", k.ref, k.c.Context)
			k.mu.Unlock()
			return
		}
	}
}

// take writes the Lease as this run's, on top of what was read.
func (k *leaseLock) take(ctx context.Context, from lease) error {
	began := time.Now()
	now := k.live.Now().UTC().Format(microTime)
	next := lease{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}
	next.Metadata.Name, next.Metadata.Namespace, next.Metadata.ResourceVersion = k.ref.Name, k.ref.Namespace,
		from.Metadata.ResourceVersion
	next.Spec = leaseSpec{HolderIdentity: k.holder, LeaseDurationSeconds: int(engine.LockFor / time.Second),
		AcquireTime: from.Spec.AcquireTime, RenewTime: now}
	if from.Spec.HolderIdentity != k.holder {
		next.Spec.AcquireTime = now
	}
	stored, err := k.put(ctx, next)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held, k.renewed, k.lost = stored, began, nil
	return nil
}

// Unlock implements Lock. What cannot be let go runs out by itself.
func (k *leaseLock) Unlock() {
	k.stop()
	<-k.done
	if k.Held() == nil {
		k.release()
	}
}

// release lets the Lease go, if it is this run's.
func (k *leaseLock) release() {
	ctx, cancel := context.WithTimeout(context.Background(), lockRenew/2)
	defer cancel()
	held, _, err := k.read(ctx)
	if err != nil || held.Spec.HolderIdentity != k.holder {
		return
	}
	held.Spec.HolderIdentity, held.Spec.AcquireTime = "", ""
	held.Metadata.ManagedFields = nil
	held.APIVersion, held.Kind = "coordination.k8s.io/v1", "Lease"
	_, _ = k.put(ctx, held)
}

func (k *leaseLock) put(ctx context.Context, l lease) (lease, error) {
	var stored lease
	doc, err := json.Marshal(l)
	if err != nil {
		return stored, fmt.Errorf("encoding the lock: %w", err)
	}
	req := k.c.REST.Put().AbsPath(ObjectPath(k.ref))
	if l.Metadata.ResourceVersion == "" {
		req = k.c.REST.Post().AbsPath(observe.Path(plan.Read{Group: k.ref.Group, Version: k.ref.Version,
			Resource: k.ref.Resource, Namespace: k.ref.Namespace}))
	}
	b, err := Send(ctx, req.Param("fieldManager", FieldManager).SetHeader("Content-Type", "application/json").Body(doc),
		k.ref, "")
	if err != nil {
		return stored, err
	}
	if err := json.Unmarshal(b, &stored); err != nil ||
		stored.Spec.HolderIdentity != l.Spec.HolderIdentity || stored.Metadata.ResourceVersion == "" {
		return stored, &observe.AnswerError{Why: fmt.Sprintf(
			"the API server's answer is not the lock (%s) that was written; %s", k.ref, inFront)}
	}
	return stored, nil
}

// Held implements Lock. A lock that could not be renewed in time is not held: somebody else may have taken it.
func (k *leaseLock) Held() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost == nil && since(k.renewed) >= engine.LockFor {
		return fmt.Errorf("the lock (%s in %s) could not be renewed for %s; nothing more is written; run the command again",
			k.ref, k.c.Context, engine.LockFor)
	}
	return k.lost
}

// processOf names this process as the holder of a lock: user@host[machine]/pid, where the machine, when it is known,
// is told from every other of the same name.
func processOf(source string) string {
	id, err := machine()
	if err != nil {
		return fmt.Sprintf("%s/%d", source, os.Getpid())
	}
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s[%s]/%d", source, hex.EncodeToString(sum[:4]), os.Getpid())
}

// gone says whether a holder, see processOf, is a process of the asker's machine that does not run any more. A host's
// name alone does not tell: containers and laptops share names, and the processes of one are not seen from the other.
func gone(holder, asker string) bool {
	split := func(id string) (host, pid string) {
		at := id[strings.LastIndexByte(id, '@')+1:] // users' names may hold one too
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			return at, ""
		}
		return at[:i], at[i+1:]
	}
	host, pid := split(holder)
	mine, _ := split(asker)
	n, err := strconv.Atoi(pid)
	return err == nil && n > 0 && host == mine && strings.HasSuffix(host, "]") && !alive(n)
}

// since is how long ago a moment was by the clock that goes on while the machine sleeps, or by the one that nobody
// sets: whichever says more.
func since(at time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}
