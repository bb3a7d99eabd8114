package xcpsim

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// judge is what one Central pod knows when a client knocks.
type judge struct {
	accepts  map[Credential]bool // the modes the pod was started with
	clientCA *x509.CertPool      // ca.crt of xcp-central-cert
	issuer   *issuer
	bound    bool // the token's subject must be the dialling cluster's
	rejects  func(member string) bool
}

// presented is what arrived on the socket.
type presented struct {
	member        string
	chain         []*x509.Certificate // client certificates, leaf first
	authorization []string            // values of the gRPC metadata key
}

// kind names the credential: a bearer token counts before a certificate, since a JWT client sends no certificate.
func (p presented) kind() Credential {
	switch {
	case len(p.authorization) > 0:
		return JWT
	case len(p.chain) > 0:
		return MTLS
	}
	return None
}

// verdict is the outcome of one dial at Central; reason is empty when it is accepted.
type verdict struct {
	reason  Reason
	text    string
	expires time.Time // of the token
}

// admit decides one dial at now.
func (j judge) admit(p presented, now time.Time) verdict {
	kind := p.kind()
	if kind == None {
		return verdict{reason: TokenMissing, text: "no client certificate and no bearer token"}
	}
	if !j.accepts[kind] {
		return verdict{reason: ModeNotAccepted, text: fmt.Sprintf("%s is not accepted here", kind)}
	}
	if kind == MTLS {
		return j.admitCertificate(p.chain, now)
	}
	return j.admitToken(p, now)
}

func (j judge) admitCertificate(chain []*x509.Certificate, now time.Time) verdict {
	inter := x509.NewCertPool()
	for _, c := range chain[1:] {
		inter.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: j.clientCA, Intermediates: inter, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return verdict{reason: ClientCertUntrusted, text: err.Error()}
	}
	return verdict{}
}

func (j judge) admitToken(p presented, now time.Time) verdict {
	token, ok := strings.CutPrefix(p.authorization[0], "Bearer ")
	if !ok || token == "" {
		return verdict{reason: TokenMissing, text: "authorization carries no bearer token"}
	}
	subject, expires, reason, text := j.issuer.verify(token, now)
	if reason != "" {
		return verdict{reason: reason, text: text}
	}
	if j.rejects(p.member) {
		return verdict{reason: TokenInvalid, text: "token rejected"}
	}
	want := edgeSubject(p.member)
	if p.member == MPCMember {
		want = MPCMember
	}
	if j.bound && subject != want {
		return verdict{reason: WrongCluster, text: fmt.Sprintf("token of %q presented by %q", subject, p.member)}
	}
	return verdict{expires: expires}
}
