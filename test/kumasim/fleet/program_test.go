package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// A relay passes a call on as it is, and notes what became of it: a session while it lasts, and why a call was refused.
func TestARelayPassesCallsOnAndNotesWhatBecameOfThem(t *testing.T) {
	cert, err := relayCertificate()
	if err != nil {
		t.Fatal(err)
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	judge := func(_ any, s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		switch token := md.Get("authorization"); {
		case len(token) == 0:
			return status.Error(codes.Unauthenticated, "Zone CP did not provide a zone token. 1) Generate the token")
		case token[0] != "good":
			return status.Error(codes.Unauthenticated, "invalid zone token: token is revoked")
		}
		var message []byte
		if err := s.RecvMsg(&message); err != nil {
			return err
		}
		if err := s.SendMsg(&message); err != nil { // it says what it heard
			return err
		}
		<-s.Context().Done()
		return s.Context().Err()
	}
	global := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(secure)), grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(judge))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = global.Serve(ln) }()
	t.Cleanup(global.Stop)

	f := &Fleet{zones: map[string]*zone{"west": {name: "west"}}, live: map[int]Stream{}}
	obj := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "west-1", UID: "01234567"}}
	p := &pod{k: &podRunner{f: f, c: &cluster{zone: "west"}}, obj: obj, ip: "127.0.0.1"}
	r, err := f.newRelay(p, "grpcs://"+ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	zone, err := dialGlobal(r.url[len("grpcs://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zone.Close() })
	open := func(tokens ...string) (grpc.ClientStream, error) {
		md := metadata.Pairs("client-id", "west")
		md.Append("authorization", tokens...)
		ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), md), time.Minute)
		t.Cleanup(cancel)
		s, err := zone.NewStream(ctx, both, syncMethod)
		if err != nil {
			return nil, err
		}
		said, heard := []byte("hello"), []byte(nil)
		// A stream that has ended answers io.EOF here, and says in RecvMsg why it ended.
		if err := s.SendMsg(&said); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err := s.RecvMsg(&heard); err == nil && string(heard) != "hello" {
			t.Errorf("heard was %q", heard)
		} else if err != nil {
			return nil, err
		}
		return s, nil
	}
	for _, c := range []struct {
		tokens []string
		want   kumasim.Reason
	}{{nil, kumasim.TokenMissing}, {[]string{"bad"}, kumasim.TokenRevoked}} {
		if _, err := open(c.tokens...); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%v: the zone hears %v", c.tokens, err)
		}
		all := f.Refused()
		if len(all) == 0 || all[len(all)-1].Reason != c.want || all[len(all)-1].Pod != "west-1" || len(f.Live()) > 0 {
			t.Errorf("%v: refused are %+v, live are %v", c.tokens, all, f.Live())
		}
	}
	s, err := open("good")
	if err != nil {
		t.Fatal(err)
	}
	if live, on := f.Live()["west"]; !on || live.Pod != "west-1" || !live.AuthTokenProvided || len(f.Refused()) != 2 {
		t.Errorf("live is %+v, refused are %v", live, f.Refused())
	}
	f.mu.Lock()
	f.zones["west"].switches.Asleep = true
	f.mu.Unlock()
	r.disconnect()
	var message []byte
	if err := s.RecvMsg(&message); status.Code(err) != codes.Canceled {
		t.Errorf("a zone that is cut off hears %v", err)
	}
	if _, err := open("good"); status.Code(err) != codes.Unavailable || len(f.Live()) > 0 || len(f.Refused()) != 2 {
		t.Errorf("a zone that is asleep hears %v; live are %v, refused %v", err, f.Live(), f.Refused())
	}
}

// Paths of volumes in the environment and the arguments of a container lead to the files that stand for them.
func TestPathsOfVolumesLeadToTheirFiles(t *testing.T) {
	files := map[string]string{"/var/run/secrets/tls-cert/tls.crt": "", "/etc/kuma.io/config.yaml": ""}
	for text, want := range map[string]string{
		"/var/run/secrets/tls-cert/tls.crt":      "/d/var/run/secrets/tls-cert/tls.crt",
		"/var/run/secrets/tls-cert":              "/d/var/run/secrets/tls-cert",
		"--config-file=/etc/kuma.io/config.yaml": "--config-file=/d/etc/kuma.io/config.yaml",
		"--log-output-path=":                     "--log-output-path=",
		"/var/run/secrets/other":                 "/var/run/secrets/other",
		"grpcs://127.0.0.1:5685":                 "grpcs://127.0.0.1:5685",
		"":                                       "",
	} {
		if got := within("/d", files, text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// A program says which product it is, and of which version; one that says nothing of the kind is an error.
func TestAProgramSaysWhatItIs(t *testing.T) {
	for said, want := range map[string]struct {
		product Product
		version string
	}{
		"Product:       Kuma\nVersion:       2.14.3\nGit Tag:       v2.14.3": {Kuma, "2.14.3"},
		"Product:       Kong Mesh\nVersion:       v2.13.5":                   {KongMesh, "2.13.5"},
		"Kuma 2.14.3": {},
	} {
		path := filepath.Join(t.TempDir(), "kuma-cp")
		if err := os.WriteFile(path, []byte("#!/bin/sh\ncat <<E\n"+said+"\nE\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		product, version, err := ProgramVersion(t.Context(), path)
		if product != want.product || version != want.version || (err == nil) != (want.version != "") {
			t.Errorf("%q: %s %s, %v", said, product, version, err)
		}
	}
}
