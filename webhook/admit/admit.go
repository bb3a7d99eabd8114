package admit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"

	"github.com/xcpauth/kubectl-xcpauth/webhook/events"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// Path is where the handler is served; the ValidatingWebhookConfiguration says the same.
const Path = "/validate-managementplane"

// Handler answers admission requests for ManagementPlanes.
type Handler struct {
	// Read returns the inventory of the hub in a namespace, as it is now.
	Read func(ctx context.Context, hubNamespace string) (verdict.Inventory, error)
	// Stored returns what tells the ManagementPlane that is stored from all others, the zero Identity where there is none.
	// Nil shows nothing.
	Stored func(ctx context.Context, namespace, name string) (verdict.Identity, error)
	// Trusted says that only the API server gets here, since callers show a certificate: what it says need not be
	// compared.
	Trusted bool
	// NamespaceEnds says whether a namespace is being deleted. It is asked only about a deletion that is denied. Nil means
	// that none is.
	NamespaceEnds func(ctx context.Context, namespace string) (bool, error)
	// MayOverride asks whether a user has the verb override on a ManagementPlane. It is asked only about an edit that
	// brings the digest of its blockers.
	MayOverride func(ctx context.Context, user authenticationv1.UserInfo, namespace, name string) (bool, error)
	// Record is told of each denial by the rule and of each override of a verified review, dry runs left out. It must
	// not wait.
	Record func(events.Event)
	// Clock says when now is.
	Clock clock.PassiveClock
	// Log gets one line per decision.
	Log *slog.Logger
	// Version of the webhook, for the audit annotations and the warning that says that it was asked.
	Version string

	once     sync.Once
	creating *semaphore.Weighted // one at a time
}

var _ admission.Handler = (*Handler)(nil)

// Handle answers one request. A request that cannot be decided is answered as a denial, never as a failed call, since
// the API server admits failed calls under failurePolicy Ignore.
//
//  1. Decode the objects; read what the request withdraws.
//  2. Compare the old object with what is stored. The sender of one that differs gets no detail, and leaves no
//     trace but a line in the log and one count.
//  3. Read the inventory, if the answer depends on it.
//  4. Answer.
//  5. Ask for the right of the user, if the request overrides what it is denied for.
//  6. Count, log and announce.
func (h *Handler) Handle(ctx context.Context, review admission.Request) admission.Response {
	began := h.Clock.Now()
	v, doubt := h.decide(ctx, review)
	took := h.Clock.Since(began)
	audit := v.Audit(h.Version)
	count(review, v, doubt, took)
	h.Log.LogAttrs(ctx, slog.LevelInfo, "decision",
		slog.String("uid", short(string(review.UID))),
		slog.String("operation", short(string(review.Operation))),
		slog.String("namespace", short(review.Namespace)),
		slog.String("name", short(review.Name)),
		slog.String("user", short(review.UserInfo.Username)),
		slog.Bool("dryRun", dryRun(review)),
		slog.String("unverified", string(doubt)),
		slog.String("decision", v.Decision),
		slog.String("rule", v.Rule),
		slog.Bool("allowed", v.Allowed),
		slog.String("withdrawn", audit["withdrawn"]),
		slog.String("blockers", audit["blockers"]),
		slog.String("digest", v.Digest),
		slog.String("override", string(v.Override)),
		slog.String("roster", v.Roster),
		slog.String("rests", rests(v)),
		slog.String("error", verdict.OneLine(v.Cause, 1000)),
		slog.Duration("took", took))
	if doubt == verdict.Verified && !dryRun(review) && h.Record != nil {
		if e, tells := happened(review, v); tells {
			h.Record(e)
		}
	}

	response := admission.Allowed("")
	if !v.Allowed {
		response = admission.Denied(v.Message)
		if v.Code != http.StatusForbidden {
			response = admission.Errored(v.Code, errors.New(v.Message))
		}
		if v.Code == http.StatusConflict {
			response.Result.Reason = metav1.StatusReasonConflict // clients try again
		}
	}
	response.Warnings = append(v.Warnings, Asked(h.Version))
	response.AuditAnnotations = audit
	return response
}

// Asked is the warning of every answer, by which a client tells that the webhook was asked from that it was not.
func Asked(version string) string {
	return fmt.Sprintf("xcpauth-webhook %s was asked", verdict.OneLine(version, 100))
}

func (h *Handler) decide(ctx context.Context, review admission.Request) (verdict.Verdict, verdict.Doubt) {
	req := verdict.Request{Operation: verdict.Operation(review.Operation), Namespace: review.Namespace,
		Name: about(review).Name, User: review.UserInfo.Username}
	q, err := ask(review, &req)
	if err != nil {
		return verdict.Undecided(req, http.StatusBadRequest, err), verdict.Malformed
	}
	doubt, err := h.verify(ctx, req, q.NeedsInventory())
	switch {
	case !q.NeedsInventory():
		return q.Answer(verdict.Inventory{}, h.Clock.Now()), doubt
	case err != nil:
		return verdict.Unread(req, err), doubt
	case doubt == verdict.NotStored:
		return verdict.Unstored(req), doubt
	case doubt == verdict.Created: // what nobody verified must not have every edge read at once, many times over
		h.once.Do(func() { h.creating = semaphore.NewWeighted(1) })
		if err := h.creating.Acquire(ctx, 1); err != nil {
			return verdict.Unread(req, fmt.Errorf("waiting for another creation to be decided: %w", err)), doubt
		}
		defer h.creating.Release(1)
	}
	inv, err := h.Read(ctx, req.Namespace)
	switch {
	case err != nil && doubt != verdict.Verified:
		return verdict.Unread(req, err), doubt
	case err != nil:
		return verdict.Undecided(req, http.StatusInternalServerError, err), doubt
	}
	v := q.Answer(inv, h.Clock.Now())
	if !v.Allowed && req.Operation == verdict.Delete && h.NamespaceEnds != nil {
		if ends, err := h.NamespaceEnds(ctx, req.Namespace); err == nil &&
			ends { // what cannot be read holds nothing up, and lets nothing through
			return q.WithoutDetail(q.WithItsNamespace(v), doubt), doubt
		}
	}
	if v.Override == verdict.Claimed && doubt == verdict.Verified {
		v = q.Override(v, h.permission(ctx, review))
	}
	return q.WithoutDetail(v, doubt), doubt
}

// countWithin is how long an answer that depends on nobody waits to learn whether it counts.
const countWithin = 500 * time.Millisecond

// verify compares what a request says is stored with what is.
func (h *Handler) verify(ctx context.Context, req verdict.Request, matters bool) (verdict.Doubt, error) {
	if h.Trusted {
		return verdict.Verified, nil
	}
	if h.Stored == nil {
		return verdict.NotRead, errors.New("this webhook cannot read what is stored")
	}
	if !matters {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, countWithin)
		defer cancel()
	}
	stored := verdict.Identity{}
	if req.Name != "" { // one whose name the API server makes up is stored nowhere
		var err error
		if stored, err = h.Stored(ctx, req.Namespace, req.Name); err != nil {
			return verdict.NotRead, err
		}
	}
	return req.Compare(stored), nil
}

// permission asks whether the user of a review may override.
func (h *Handler) permission(ctx context.Context, review admission.Request) verdict.Permission {
	p := verdict.Permission{User: review.UserInfo.Username}
	if h.MayOverride == nil {
		p.Err = errors.New("this webhook asks nobody")
		return p
	}
	p.Granted, p.Err = h.MayOverride(ctx, review.UserInfo, review.Namespace, about(review).Name)
	return p
}

// count counts an answer, in labels that take nothing that a caller writes. What is not verified is counted as that and
// as nothing else: anybody could raise what an alert stands on.
func count(review admission.Request, v verdict.Verdict, doubt verdict.Doubt, took time.Duration) {
	if doubt != verdict.Verified {
		Unverified.WithLabelValues(string(doubt)).Inc()
		return
	}
	operation := "other"
	switch op := verdict.Operation(review.Operation); op {
	case verdict.Create, verdict.Update, verdict.Delete:
		operation = string(op)
	}
	Decisions.WithLabelValues(operation, v.Decision).Inc()
	Durations.WithLabelValues(v.Decision).Observe(took.Seconds())
	switch {
	case v.Decision == verdict.Error:
		Errors.WithLabelValues(v.Rule).Inc()
	case v.Override == verdict.Unknown:
		Errors.WithLabelValues(causeReview).Inc()
	case v.Override == verdict.Admitted && !dryRun(review):
		Overrides.Inc()
	case len(v.Evidence) > 0 && !dryRun(review):
		rested(review.Namespace+"/"+about(review).Name, v.Evidence)
	}
}

// happened is the Event about a denial, an override or an admitted withdrawal, and false where there is nothing to
// tell. What is created is not there yet to be told of.
func happened(review admission.Request, v verdict.Verdict) (events.Event, bool) {
	if v.Digest == "" && len(v.Evidence) == 0 || verdict.Operation(review.Operation) == verdict.Create {
		return events.Event{}, false
	}
	old := about(review)
	e := events.Event{APIVersion: review.Kind.Group + "/" + review.Kind.Version, Namespace: review.Namespace,
		Name: old.Name, UID: old.UID, Action: "Update"}
	what := "an edit"
	if verdict.Operation(review.Operation) == verdict.Delete {
		e.Action, what = "Delete", "a deletion"
	}
	who := short(review.UserInfo.Username)
	switch {
	case len(v.Evidence) > 0:
		e.Reason, e.Normal = "WithdrawalAdmitted", true
		e.Note = fmt.Sprintf("%s by %s was admitted: Central would %s; ", what, who, v.Summary)
		e.Note += verdict.Rests(v.Evidence, events.NoteMax-len(e.Note))
	case v.Override == verdict.Admitted:
		e.Reason, e.Note = "OverrideAdmitted", fmt.Sprintf("%s overrode the guard: Central may %s (digest %s)", who,
			v.Summary, v.Digest)
	case v.Override == verdict.NotAsked:
		e.Reason, e.Note = "WithdrawalDenied", fmt.Sprintf("%s by %s was denied: Central would %s (digest %s)", what, who,
			v.Summary, v.Digest)
	default:
		e.Reason, e.Note = "OverrideDenied", fmt.Sprintf("an override by %s was denied (%s): Central would %s (digest %s)",
			who, v.Override, v.Summary, v.Digest)
	}
	return e, true
}

// about is the object that a review is about. The review of a collection's deletion names it in its old object alone.
func about(review admission.Request) (of struct {
	Name string
	UID  types.UID
}) {
	var old struct {
		Metadata struct {
			Name string    `json:"name"`
			UID  types.UID `json:"uid"`
		} `json:"metadata"`
	}
	_ = json.UnmarshalCaseSensitivePreserveInts(review.OldObject.Raw,
		&old) // it is decoded in full elsewhere; an error is told there
	of.Name, of.UID = cmp.Or(review.Name, old.Metadata.Name), old.Metadata.UID
	return of
}

func dryRun(review admission.Request) bool { return review.DryRun != nil && *review.DryRun }

// rests is what an admitted withdrawal rested on, as the log takes it.
func rests(v verdict.Verdict) string {
	if len(v.Evidence) == 0 {
		return ""
	}
	return verdict.Rests(v.Evidence, 16<<10)
}

// short is text of a caller as the log takes it.
func short(s string) string { return verdict.OneLine(s, 256) }

// ask decodes the objects of a review into req and reads it.
func ask(review admission.Request, req *verdict.Request) (q verdict.Question, err error) {
	if k := review.Kind; k.Group != "install.tetrate.io" || k.Kind != "ManagementPlane" {
		return q, fmt.Errorf("a review of kind %q of group %q: this webhook decides ManagementPlanes only",
			short(k.Kind), short(k.Group))
	}
	if req.Old, err = decode(review.OldObject); err != nil {
		return q, fmt.Errorf("decoding the old object: %w", err)
	}
	if req.New, err = decode(review.Object); err != nil {
		return q, fmt.Errorf("decoding the new object: %w", err)
	}
	return verdict.Ask(*req)
}

// decode reads an object as the API server stores it: whole numbers stay whole. No object, and null, is nil. A key
// that is there twice is refused: the API server sends none, and whoever does may read the other one.
func decode(raw runtime.RawExtension) (obj map[string]any, err error) {
	if len(raw.Raw) == 0 {
		return nil, nil
	}
	twice, err := json.UnmarshalStrict(raw.Raw, &obj, json.DisallowDuplicateFields)
	if err != nil {
		return nil, err
	}
	if len(twice) > 0 {
		return nil, twice[0]
	}
	if kind := obj["kind"]; obj != nil && kind != "ManagementPlane" {
		return nil, fmt.Errorf("it is of kind %.100q, and the review is about a ManagementPlane", fmt.Sprint(kind))
	}
	return obj, nil
}
