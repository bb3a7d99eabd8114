package globalapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/patch"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Get reads one object of the API.
func (c Client) Get(ctx context.Context, cluster *kubeconfig.Cluster, at plan.HubAPI, name string) ([]byte, error) {
	a, err := c.ofPods(ctx, cluster, at, func(k *connection) (answer, error) {
		body, err := k.get(ctx, name)
		return answer{body: body}, err
	})
	return a.body, err
}

// Write carries out one write of an object of the API, whose version is compared by what it holds: the API has no
// resourceVersion, and takes whatever comes last. In these steps, at one pod:
//
//  1. read the object; one to be made that is there stays as it is; one that is not as it was seen is an error;
//  2. ask still, then write, once; a conflict, which the API tells where two writes meet in it, begins again with 1;
//  3. read it again, at any pod, until it is as written: another writer between 1 and 2 is not seen by the API, and one
//     after 2 is seen here.
//
// What is left is a writer between 1 and 2 whose value is written over; the lock keeps our own runs from it. With
// dryRun it ends after 1, since the API has no dry run. fill adds what only the executor has; it may be nil. It returns
// whether anything was written.
func (c Client) Write(ctx context.Context, cluster *kubeconfig.Cluster, w plan.Write, fill func(map[string]any) error,
	still func() error, dryRun bool) (wrote bool, err error) {
	one := writing{Write: w, fill: fill, still: still, dryRun: dryRun}
	one.again = func(ctx context.Context, name string) ([]byte, error) { return c.Get(ctx, cluster, *w.Via, name) }
	_, err = c.ofPods(ctx, cluster, *w.Via, func(k *connection) (answer, error) {
		one.k = k
		var err error
		wrote, err = one.run(ctx)
		return answer{}, err
	})
	return wrote, err
}

// writing is one write at one pod.
type writing struct {
	plan.Write
	k      *connection
	again  func(ctx context.Context, name string) ([]byte, error) // reads what was written; nil reads it at k
	fill   func(map[string]any) error
	still  func() error
	dryRun bool
}

// conflictRetries is how often a write is tried again after another met it in the API.
const conflictRetries = 5

func (w writing) path() string { return path.Join(w.Object.Resource, w.Object.Name) }

func (w writing) run(ctx context.Context) (bool, error) {
	for range conflictRetries {
		live, err := w.live(ctx, w.k.get)
		if err != nil {
			return false, err
		}
		if done, err := w.compare(live); done || err != nil || w.dryRun {
			return false, err
		}
		if w.still != nil {
			if err := w.still(); err != nil {
				return false, err
			}
		}
		method, body, want := http.MethodDelete, []byte(nil), map[string]any(nil)
		if w.Op != plan.OpDelete {
			method = http.MethodPut
			if want, err = w.object(live); err != nil {
				return false, err
			}
			if body, err = json.Marshal(want); err != nil {
				return false, fmt.Errorf("encoding %s: %w", w.Object, err)
			}
		}
		a, err := w.k.send(ctx, method, w.path(), body)
		switch {
		case err != nil:
			return false, err
		case a.status == http.StatusConflict:
			continue
		case a.status == http.StatusNotFound && w.Op == plan.OpDelete:
			return false, nil
		case a.status != http.StatusOK && a.status != http.StatusCreated:
			return false, refused(a)
		}
		return true, w.seen(ctx, want)
	}
	return false, fmt.Errorf("changing %s in %s: somebody else keeps changing it; run the command again",
		w.Object, w.Context)
}

// live is the object as it is now, nil when it is not there.
func (w writing) live(ctx context.Context, get func(context.Context, string) ([]byte, error)) (map[string]any, error) {
	body, err := get(ctx, w.path())
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var o map[string]any
	if json.Unmarshal(body, &o) != nil || o["name"] != w.Object.Name {
		return nil, &Error{Text: fmt.Sprintf("its answer to %s is not that object", w.path())}
	}
	return o, nil
}

// compare says whether there is nothing to do, or that the object is not as it was seen.
func (w writing) compare(live map[string]any) (done bool, err error) {
	changed := func(by string) error {
		return &engine.ChangedError{Object: w.Object, Context: w.Context, By: by}
	}
	switch {
	case w.Op == plan.OpCreate:
		return live != nil, nil
	case live == nil && w.Op == plan.OpDelete:
		return true, nil
	case live == nil:
		return false, changed("being deleted")
	case w.Object.UID != "" && live["creationTime"] != w.Object.UID:
		return false, changed("being re-created")
	case w.Op == plan.OpDelete && w.Object.ResourceVersion != "" && digest(live) != w.Object.ResourceVersion:
		return false, changed("being given another value")
	case w.Op == plan.OpDelete:
		return false, nil
	case patch.Matches(live, w.After, false), w.SatisfiedBy != nil && patch.Matches(live, w.SatisfiedBy, false):
		return true, nil
	case !w.dryRun && !patch.Matches(live, w.Before, false):
		return false, changed("")
	}
	return false, nil
}

// digest is of the value that an object holds.
func digest(live map[string]any) string {
	text, _ := live["data"].(string)
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

// object is what is sent: what is there, with our paths as they are to be.
func (w writing) object(live map[string]any) (map[string]any, error) {
	o := map[string]any{}
	maps.Copy(o, live)
	for _, theirs := range []string{"creationTime", "modificationTime", "kri"} {
		delete(o, theirs)
	}
	maps.Copy(o, w.After)
	if w.fill != nil {
		if err := w.fill(o); err != nil {
			return nil, fmt.Errorf("nothing was written to %s in %s: %w", w.Object, w.Context, err)
		}
	}
	return o, nil
}

// seenTries is how often a write is looked for: the API may read from a replica of its store, which lags behind, and
// the pod that took it may be gone.
const seenTries = 5

// seen waits until the object is as it was written; want is nil for one that was deleted.
func (w writing) seen(ctx context.Context, want map[string]any) error {
	get := w.again
	if get == nil {
		get = w.k.get
	}
	var unread error
	for try := range seenTries {
		live, err := w.live(ctx, get)
		switch unread = err; {
		case err != nil:
		case want == nil && live == nil, want != nil && live != nil && reflect.DeepEqual(live["data"], want["data"]):
			return nil
		}
		if err := pause(ctx, w.k.again*time.Duration(try+1)); err != nil {
			return err
		}
	}
	if unread != nil {
		return &unseen{w.Object.String(), w.Context, unread}
	}
	return &engine.ChangedError{Object: w.Object, Context: w.Context, By: "somebody else right after it was written"}
}
