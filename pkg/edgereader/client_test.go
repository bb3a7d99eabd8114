package edgereader

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"
)

// Loopback addresses are never proxied, so that this cannot be tried on them.
func TestAClientTakesNoProxyAndNoOldTLS(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.example.test:3128")
	c, err := NewClient(good(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := c.http.Transport.(*http.Transport)
	if tr.Proxy != nil || tr.TLSClientConfig.MinVersion < tls.VersionTLS12 || tr.TLSClientConfig.InsecureSkipVerify ||
		tr.TLSClientConfig.RootCAs == nil || tr.TLSClientConfig.ServerName != good().ServerName {
		t.Errorf("transport %+v", tr)
	}
}

func TestRenewalIsDueAtTwoThirdsOfALife(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		annotations map[string]string
		want        time.Time
	}{
		"an hour's life": {Token{Issued: noon, Expires: noon.Add(time.Hour)}.Annotations(),
			noon.Add(40 * time.Minute)},
		"a week's life":         {Token{Issued: noon, Expires: noon.Add(tokenLife)}.Annotations(), noon.Add(112 * time.Hour)},
		"nothing is said":       {nil, time.Time{}},
		"nonsense is said":      {map[string]string{issuedAnnotation: "x", expiresAnnotation: "y"}, time.Time{}},
		"it ends before it was": {Token{Issued: noon, Expires: noon.Add(-time.Hour)}.Annotations(), time.Time{}},
	} {
		if got := RenewAt(tc.annotations); !got.Equal(tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestATokenMustBeOneAndEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		ok   bool
	}{
		"good":        {`{"spec":{"expirationSeconds":3600},"status":{"token":"a.b.c","expirationTimestamp":"2026-01-02T12:00:00Z"}}`, true},
		"empty":       {`{}`, false},
		"no JSON":     {`c4n4ry`, false},
		"no end":      {`{"spec":{"expirationSeconds":3600},"status":{"token":"a.b.c"}}`, false},
		"no life":     {`{"status":{"token":"a.b.c","expirationTimestamp":"2026-01-02T12:00:00Z"}}`, false},
		"two headers": {`{"spec":{"expirationSeconds":3600},"status":{"token":"a\r\nb","expirationTimestamp":"2026-01-02T12:00:00Z"}}`, false},
	} {
		token, err := ReadToken([]byte(tc.body))
		if (err == nil) != tc.ok || tc.ok && !token.Issued.Equal(time.Date(2026, 1, 2, 11, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %+v, %v", name, token, err)
		}
	}
}
