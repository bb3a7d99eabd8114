package admit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"sync/atomic"
	"time"

	stdjson "encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"

	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// Limits is what one process takes on.
type Limits struct {
	// InFlight is how many reviews are answered side by side. One of more than 128 KiB counts as many as it has of these, so that
	// bodies never add up to much more than the process has room for.
	InFlight int
	// Draining says that the process is about to end: callers are then told to connect anew, elsewhere. Nil means never.
	Draining func() bool
}

const (
	bodyMax = 7 << 20   // two objects of at most 3 MiB and the rest of a review, as controller-runtime counts it
	place   = 128 << 10 // bytes of a body that take one place
	headMax = 2 << 10   // bytes in which the API server writes the UID and the operation
)

// Serve is the handler of Path as the process serves it. Whatever is sent is answered with HTTP 200 and a review, in which what cannot be
// read is denied; only a call too many may get HTTP 503 (see refuse). Nothing but Handle ever admits.
//
//  1. Bound the time: what the API server gives, less what an answer takes.
//  2. Take a place, or refuse.
//  3. Read the body, at most 7 MiB, and the review in it.
//  4. Handle it; a panic is a denial.
func Serve(h *Handler, l Limits) http.Handler {
	var taken atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Draining != nil && l.Draining() {
			w.Header().Set("Connection", "close")
		}
		within := given(r)
		// The server's own end cancels the request's context, and a call in flight is to be finished then.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), within)
		defer cancel()
		conn := http.NewResponseController(w)
		_ = conn.SetReadDeadline(time.Now().Add(within)) // a connection that has none is no worse than before

		places := placesOf(r.ContentLength, l.InFlight)
		defer taken.Add(-places)
		if taken.Add(places) > int64(l.InFlight) {
			h.refuse(w, r)
			return
		}
		InFlight.Inc()
		defer InFlight.Dec()

		review, err := read(w, r)
		if err != nil {
			h.unread(ctx, w, review, err)
			return
		}
		_ = conn.SetReadDeadline(time.Time{}) // else it would end the call while it is answered
		answer(w, h.safely(ctx, review))
	})
}

// given is how long a call may take: what the API server gives it (the query parameter timeout, like "5s") less what an answer takes, so
// that we answer rather than let the call time out.
func given(r *http.Request) time.Duration {
	d, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || d <= 0 || d > 30*time.Second { // the API server gives no more
		d = 5 * time.Second
	}
	return d - min(d/2, 500*time.Millisecond)
}

// placesOf is how many places a body takes of all; one of unknown length may be as long as any.
func placesOf(length int64, all int) int64 {
	if length < 0 || length > bodyMax {
		length = bodyMax
	}
	return min(max(1, length/place), int64(all))
}

var errTooLarge = fmt.Errorf("the review is larger than %d bytes", bodyMax)

// read reads a review, as strictly as the API server writes one. With an error the review holds what could be read.
func read(w http.ResponseWriter, r *http.Request) (review admission.Request, err error) {
	switch {
	case r.Header.Get("Content-Type") != "application/json":
		return review, fmt.Errorf("content type %.100q: a review comes as application/json", r.Header.Get("Content-Type"))
	case r.Header.Get("Content-Encoding") != "":
		return review, fmt.Errorf("content encoding %.100q: a review comes as it is", r.Header.Get("Content-Encoding"))
	case r.ContentLength > bodyMax:
		return review, errTooLarge
	}
	text := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead)) // one allocation where the length is known
	_, err = text.ReadFrom(http.MaxBytesReader(w, r.Body, bodyMax))
	body := text.Bytes()
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return review, errTooLarge
	case err != nil:
		return review, fmt.Errorf("reading the body: %w", err)
	case len(body) == 0:
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
		return review, fmt.Errorf("%.100s %.100s: this webhook answers AdmissionReviews of %s", sent.APIVersion, sent.Kind, admissionv1.SchemeGroupVersion)
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
			h.Log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("uid", short(string(review.UID))), slog.String("what", verdict.OneLine(fmt.Sprint(p), 300)), slog.String("stack", string(debug.Stack())))
			response = h.denied(review.UID, http.StatusInternalServerError, "undecided, so denied: the webhook failed; its log says where; run `kubectl xcpauth status` and try again")
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
	h.Log.LogAttrs(ctx, slog.LevelWarn, "not a review", slog.String("uid", short(string(review.UID))), slog.String("error", verdict.OneLine(err.Error(), 1000)))
	answer(w, h.denied(review.UID, code, "undecided, so denied: "+verdict.OneLine(err.Error(), 1000)))
}

var (
	headUID      = regexp.MustCompile(`^\{"kind":"AdmissionReview","apiVersion":"admission\.k8s\.io/v1","request":\{"uid":"([-0-9a-zA-Z]{1,64})"`)
	headDeletion = regexp.MustCompile(`"operation":"DELETE"`)
)

// refuse denies a call too many, unread: by its UID, where the beginning of the body shows it as the API server writes it, with code 429
// and the word to try again; else, and for a DELETE, which is to be held up by nothing, with HTTP 503, as if nobody were there.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request) {
	Refused.Inc()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
	head := make([]byte, headMax)
	n, _ := io.ReadFull(r.Body, head)
	uid := headUID.FindSubmatch(head[:n])
	if uid == nil || headDeletion.Match(head[:n]) {
		http.Error(w, "too many reviews are being answered", http.StatusServiceUnavailable)
		return
	}
	response := h.denied(types.UID(uid[1]), http.StatusTooManyRequests, "undecided, so denied: too many reviews are being answered; try again")
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
