package admit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	stdjson "encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"

	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// Limits is what one process takes on. A zero is the default.
type Limits struct {
	// InFlight is how many reviews are decided side by side. One of more than 128 KiB counts as many as it has of these,
	// so that what is decoded never adds up to much more than the process has room for. The default is 64.
	InFlight int
	// Bytes is what all bodies together may hold that are being read or wait for a place. The default is 32 MiB.
	Bytes int
	// Within is how long a call may take at most, whatever the caller says. The default is CallWithin.
	Within time.Duration
	// ReadWithin is how long a caller may take to send the body. The default is 2 seconds.
	ReadWithin time.Duration
	// Draining says that the process is about to end: callers are then told to connect again, elsewhere. Nil means never.
	Draining func() bool
}

// CallWithin is how long a call may take by default; timeoutSeconds of the ValidatingWebhookConfiguration says the
// same.
const CallWithin = 5 * time.Second

const (
	bodyMax = 7 << 20   // two objects of at most 3 MiB and the rest of a review, as controller-runtime counts it
	place   = 128 << 10 // bytes of a body that take one place
	headMax = 2 << 10   // bytes in which the API server writes the UID and the operation
)

// Serve is the handler of Path as the process serves it. Whatever is sent is answered with HTTP 200 and a review, in
// which what cannot be read is denied; only a call too many may get HTTP 503 (see refuse). Nothing but Handle ever
// admits.
//
//  1. Bound the time: what the caller gives, and never more than ours, less what an answer takes.
//  2. Read the body, at most 7 MiB, within a short time and the budget of bytes.
//  3. Wait for a place, or refuse.
//  4. Read the review in the body and handle it; a panic is a denial.
func Serve(h *Handler, l Limits) http.Handler {
	l.InFlight, l.Bytes = cmp.Or(l.InFlight, 64), cmp.Or(l.Bytes, 32<<20)
	l.Within, l.ReadWithin = cmp.Or(l.Within, CallWithin), cmp.Or(l.ReadWithin, 2*time.Second)
	in := newIntake(l)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Draining != nil && l.Draining() {
			w.Header().Set("Connection", "close")
		}
		within := l.given(r)
		// The server's own end cancels the request's context, and a call in flight is to be finished then.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), within)
		defer cancel()
		if err := plain(r); err != nil {
			h.unread(ctx, w, admission.Request{}, err)
			return
		}
		conn := http.NewResponseController(w) // one that has no deadlines is no worse than before
		_ = conn.SetReadDeadline(time.Now().Add(min(within, l.ReadWithin)))
		b := in.begin(func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
		defer in.end(b)
		if err := in.read(b, r.Body, r.ContentLength); errors.Is(err, errCrowded) {
			h.refuse(w, nil)
			return
		} else if err != nil {
			w.Header().Set("Connection", "close") // what is left of the body is not waited for
			h.unread(ctx, w, admission.Request{}, fmt.Errorf("reading the body: %w", err))
			return
		}
		if in.enter(ctx, b) != nil {
			h.refuse(w, b.text)
			return
		}
		_ = conn.SetReadDeadline(time.Time{}) // else it would end the call while it is answered
		InFlight.Inc()
		defer InFlight.Dec()

		review, err := read(b.text)
		if err != nil {
			h.unread(ctx, w, review, err)
			return
		}
		answer(w, h.safely(ctx, review))
	})
}

// given is how long a call may take: what the API server gives it (the query parameter timeout, like "5s") less what
// an answer takes, so that we answer rather than let the call time out. It is an upper bound alone, and an API server
// gives whole seconds: anything else is not believed.
func (l Limits) given(r *http.Request) time.Duration {
	d := l.Within
	if told, err := time.ParseDuration(r.URL.Query().Get("timeout")); err == nil && told >= time.Second {
		d = min(d, told)
	}
	return d - min(d/2, 500*time.Millisecond)
}

var errTooLarge = fmt.Errorf("the review is larger than %d bytes", bodyMax)

// plain says why the body of a request cannot be that of a review, as far as its headers tell.
func plain(r *http.Request) error {
	switch {
	case r.Header.Get("Content-Type") != "application/json":
		return fmt.Errorf("content type %.100q: a review comes as application/json", r.Header.Get("Content-Type"))
	case r.Header.Get("Content-Encoding") != "":
		return fmt.Errorf("content encoding %.100q: a review comes as it is", r.Header.Get("Content-Encoding"))
	case r.ContentLength > bodyMax:
		return errTooLarge
	}
	return nil
}

// read reads a review, as strictly as the API server writes one. With an error the review holds what could be read.
func read(body []byte) (review admission.Request, err error) {
	if len(body) == 0 {
		return review, errors.New("the body is empty")
	}
	var sent admissionv1.AdmissionReview
	twice, err := json.UnmarshalStrict(body, &sent, json.DisallowDuplicateFields)
	if sent.Request != nil {
		review.AdmissionRequest = *sent.Request
	}
	switch {
	case err != nil:
		return review, fmt.Errorf("decoding the review: %w", err)
	case len(twice) > 0:
		return review, fmt.Errorf("decoding the review: %w", twice[0])
	case sent.APIVersion != admissionv1.SchemeGroupVersion.String() || sent.Kind != "AdmissionReview":
		return review, fmt.Errorf("%.100s %.100s: this webhook answers AdmissionReviews of %s", sent.APIVersion, sent.Kind,
			admissionv1.SchemeGroupVersion)
	case sent.Request == nil:
		return review, errors.New("the review has no request")
	case sent.Request.UID == "":
		return review, errors.New("the request has no uid")
	}
	return review, nil
}

// safely handles a review. The denial for a panic does not show its text, which may hold a piece of the object.
func (h *Handler) safely(ctx context.Context, review admission.Request) (response admission.Response) {
	defer func() {
		if p := recover(); p != nil {
			Errors.WithLabelValues(causePanic).Inc()
			h.Log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("uid", short(string(review.UID))),
				slog.String("what", verdict.OneLine(fmt.Sprint(p), 300)), slog.String("stack", string(debug.Stack())))
			response = h.denied(review.UID, http.StatusInternalServerError,
				"undecided, so denied: the webhook failed; its log says where; run `kubectl xcpauth status` and try again")
		}
	}()
	response = h.Handle(ctx, review)
	response.UID = review.UID
	return response
}

// unread denies what could not be read.
func (h *Handler) unread(ctx context.Context, w http.ResponseWriter, review admission.Request, err error) {
	code, cause := int32(http.StatusBadRequest), verdict.RuleMalformed
	if errors.Is(err, errTooLarge) {
		code, cause = http.StatusRequestEntityTooLarge, causeTooLarge
	}
	Errors.WithLabelValues(cause).Inc()
	h.Log.LogAttrs(ctx, slog.LevelWarn, "not a review", slog.String("uid", short(string(review.UID))),
		slog.String("error", verdict.OneLine(err.Error(), 1000)))
	answer(w, h.denied(review.UID, code, "undecided, so denied: "+verdict.OneLine(err.Error(), 1000)))
}

var headUID = regexp.MustCompile(
	`^\{"kind":"AdmissionReview","apiVersion":"admission\.k8s\.io/v1","request":\{"uid":"([-0-9a-zA-Z]{1,64})"`)

// refuse denies a call too many, undecided: by its UID, where the beginning of the body shows it as the API server
// writes it, with code 429 and the word to try again; else with HTTP 503, as if nobody were there.
func (h *Handler) refuse(w http.ResponseWriter, body []byte) {
	Refused.Inc()
	uid := headUID.FindSubmatch(body[:min(len(body), headMax)])
	if uid == nil {
		w.Header().Set("Connection", "close")
		http.Error(w, errCrowded.Error(), http.StatusServiceUnavailable)
		return
	}
	response := h.denied(types.UID(uid[1]), http.StatusTooManyRequests,
		"undecided, so denied: too many reviews are being answered; try again")
	response.Result.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
	answer(w, response)
}

// denied is the answer to what never came to a decision.
func (h *Handler) denied(uid types.UID, code int32, message string) admission.Response {
	response := admission.Errored(code, errors.New(message))
	response.UID, response.Warnings = uid, []string{Asked(h.Version)}
	response.AuditAnnotations = map[string]string{"decision": verdict.Error, "version": verdict.OneLine(h.Version, 100)}
	return response
}

// answer writes a response as a review.
func answer(w http.ResponseWriter, response admission.Response) {
	w.Header().Set("Content-Type", "application/json")
	review := admissionv1.AdmissionReview{Response: &response.AdmissionResponse}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	_ = stdjson.NewEncoder(w).Encode(review) // to somebody who is gone by now
}
