package kubeconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/pkg/apis/clientauthentication"
	"k8s.io/client-go/pkg/apis/clientauthentication/install"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/xcpauth/kubectl-xcpauth/pkg/redact"
)

// CredentialError says why a credential plugin gave no credential. What the plugin printed is in it, without what
// looks like a secret.
type CredentialError struct {
	Command string
	Why     string
	Cause   error // set when it was stopped since nobody waited any longer

	ended bool // by itself
}

func (e *CredentialError) Error() string {
	return fmt.Sprintf("the context's credential plugin %s %s", clean(e.Command), e.Why)
}

func (e *CredentialError) Unwrap() error { return e.Cause }

// credential is what a plugin returned.
type credential struct {
	token     string
	cert, key []byte
	expires   time.Time // zero when it does not say
}

// credentialCodecs knows the versions of the protocol between a client and its plugins.
var credentialCodecs = func() serializer.CodecFactory {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	return serializer.NewCodecFactory(scheme)
}()

// info is what a plugin is told of the cluster.
type info struct {
	version schema.GroupVersion
	cluster *clientauthentication.Cluster // nil unless the exec block asks for it
	shared  string                        // cluster, encoded: plugins that are told different things are different
}

// execInfo makes what a plugin is told, in the version that its exec block asks for.
func execInfo(plugin *clientcmdapi.ExecConfig, cfg *rest.Config) (info, error) {
	version, err := schema.ParseGroupVersion(plugin.APIVersion)
	if err != nil || version.Group != clientauthentication.GroupName || (version.Version != "v1" &&
		version.Version != "v1beta1") {
		return info{}, &CredentialError{Command: plugin.Command,
			Why: fmt.Sprintf("is of apiVersion %q, which is none of client.authentication.k8s.io/v1 and v1beta1",
				plugin.APIVersion)}
	}
	i := info{version: version}
	if plugin.ProvideClusterInfo {
		with := rest.CopyConfig(cfg)
		with.ExecProvider = plugin
		if i.cluster, err = rest.ConfigToExecCluster(with); err != nil {
			return info{}, fmt.Errorf("telling the credential plugin %s about its cluster: %w", plugin.Command, err)
		}
		shared, err := i.encode(false)
		if err != nil {
			return info{}, err
		}
		i.shared = string(shared)
	}
	return i, nil
}

func (i info) encode(interactive bool) ([]byte, error) {
	b, err := runtime.Encode(credentialCodecs.LegacyCodec(i.version),
		&clientauthentication.ExecCredential{Spec: clientauthentication.ExecCredentialSpec{Interactive: interactive,
			Cluster: i.cluster}})
	if err != nil {
		return nil, fmt.Errorf("encoding what a credential plugin is told: %w", err)
	}
	return b, nil
}

// maxOutput bounds what a plugin may print; a credential is some kilobytes.
const maxOutput = 1 << 20

// run runs a plugin once, if it may, within a time. With a terminal it asks there; without, it runs in a session of its
// own, so that it can take no terminal. It prints to stderr; what of that is kept is in the error.
func (p policy) run(ctx context.Context, plugin *clientcmdapi.ExecConfig, info info, terminal *os.File,
	stderr io.Writer, within *limit) (*credential, error) {
	fail := func(format string, args ...any) error {
		return &CredentialError{Command: plugin.Command, Why: fmt.Sprintf(format, args...)}
	}
	told, err := info.encode(terminal != nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := within.bound(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Clean(plugin.Command), plugin.Args...)
	if why := p.refuses(cmd, filepath.Clean(plugin.Command)); why != "" {
		return nil, fail("%s", why)
	}
	cmd.Env = os.Environ()
	for _, e := range plugin.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.Env = append(cmd.Env, "KUBERNETES_EXEC_INFO="+string(told))
	out := &capped{}
	cmd.Stdout, cmd.Stderr = out, stderr
	if terminal != nil {
		cmd.Stdin = terminal
	} else {
		separate(cmd)
	}
	cmd.WaitDelay = time.Second // for the pipes that a child of it may hold
	err = cmd.Run()
	var printed []byte
	if k, ok := stderr.(keeper); ok {
		printed = k.kept()
	}
	var exit *exec.ExitError
	switch {
	case errors.Is(context.Cause(ctx), errLimit):
		return nil, fail("did not end within %s and was stopped%s", within, said(printed))
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &exit):
		return nil, &CredentialError{Command: plugin.Command, Why: fmt.Sprintf("ended with exit code %d%s", exit.ExitCode(),
			said(printed)), ended: true}
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		hint := ""
		if plugin.InstallHint != "" {
			hint = ": " + redact.Text(clean(strings.Join(strings.Fields(plugin.InstallHint), " ")))
		}
		return nil, fail("is not installed%s", hint)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return nil, fail("could not be run: %v", err)
	}
	return decodeCredential(out.Bytes(), info.version, fail)
}

// decodeCredential reads what a plugin printed. No error repeats any of it.
func decodeCredential(printed []byte, version schema.GroupVersion, fail func(string,
	...any) error) (*credential, error) {
	got := &clientauthentication.ExecCredential{}
	_, kind, err := credentialCodecs.UniversalDecoder(version).Decode(printed, nil, got)
	switch {
	case err != nil:
		return nil, fail("did not print an ExecCredential")
	case kind.GroupVersion() != version:
		return nil, fail("printed an ExecCredential of %s, where its exec block says %s", kind.GroupVersion(), version)
	case got.Status == nil:
		return nil, fail("printed an ExecCredential without a status")
	case got.Status.Token == "" && got.Status.ClientCertificateData == "" && got.Status.ClientKeyData == "":
		return nil, fail("printed neither a token nor a certificate")
	case (got.Status.ClientCertificateData == "") != (got.Status.ClientKeyData == ""):
		return nil, fail("printed a certificate without its key, or a key without its certificate")
	}
	c := &credential{token: got.Status.Token, cert: []byte(got.Status.ClientCertificateData),
		key: []byte(got.Status.ClientKeyData)}
	if t := got.Status.ExpirationTimestamp; t != nil {
		c.expires = t.Time
	}
	return c, nil
}

// keeper is a writer that still has what was written to it.
type keeper interface{ kept() []byte }

// capped keeps the beginning of what is written to it.
type capped struct{ bytes.Buffer }

func (c *capped) kept() []byte { return c.Bytes() }

func (c *capped) Write(p []byte) (int, error) {
	c.Buffer.Write(p[:min(len(p), max(0, maxOutput-c.Len()))])
	return len(p), nil
}
