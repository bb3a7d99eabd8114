package observe

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
)

// AnswerError is an answer that cannot be of what was asked: what stands in front of an API server may answer anything.
type AnswerError struct{ Why string }

func (e *AnswerError) Error() string { return e.Why }

// Clause is the reason, in Explain.
func (e *AnswerError) Clause() string { return e.Why }

const cut = "the connection to the API server was cut before the answer was complete"

// Explain turns an error of a request into one clause that names the cause, of which a terminal obeys nothing.
func Explain(err error) string {
	text := explainTransport
	var status apierrors.APIStatus
	var own interface{ Clause() string } // of somebody else than the API server
	if errors.As(err, &status) {
		text = func(error) string { return explainStatus(status) }
	} else if errors.As(err, &own) {
		text = func(error) string { return own.Clause() }
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text(err))
}

// explainStatus says what the API server answered.
func explainStatus(status apierrors.APIStatus) string {
	message := status.Status().Message
	switch code := status.Status().Code; {
	case status.Status().Reason == kubeconfig.ReasonForeign:
		return message
	case code == http.StatusUnauthorized:
		return "the API server refused the context's credential (401); log in again"
	case code == http.StatusForbidden:
		return "forbidden (403): " + message
	case code == http.StatusTooManyRequests:
		return "the API server takes no more requests for now (429): " + message
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("the API server failed (%d): %s", code, message)
	}
	return message
}

// explainTransport says why no answer came, in the user's words first and the library's after.
func explainTransport(err error) string {
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var timeout net.Error
	var proxy *kubeconfig.ProxyError
	cause := err
	var u *url.Error
	if errors.As(err, &u) {
		cause = u.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &proxy):
		return proxy.Error()
	case errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()):
		return "the API server did not answer in time"
	case errors.As(err, &dns):
		return "the API server's name " + dns.Name + " does not resolve"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the API server refused the connection"
	case errors.Is(err, syscall.ECONNRESET):
		return "the API server, or something before it, reset the connection"
	case errors.Is(err, kubeconfig.ErrCut), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "when reading response body"): // client-go's words
		return cut
	case errors.As(err, &unknownCA), errors.As(err, &wrongName):
		return "the API server's certificate is not trusted: " + cause.Error()
	}
	return "no answer from the API server: " + cause.Error()
}
