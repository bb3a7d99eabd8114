package xcpsim

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// mirror keeps the objects of one kind in one cluster, by list and watch. Through an outage of the API server it
// keeps what it last saw and tries again at short intervals (client-go's informers wait up to half a minute).
type mirror[T metav1.Object] struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)

	mu   sync.Mutex
	objs map[string]T // by namespace/name
	wake []chan struct{}
}

const (
	relistAfter  = 250 * time.Millisecond
	listDeadline = 10 * time.Second
)

// notify returns a channel that has a value whenever something changed since it was last drained.
func (m *mirror[T]) notify() <-chan struct{} {
	ch := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake = append(m.wake, ch)
	return ch
}

func (m *mirror[T]) get(namespace, name string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objs[namespace+"/"+name]
	return o, ok
}

// all returns the objects in no order; they must not be changed.
func (m *mirror[T]) all() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]T, 0, len(m.objs))
	for _, o := range m.objs {
		out = append(out, o)
	}
	return out
}

// run follows the kind until ctx ends.
func (m *mirror[T]) run(ctx context.Context) {
	for ctx.Err() == nil {
		m.follow(ctx)
		pause(ctx, relistAfter)
	}
}

// follow lists, then watches until the watch ends or fails.
func (m *mirror[T]) follow(ctx context.Context) {
	listCtx, cancel := context.WithTimeout(ctx, listDeadline)
	defer cancel()
	list, err := m.list(listCtx, metav1.ListOptions{})
	if err != nil {
		return
	}
	objs := map[string]T{}
	err = meta.EachListItem(list, func(o runtime.Object) error {
		if t, ok := o.(T); ok {
			objs[t.GetNamespace()+"/"+t.GetName()] = t
		}
		return nil
	})
	acc, accErr := meta.ListAccessor(list)
	if err != nil || accErr != nil {
		return
	}
	m.change(func() { m.objs = objs })
	w, err := m.watch(ctx, metav1.ListOptions{ResourceVersion: acc.GetResourceVersion()})
	if err != nil {
		return
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-w.ResultChan():
			t, isT := ev.Object.(T)
			if !ok || !isT {
				return
			}
			key := t.GetNamespace() + "/" + t.GetName()
			m.change(func() {
				if ev.Type == watch.Deleted {
					delete(m.objs, key)
				} else {
					m.objs[key] = t
				}
			})
		}
	}
}

func (m *mirror[T]) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	for _, ch := range m.wake {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
