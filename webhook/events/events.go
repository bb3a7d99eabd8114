package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	client "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Outcomes counts Events by what became of them: written, failed, dropped.
var Outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "xcpauth_webhook_events_total",
	Help: "Events about denials, overrides and admitted withdrawals, by outcome (written, failed, dropped).",
}, []string{"outcome"})

func init() { metrics.Registry.MustRegister(Outcomes) }

// Event is something that happened to a ManagementPlane. Two that are equal are one thing that happened again.
type Event struct {
	APIVersion, Namespace, Name string
	UID                         types.UID // "" while it is not stored
	Action                      string    // what was tried: Create, Update
	Reason                      string    // in CamelCase
	Note                        string    // one sentence; cut to what an Event holds
	Normal                      bool      // it is no warning
}

// NoteMax is how many bytes a note may have; the API server takes no more.
const NoteMax = 1024

const (
	waiting   = 256              // Events that wait before more are dropped
	remember  = 256              // Events whose repeats are recognised
	again     = 10 * time.Minute // how long after the last time a repeat belongs to the same series
	oneWrite  = 5 * time.Second
	lastWrite = 2 * time.Second // for all that is left at the end
)

// Queue writes Events, one after another. Announce may be called from anywhere.
type Queue struct {
	events   client.EventsV1Interface
	clock    clock.PassiveClock
	log      *slog.Logger
	instance string
	queue    chan Event

	series map[Event]series // these are of the writing goroutine alone
	serial uint16           // tells apart what is written at one moment
}

// series is an Event that was written.
type series struct {
	name  string
	count int32
	last  time.Time
}

// New makes a queue that writes to the API server of cfg, once Start runs. instance names this process in each Event.
func New(cfg *rest.Config, instance string, now clock.PassiveClock, log *slog.Logger) (*Queue, error) {
	c, err := client.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for Events: %w", err)
	}
	if instance == "" {
		instance = "unknown"
	}
	return &Queue{events: c, clock: now, log: log, instance: instance, queue: make(chan Event, waiting), series: map[Event]series{}}, nil
}

// Announce queues an Event, or drops it where too many wait. It never waits.
func (q *Queue) Announce(e Event) {
	select {
	case q.queue <- e:
	default:
		Outcomes.WithLabelValues("dropped").Inc()
	}
}

// NeedLeaderElection says that every replica writes its own.
func (*Queue) NeedLeaderElection() bool { return false }

// Start writes what is announced until ctx ends, and then, within two seconds and until one fails, what still waits; the rest is dropped.
func (q *Queue) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case e := <-q.queue:
			q.write(context.WithoutCancel(ctx), e) // the one that is being written is finished
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	for takes := true; ; {
		select {
		case e := <-q.queue:
			if takes {
				takes = q.write(ctx, e)
			} else {
				Outcomes.WithLabelValues("dropped").Inc()
			}
		default:
			return nil
		}
	}
}

// write writes one Event, or counts it as one more of its series. What cannot be written is logged and counted, and not tried again; it is
// false then.
func (q *Queue) write(ctx context.Context, e Event) bool {
	ctx, cancel := context.WithTimeout(ctx, oneWrite)
	defer cancel()
	now, outcome := q.clock.Now(), "written"
	s, known := q.series[e]
	err := error(nil)
	if known = known && now.Sub(s.last) < again; known {
		s.count++
		err = q.repeat(ctx, e, s, now)
		known = !apierrors.IsNotFound(err) // it has expired meanwhile
	}
	if !known {
		q.serial++
		s = series{name: fmt.Sprintf("%s.%x%04x", prefix(e.Name), now.UnixNano(), q.serial), count: 1}
		err = q.create(ctx, e, s, now)
	}
	if err != nil {
		outcome = "failed"
		q.log.Warn("an Event was not written", "reason", e.Reason, "namespace", e.Namespace, "error", err.Error())
	} else {
		if len(q.series) >= remember {
			clear(q.series)
		}
		s.last = now
		q.series[e] = s
	}
	Outcomes.WithLabelValues(outcome).Inc()
	return err == nil
}

func (q *Queue) create(ctx context.Context, e Event, s series, now time.Time) error {
	kind := corev1.EventTypeWarning
	if e.Normal {
		kind = corev1.EventTypeNormal
	}
	_, err := q.events.Events(e.Namespace).Create(ctx, &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: e.Namespace, Name: s.name},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: "xcpauth.io/webhook",
		ReportingInstance:   cut(q.instance, 128),
		Type:                kind,
		Action:              e.Action,
		Reason:              e.Reason,
		Note:                cut(e.Note, NoteMax),
		Regarding:           corev1.ObjectReference{APIVersion: e.APIVersion, Kind: "ManagementPlane", Namespace: e.Namespace, Name: e.Name, UID: e.UID},
	}, metav1.CreateOptions{})
	return err
}

func (q *Queue) repeat(ctx context.Context, e Event, s series, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"series": eventsv1.EventSeries{Count: s.count, LastObservedTime: metav1.NewMicroTime(now)}})
	if err != nil {
		return err
	}
	_, err = q.events.Events(e.Namespace).Patch(ctx, s.name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// prefix is what the name of an Event about an object begins with.
func prefix(name string) string {
	if name == "" {
		return "managementplane"
	}
	return strings.TrimRight(cut(name, 200), "-.")
}

// cut shortens text to a number of bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-3], "") + "..."
}
