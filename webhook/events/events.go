package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
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

// Outcomes counts the Events of a Queue by what became of them.
var Outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "xcpauth_webhook_events_total",
	Help: "Events about denials, overrides and admitted withdrawals, by outcome (written, failed, dropped).",
}, []string{"outcome"})

func init() { metrics.Registry.MustRegister(Outcomes) }

// Event is something that happened to a ManagementPlane. Two that are equal are one thing that happened again.
type Event struct {
	APIVersion, Namespace, Name string
	UID                         types.UID // "" while it is not stored
	ResourceVersion             string    // "" where it does not matter
	Action                      string    // what was tried: Create, Update
	Reason                      string    // in CamelCase
	Note                        string    // one sentence; cut to what an Event holds
	Normal                      bool      // it is no warning
}

// NoteMax is how many bytes a note may have; the API server takes no more.
const NoteMax = 1024

// Writer writes Events.
type Writer struct {
	events     client.EventsV1Interface
	clock      clock.PassiveClock
	controller string
	instance   string
	serial     uint16 // tells apart what is written at one moment
}

// NewWriter writes to the API server of cfg, in the name of a controller. It is for one goroutine.
func NewWriter(cfg *rest.Config, controller string, now clock.PassiveClock) (*Writer, error) {
	c, err := client.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for Events: %w", err)
	}
	host, err := os.Hostname() // of the pod
	if err != nil {
		host = "unknown"
	}
	return &Writer{events: c, clock: now, controller: controller, instance: cut(host, 128)}, nil
}

// Write writes an Event and returns its name.
func (w *Writer) Write(ctx context.Context, e Event) (name string, err error) {
	kind, now := corev1.EventTypeWarning, w.clock.Now()
	if e.Normal {
		kind = corev1.EventTypeNormal
	}
	about := "managementplane"
	if e.Name != "" {
		about = strings.TrimRight(cut(e.Name, 200), "-.")
	}
	w.serial++
	name = fmt.Sprintf("%s.%x%04x", about, now.UnixNano(), w.serial)
	_, err = w.events.Events(e.Namespace).Create(ctx, &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: e.Namespace, Name: name},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: w.controller,
		ReportingInstance:   w.instance,
		Type:                kind,
		Action:              e.Action,
		Reason:              e.Reason,
		Note:                cut(e.Note, NoteMax),
		Regarding: corev1.ObjectReference{APIVersion: e.APIVersion, Kind: "ManagementPlane", Namespace: e.Namespace,
			Name: e.Name, UID: e.UID, ResourceVersion: e.ResourceVersion},
	}, metav1.CreateOptions{})
	return name, err
}

const (
	waiting   = 256              // Events that wait before more are dropped
	remember  = 256              // Events whose repeats are recognised
	again     = 10 * time.Minute // how long after the last time a repeat belongs to the same series
	oneWrite  = 5 * time.Second
	lastWrite = 2 * time.Second // for all that is left at the end
)

// Queue writes Events, one after another. Record may be called from anywhere.
type Queue struct {
	*Writer
	log    *slog.Logger
	queue  chan Event
	series map[Event]series // of the writing goroutine alone
}

// series is an Event that was written.
type series struct {
	name  string
	count int32
	last  time.Time
}

// NewQueue makes a queue that writes once Start runs.
func NewQueue(w *Writer, log *slog.Logger) *Queue {
	return &Queue{Writer: w, log: log, queue: make(chan Event, waiting), series: map[Event]series{}}
}

// Record queues an Event, or drops it where too many wait. It never waits.
func (q *Queue) Record(e Event) {
	select {
	case q.queue <- e:
	default:
		Outcomes.WithLabelValues("dropped").Inc()
	}
}

// NeedLeaderElection says that every replica writes its own.
func (*Queue) NeedLeaderElection() bool { return false }

// Start writes what is announced until ctx ends, and then, within two seconds and until one fails, what still waits;
// the rest is dropped.
func (q *Queue) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case e := <-q.queue:
			q.record(context.WithoutCancel(ctx), e) // the one that is being written is finished
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	for takes := true; ; {
		select {
		case e := <-q.queue:
			if takes {
				takes = q.record(ctx, e)
			} else {
				Outcomes.WithLabelValues("dropped").Inc()
			}
		default:
			return nil
		}
	}
}

// record writes one Event, or counts it as one more of its series. What cannot be written is logged and counted, and
// not tried again; it is false then.
func (q *Queue) record(ctx context.Context, e Event) bool {
	ctx, cancel := context.WithTimeout(ctx, oneWrite)
	defer cancel()
	now, err := q.clock.Now(), error(nil)
	s, known := q.series[e]
	if known = known && now.Sub(s.last) < again; known {
		s.count++
		err = q.repeat(ctx, e, s, now)
		known = !apierrors.IsNotFound(err) // it has expired meanwhile
	}
	if !known {
		s = series{count: 1}
		s.name, err = q.Write(ctx, e)
	}
	if err != nil {
		q.log.Warn("an Event was not written", "reason", e.Reason, "namespace", e.Namespace, "error", err.Error())
		Outcomes.WithLabelValues("failed").Inc()
		return false
	}
	if len(q.series) >= remember {
		clear(q.series)
	}
	s.last = now
	q.series[e] = s
	Outcomes.WithLabelValues("written").Inc()
	return true
}

func (q *Queue) repeat(ctx context.Context, e Event, s series, now time.Time) error {
	next := eventsv1.EventSeries{Count: s.count, LastObservedTime: metav1.NewMicroTime(now)}
	patch, err := json.Marshal(map[string]any{"series": next})
	if err != nil {
		return err
	}
	_, err = q.events.Events(e.Namespace).Patch(ctx, s.name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// cut shortens text to a number of bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-3], "") + "..."
}
