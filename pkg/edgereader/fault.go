package edgereader

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Kind is what is wrong with an edge's API server, in one word.
type Kind string

// The kinds of fault.
const (
	Timeout      Kind = "timeout"      // it did not answer in time
	Unreachable  Kind = "unreachable"  // there was no connection, or it was cut
	Untrusted    Kind = "tls"          // its certificate is not one that the CA vouches for
	Unauthorized Kind = "unauthorized" // 401
	Forbidden    Kind = "forbidden"    // 403
	Throttled    Kind = "throttled"    // 429
	Failed       Kind = "failed"       // any other code that is no answer
	Malformed    Kind = "malformed"    // it answered something else than what was asked for
)

// Fault is why an edge could not be read, as a clause for whoever was denied because of it. It holds nothing of a
// body but what an API server says of itself, in one short line.
type Fault struct {
	Kind Kind
	Why  string
}

func (f *Fault) Error() string { return f.Why }

const refusedToken = "its API server refused the token (401)"

// within adds to a fault of time how much time there was.
func (f *Fault) within(took time.Duration) *Fault {
	if f != nil && f.Kind == Timeout {
		return TimedOut(took)
	}
	return f
}

// TimedOut is the fault of an API server that was given so much time.
func TimedOut(after time.Duration) *Fault {
	return &Fault{Timeout, fmt.Sprintf("its API server did not answer within %s",
		max(after.Round(100*time.Millisecond), 100*time.Millisecond))}
}

// unanswered is the fault of a request without an answer.
func unanswered(err error) *Fault {
	var timeout net.Error
	var dns *net.DNSError
	var wrong *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var plain tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &timeout) &&
		timeout.Timeout():
		return &Fault{Kind: Timeout, Why: "its API server did not answer in time"}
	case errors.As(err, &name):
		return &Fault{Untrusted, "its API server's certificate is for another name"}
	case errors.As(err, &authority):
		return &Fault{Untrusted, "its API server's certificate is signed by another CA than the one registered"}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &Fault{Untrusted, "its API server's certificate has expired, or is not valid yet"}
	case errors.As(err, &wrong), errors.As(err, &invalid):
		return &Fault{Untrusted, "its API server's certificate is not valid"}
	case errors.As(err, &plain), strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(),
		"HTTP response to HTTPS client"):
		return &Fault{Untrusted, "what answers at its address does not speak TLS as an API server does"}
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "PROTOCOL_ERROR"):
		return &Fault{Malformed, "what its API server answered is not HTTP"}
	case errors.As(err, &dns):
		return &Fault{Unreachable, "the name of its API server does not resolve"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Fault{Unreachable, "its API server refused the connection"}
	}
	return cut
}

// cut is the fault of a connection that ended before an answer came.
var cut = &Fault{Unreachable, "the connection to its API server was cut"}

// answered is the fault of an answer that is none to what was asked.
func answered(code int, resource string, body []byte) *Fault {
	switch {
	case code == http.StatusUnauthorized:
		return &Fault{Unauthorized, refusedToken}
	case code == http.StatusForbidden:
		return &Fault{Forbidden, fmt.Sprintf("the reader may not read %s there (403)", resource)}
	case code == http.StatusTooManyRequests:
		return &Fault{Throttled, "its API server takes no more requests for now (429)"}
	case code >= 300 && code < 400:
		return &Fault{Malformed, fmt.Sprintf("it answered with a redirect (%d), which is not followed", code)}
	}
	said := ""
	if r := reason(body); r != "" {
		said = ", " + r
	}
	return &Fault{Failed, fmt.Sprintf("its API server failed (%d%s)", code, said)}
}

// reason is the reason of a Status, one word; "" when the body is none.
func reason(body []byte) string {
	var s struct{ Kind, Reason string }
	if json.Unmarshal(body, &s) != nil || s.Kind != "Status" || len(s.Reason) > 64 ||
		strings.ContainsFunc(s.Reason, func(r rune) bool { return !unicode.IsLetter(r) }) {
		return ""
	}
	return s.Reason
}
