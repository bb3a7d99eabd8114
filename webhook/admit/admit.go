package admit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// Path is where the handler is served; the ValidatingWebhookConfiguration says the same.
const Path = "/validate-managementplane"

// Decisions counts the answers; a client that never calls us counts nothing.
var Decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "xcpauth_webhook_decisions_total",
	Help: "Admission requests answered, by operation and decision (allowed, denied, error).",
}, []string{"operation", "decision"})

func init() { metrics.Registry.MustRegister(Decisions) }

// Handler answers admission requests for ManagementPlanes.
type Handler struct {
	// Read returns the inventory of the hub in a namespace, as it is now.
	Read func(ctx context.Context, hubNamespace string) (verdict.Inventory, error)
	// Clock says when now is.
	Clock clock.PassiveClock
	// Log gets one line per decision.
	Log *slog.Logger
	// Version of the webhook, for the audit annotations.
	Version string
}

var _ admission.Handler = (*Handler)(nil)

// Handle answers one request. A request that cannot be decided is answered as a denial, never as a failed call, since
// the API server admits failed calls under failurePolicy Ignore.
//
//  1. Decode the objects; read what the request withdraws.
//  2. Read the inventory, if the answer depends on it.
//  3. Answer.
//  4. Count and log.
func (h *Handler) Handle(ctx context.Context, review admission.Request) admission.Response {
	began := h.Clock.Now()
	v := h.decide(ctx, review)
	operation := "other" // a label must not take whatever a caller writes
	switch op := verdict.Operation(review.Operation); op {
	case verdict.Create, verdict.Update, verdict.Delete:
		operation = string(op)
	}
	Decisions.WithLabelValues(operation, v.Decision).Inc()
	audit := v.Audit(h.Version)
	h.Log.LogAttrs(ctx, slog.LevelInfo, "decision",
		slog.String("uid", string(review.UID)),
		slog.String("operation", string(review.Operation)),
		slog.String("namespace", review.Namespace),
		slog.String("name", review.Name),
		slog.String("user", review.UserInfo.Username),
		slog.Bool("dryRun", review.DryRun != nil && *review.DryRun),
		slog.String("decision", v.Decision),
		slog.Bool("allowed", v.Allowed),
		slog.String("withdrawn", audit["withdrawn"]),
		slog.String("blockers", audit["blockers"]),
		slog.String("error", v.Cause),
		slog.Duration("took", h.Clock.Since(began)))

	response := admission.Allowed("")
	if !v.Allowed {
		response = admission.Denied(v.Message)
		if v.Code != http.StatusForbidden {
			response = admission.Errored(v.Code, errors.New(v.Message))
		}
	}
	response.Warnings = v.Warnings
	response.AuditAnnotations = audit
	return response
}

func (h *Handler) decide(ctx context.Context, review admission.Request) verdict.Verdict {
	req := verdict.Request{Operation: verdict.Operation(review.Operation), Namespace: review.Namespace, Name: review.Name}
	q, err := ask(review, &req)
	if err != nil {
		return verdict.Undecided(req, http.StatusBadRequest, err)
	}
	var inv verdict.Inventory
	if q.NeedsInventory() {
		if inv, err = h.Read(ctx, req.Namespace); err != nil {
			return verdict.Undecided(req, http.StatusInternalServerError, err)
		}
	}
	return q.Answer(inv, h.Clock.Now())
}

// ask decodes the objects of a review into req and reads it.
func ask(review admission.Request, req *verdict.Request) (q verdict.Question, err error) {
	if review.Kind.Kind != "ManagementPlane" {
		return q, fmt.Errorf("a review of kind %q: this webhook decides ManagementPlanes only", review.Kind.Kind)
	}
	if req.Old, err = decode(review.OldObject); err != nil {
		return q, fmt.Errorf("decoding the old object: %w", err)
	}
	if req.New, err = decode(review.Object); err != nil {
		return q, fmt.Errorf("decoding the new object: %w", err)
	}
	return verdict.Ask(*req)
}

// decode reads an object as the API server stores it: whole numbers stay whole. No object is nil.
func decode(raw runtime.RawExtension) (obj map[string]any, err error) {
	if len(raw.Raw) == 0 {
		return nil, nil
	}
	if err := utiljson.Unmarshal(raw.Raw, &obj); err != nil {
		return nil, err
	}
	return obj, nil
}

// WithDeadline gives each call the time that the API server gives it (the query parameter timeout, like "5s") less
// what an answer takes, so that we answer rather than let the call time out.
func WithDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, err := time.ParseDuration(r.URL.Query().Get("timeout"))
		if err != nil || given <= 0 {
			given = 5 * time.Second
		}
		ctx, cancel := context.WithTimeout(r.Context(), given-min(given/2, 500*time.Millisecond))
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
