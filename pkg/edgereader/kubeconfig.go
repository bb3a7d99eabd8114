package edgereader

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Kubeconfig is all that a kubeconfig of a reader may say.
type Kubeconfig struct {
	Server     string      // "https://host" or "https://host:port"
	CA         []byte      // PEM; the only CAs that are trusted
	ServerName string      // what the certificate must be for; "" = the host of Server
	Namespace  string      // of the reader's service account
	Token      plan.Secret // of the service account
}

// Limits of a kubeconfig.
const (
	maxKubeconfig = 64 << 10
	maxToken      = 16 << 10
	maxCAs        = 32
)

// RefusedError says which field of a kubeconfig is refused. It never holds a value.
type RefusedError struct{ Field, Why string }

func (e *RefusedError) Error() string { return fmt.Sprintf("%s %s", e.Field, e.Why) }

func refuse(field, why string, args ...any) error {
	return &RefusedError{field, fmt.Sprintf(why, args...)}
}

const kubeconfigField = "the kubeconfig"

// Why fields of a kubeconfig that kubectl would obey are refused.
const (
	isPath        = "is a path of a file, which is never opened; write the data itself"
	isProgram     = "would run a program"
	isInsecure    = "would trust any certificate"
	isProxy       = "is a way past the edge's own address; edges are dialled directly"
	isBasic       = "is basic authentication; only a service account's token is taken"
	isClientCert  = "is a client certificate, which cannot be renewed; only a service account's token is taken"
	isImpersonate = "would act as somebody else"
	isUnknown     = "is not taken"
)

// refused are the fields that kubectl knows and that are refused by name; any other that is not taken is refused
// without.
var refused = map[string]string{
	"certificate-authority": isPath, "insecure-skip-tls-verify": isInsecure, "proxy-url": isProxy,
	"disable-compression": isUnknown,
	"client-certificate":  isPath, "client-certificate-data": isClientCert, "client-key": isPath,
	"client-key-data": isClientCert, "tokenFile": isPath,
	"as": isImpersonate, "as-uid": isImpersonate, "as-groups": isImpersonate, "as-user-extra": isImpersonate,
	"username": isBasic, "password": isBasic,
	"auth-provider": isProgram, "exec": isProgram, "extensions": isUnknown,
}

// Parse rebuilds a kubeconfig from the fields that it may have, each of them checked:
//
//  1. It is small, one document, and has each key once.
//  2. It has one cluster, one user and one context, which refer to each other.
//  3. The cluster is an address (https, a host and a port) with the data of its CA, and may name the server.
//  4. The user is a bearer token.
//
// Everything else is refused, whatever it is set to, so that a field that Kubernetes adds is refused until somebody
// has read what it does.
func Parse(text []byte) (Kubeconfig, error) {
	var k Kubeconfig
	switch {
	case len(text) == 0:
		return k, refuse(kubeconfigField, "is empty")
	case len(text) > maxKubeconfig:
		return k, refuse(kubeconfigField, "is larger than %d KiB", maxKubeconfig>>10)
	case bytes.Contains(text, []byte("\n---")):
		return k, refuse(kubeconfigField, "has more than one document")
	}
	var top any
	b, err := yaml.YAMLToJSONStrict(text)
	if err == nil {
		err = json.Unmarshal(b, &top)
	}
	if err != nil {
		// the parser's own words may hold a part of it
		return k, refuse(kubeconfigField, "is not YAML or JSON with each key once")
	}
	fields, err := taken(top, kubeconfigField, "apiVersion", "kind", "preferences", "clusters", "users", "contexts",
		"current-context")
	if err != nil {
		return k, err
	}
	for field, want := range map[string]string{"apiVersion": "v1", "kind": "Config"} {
		if v, there := fields[field]; there && v != want {
			return k, refuse(field, "is not %s", want)
		}
	}
	if p, there := fields["preferences"]; there && p != nil {
		if _, err := taken(p, "preferences"); err != nil {
			return k, err
		}
	}
	clusterName, cluster, err := only(fields, "clusters", "cluster", "server", "certificate-authority-data",
		"tls-server-name")
	if err != nil {
		return k, err
	}
	userName, user, err := only(fields, "users", "user", "token")
	if err != nil {
		return k, err
	}
	contextName, context, err := only(fields, "contexts", "context", "cluster", "user", "namespace")
	if err != nil {
		return k, err
	}
	for _, f := range []struct {
		field     string
		got, want any
	}{{"contexts[0].context.cluster", context["cluster"], clusterName}, {"contexts[0].context.user", context["user"],
		userName}, {"current-context", fields["current-context"], contextName}} {
		if f.got != f.want {
			return k, refuse(f.field, "does not name the one that there is")
		}
	}
	return rebuild(cluster, user, context)
}

// rebuild takes the fields that hold something.
func rebuild(cluster, user, context map[string]any) (Kubeconfig, error) {
	var k Kubeconfig
	for _, f := range []struct {
		field string
		v     any
		set   func(string) error
	}{
		{"clusters[0].cluster.server", cluster["server"], func(v string) (err error) {
			k.Server,
				err = address(v)
			return err
		}},
		{"clusters[0].cluster.certificate-authority-data", cluster["certificate-authority-data"],
			func(v string) (err error) { k.CA, err = authorities(v); return err }},
		{"clusters[0].cluster.tls-server-name", cluster["tls-server-name"],
			func(v string) error { k.ServerName = v; return serverName(v) }},
		{"contexts[0].context.namespace", context["namespace"],
			func(v string) error { k.Namespace = v; return namespace(v) }},
		{"users[0].user.token", user["token"],
			func(v string) error { k.Token = plan.NewSecret([]byte(v)); return bearer(v) }},
	} {
		text, isText := f.v.(string)
		if f.v == nil && strings.HasSuffix(f.field, "tls-server-name") {
			continue
		}
		if !isText {
			return Kubeconfig{}, refuse(f.field, "is missing, or no text")
		}
		if err := f.set(text); err != nil {
			return Kubeconfig{}, refuse(f.field, "%v", err)
		}
	}
	return k, nil
}

// taken returns the fields of an object if it has none but the named ones.
func taken(v any, field string, names ...string) (map[string]any, error) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, refuse(field, "is not an object")
	}
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	unknown := false
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if why := refused[key]; why != "" && !known[key] {
			return nil, refuse(field+"."+key, "%s", why)
		}
		unknown = unknown || !known[key]
	}
	if unknown {
		return nil, refuse(field, "has a field that is not taken; it may have: %s", strings.Join(names, ", "))
	}
	return fields, nil
}

// only returns the name and the fields of the one entry of a list.
func only(top map[string]any, list, what string, names ...string) (string, map[string]any, error) {
	entries, ok := top[list].([]any)
	if !ok || len(entries) != 1 {
		return "", nil, refuse(list, "is not a list of exactly one")
	}
	field := list + "[0]"
	entry, err := taken(entries[0], field, "name", what)
	if err != nil {
		return "", nil, err
	}
	name, ok := entry["name"].(string)
	if !ok || name == "" {
		return "", nil, refuse(field+".name", "is missing, or no text")
	}
	fields, err := taken(entry[what], field+"."+what, names...)
	return name, fields, err
}

// address returns the address of an API server without anything that could lead elsewhere.
func address(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Opaque != "" || strings.ContainsAny(server, "@?#\\% ") ||
		(u.Path != "" && u.Path != "/") {
		return "", fmt.Errorf("is not https://HOST or https://HOST:PORT, and nothing else")
	}
	host, port := u.Hostname(), u.Port()
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return "", fmt.Errorf("is not the address of one host")
		}
	} else if len(validation.IsDNS1123Subdomain(strings.ToLower(host))) > 0 {
		return "", fmt.Errorf("has no host name or IP address")
	}
	if n, err := strconv.ParseUint(port, 10, 16); strings.HasSuffix(u.Host, ":") || port != "" && (err != nil || n == 0) {
		return "", fmt.Errorf("has no port between 1 and 65535")
	}
	return "https://" + u.Host, nil
}

// authorities returns the certificates of an encoded PEM bundle, and nothing but them.
func authorities(encoded string) ([]byte, error) {
	rest, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("is not base64")
	}
	var all []byte
	for n := 0; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil && (n == 0 || len(bytes.TrimSpace(rest)) > 0):
			return nil, fmt.Errorf("is not a PEM bundle of certificates")
		case block == nil:
			return all, nil
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("holds something other than certificates")
		case len(block.Headers) > 0:
			return nil, fmt.Errorf("holds a certificate with PEM headers, which readers of CA bundles skip")
		case n == maxCAs:
			return nil, fmt.Errorf("holds more than %d certificates", maxCAs)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("holds a certificate that cannot be read")
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
}

func serverName(name string) error {
	if _, err := netip.ParseAddr(name); err != nil && len(validation.IsDNS1123Subdomain(name)) > 0 {
		return fmt.Errorf("is not a DNS name")
	}
	return nil
}

func namespace(name string) error {
	if len(validation.IsDNS1123Label(name)) > 0 {
		return fmt.Errorf("is not the name of a namespace")
	}
	return nil
}

// b64token is what RFC 6750 allows after "Bearer".
var b64token = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

func bearer(token string) error {
	if len(token) > maxToken || !b64token.MatchString(token) {
		return fmt.Errorf("is not a bearer token of at most %d KiB", maxToken>>10)
	}
	return nil
}

// Encode writes the kubeconfig, with its secret; Parse reads the same again. The error says what Parse would refuse.
func (k Kubeconfig) Encode() ([]byte, error) {
	type named map[string]any
	cluster := named{"server": k.Server, "certificate-authority-data": base64.StdEncoding.EncodeToString(k.CA)}
	if k.ServerName != "" {
		cluster["tls-server-name"] = k.ServerName
	}
	b, err := yaml.Marshal(named{"apiVersion": "v1", "kind": "Config", "current-context": ReaderName,
		"clusters": []named{{"name": ReaderName, "cluster": cluster}},
		"users":    []named{{"name": ReaderName, "user": named{"token": string(k.Token.Reveal())}}},
		"contexts": []named{{"name": ReaderName, "context": named{"cluster": ReaderName, "user": ReaderName,
			"namespace": k.Namespace}}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the kubeconfig: %w", err)
	}
	if _, err := Parse(b); err != nil {
		return nil, err
	}
	return b, nil
}
