package observe

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"syscall"
)

// explainTransport says why no answer came, in the user's words first and the library's after.
func explainTransport(err error) string {
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var timeout net.Error
	cause := err
	var u *url.Error
	if errors.As(err, &u) {
		cause = u.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()):
		return "the API server did not answer in time"
	case errors.As(err, &dns):
		return "the API server's name " + dns.Name + " does not resolve"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the API server refused the connection"
	case errors.As(err, &unknownCA), errors.As(err, &wrongName):
		return "the API server's certificate is not trusted: " + cause.Error()
	}
	return "no answer from the API server: " + cause.Error()
}
