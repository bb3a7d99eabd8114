package state

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// Manifest is what was taken of a manifest for one member.
type Manifest struct {
	Secrets []map[string]any // to be written, with the documented keys alone
	Ignored []string         // everything else that was in it: "Secret elastic-credentials"
}

// ServiceAccountSecret is the secret from which the operator mints the tokens of a cluster.
const ServiceAccountSecret = SecretServiceAccount

// maxManifest is the longest manifest that is read: a cluster's secrets are some kilobytes.
const maxManifest = 4 << 20

// manifestKeys are the secrets that are ever taken of a manifest, with their keys (the vendor's charts).
var manifestKeys = map[string][]string{SecretToken: {"jwt"}, SecretServiceAccount: {"clusterFqn", "jwk"},
	SecretCA: {"ca.crt"}, SecretMPCA: {"ca.crt"}}

// ReadManifest takes the secrets that a member wants from a manifest of YAML documents, as tctl prints one or another
// team provides it, as it is at the given time:
//
//  1. decode each document strictly; a List counts as its items;
//  2. leave alone everything that is not wanted, and say what that is;
//  3. refuse what is for another namespace, there twice, or could not be used (see faults), everything that is wrong at
//     once.
//
// The error says what to do, and never contains a value of a secret.
func ReadManifest(text []byte, s plan.Supply, at time.Time) (Manifest, error) {
	var m Manifest
	objects, err := documents(text)
	if err != nil {
		return m, err
	}
	var wrong []string
	taken := map[string]bool{}
	for _, o := range objects {
		kind, _ := o["kind"].(string)
		meta, _ := o["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		ns, _ := meta["namespace"].(string)
		wanted := kind == "Secret" && o["apiVersion"] == "v1" && (slices.Contains(s.Wants, name) ||
			slices.Contains(s.Adds, name)) && manifestKeys[name] != nil
		switch {
		case !wanted:
			m.Ignored = append(m.Ignored, printable(kind)+" "+printable(name))
			continue
		case ns != "" && ns != s.Namespace:
			wrong = append(wrong, fmt.Sprintf("secret %s is for namespace %s, and the control plane is in %s: make it with --controlplane %s", name, printable(ns), s.Namespace, s.Namespace))
			continue
		case taken[name]:
			wrong = append(wrong, fmt.Sprintf("secret %s is in it twice: leave the right one", name))
			continue
		}
		taken[name] = true
		data, other, why := secretData(o, manifestKeys[name])
		if why != "" {
			wrong = append(wrong, fmt.Sprintf("secret %s: %s", name, why))
			continue
		}
		for _, key := range other {
			m.Ignored = append(m.Ignored, fmt.Sprintf("key %s of Secret %s", printable(key), name))
		}
		if why := faults(name, data, s, at); why != "" {
			wrong = append(wrong, fmt.Sprintf("secret %s: %s", name, why))
			continue
		}
		m.Secrets = append(m.Secrets, secretObject(s.Namespace, name, data))
	}
	if len(wrong) > 0 {
		return Manifest{}, errors.New(strings.Join(wrong, "; "))
	}
	return m, nil
}

// Lacks says what a member would still lack with the secrets of the manifest, "" when it could connect: a credential,
// and a CA when it wants one.
func (m Manifest) Lacks(s plan.Supply) string {
	has := func(name string) bool {
		return slices.ContainsFunc(m.Secrets, func(o map[string]any) bool { return Field(o, "metadata", "name") == name })
	}
	wants := func(name string) bool { return slices.Contains(s.Wants, name) }
	switch {
	case wants(SecretCA) && !has(SecretCA):
		return "there is no secret " + SecretCA +
			" with the CA that signs Central's certificate; make it with --xcp-central-ca-bundle"
	case has(SecretServiceAccount) || has(SecretToken):
		return ""
	case wants(SecretServiceAccount):
		return fmt.Sprintf("there is neither a secret %s nor %s; make them with: tctl install manifest control-plane-secrets --cluster %s", SecretServiceAccount, SecretToken, s.ClusterName)
	case wants(SecretToken):
		return fmt.Sprintf("there is no secret %s, and the %s that lies in the cluster should mint one but does not; look at the log of tsb-operator-control-plane for \"token rotation failed\"", SecretToken, SecretServiceAccount)
	}
	return ""
}

// ServiceAccount makes the secret of a service account from its private key, as `tctl install
// cluster-service-account` prints it.
func ServiceAccount(jwk []byte, s plan.Supply) (map[string]any, error) {
	if s.FullName == "" {
		return nil, fmt.Errorf("the ManagementPlane names no organization (spec.organization), so the full name of cluster %s is not known; hand a manifest over with --secrets", s.ClusterName)
	}
	data := map[string][]byte{"clusterFqn": []byte(s.FullName), "jwk": bytes.TrimSpace(jwk)}
	if why := accountFault(data, s); why != "" {
		return nil, errors.New(why)
	}
	return secretObject(s.Namespace, SecretServiceAccount, data), nil
}

func secretObject(ns, name string, data map[string][]byte) map[string]any {
	encoded := map[string]any{}
	for key, v := range data {
		encoded[key] = base64.StdEncoding.EncodeToString(v)
	}
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{"name": name, "namespace": ns}, "data": encoded}
}

var errorLine = regexp.MustCompile(`line (\d+)`)

// documents decodes the objects of a manifest.
func documents(text []byte) ([]map[string]any, error) {
	if len(text) > maxManifest {
		return nil, fmt.Errorf("it is %d bytes long, more than a cluster's secrets can be (%d)", len(text), maxManifest)
	}
	var all []map[string]any
	split := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for n := 1; ; n++ {
		doc, err := split.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d is not YAML", n)
		}
		b, err := yaml.YAMLToJSONStrict(doc)
		if err != nil { // in its own words it may quote what it could not read
			if line := errorLine.FindString(err.Error()); line != "" {
				return nil, fmt.Errorf("document %d is not YAML, or has a key twice (its %s)", n, line)
			}
			return nil, fmt.Errorf("document %d is not YAML, or has a key twice", n)
		}
		if string(bytes.TrimSpace(b)) == "null" {
			continue
		}
		var o map[string]any
		if json.Unmarshal(b, &o) != nil {
			return nil, fmt.Errorf("document %d is not a Kubernetes object: it has no keys", n)
		}
		items, isList := o["items"].([]any)
		if kind, _ := o["kind"].(string); !isList || !strings.HasSuffix(kind, "List") {
			items = []any{o}
		}
		for _, item := range items {
			one, _ := item.(map[string]any)
			if kind, _ := one["kind"].(string); kind == "" {
				return nil, fmt.Errorf("document %d is not a Kubernetes object: it has no kind", n)
			}
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no object")
	}
	return all, nil
}

// secretData decodes the values of a Secret as the API server would: stringData wins over data. It returns the keys
// that are not among those wanted, too.
func secretData(o map[string]any, want []string) (data map[string][]byte, other []string, why string) {
	data = map[string][]byte{}
	for _, from := range []string{"data", "stringData"} {
		values, isMap := o[from].(map[string]any)
		if o[from] != nil && !isMap {
			return nil, nil, from + " is not a map"
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if !slices.Contains(want, key) {
				other = append(other, key)
				continue
			}
			v, isText := values[key].(string)
			if !isText {
				return nil, nil, fmt.Sprintf("key %s of %s is not text", key, from)
			}
			data[key] = []byte(v)
			if from == "data" {
				b, err := base64.StdEncoding.DecodeString(v)
				if err != nil {
					return nil, nil, fmt.Sprintf("key %s of data is not base64; text as it is goes under stringData", key)
				}
				data[key] = b
			}
		}
	}
	for _, key := range want {
		if len(data[key]) == 0 {
			return nil, nil, "key " + key + " is missing or empty"
		}
	}
	return data, other, ""
}

// faults says why a secret could not be used, "" when it can.
func faults(name string, data map[string][]byte, s plan.Supply, at time.Time) string {
	switch name {
	case SecretToken:
		info, err := token.Inspect(data["jwt"])
		switch {
		case err != nil:
			return fmt.Sprintf("key jwt cannot be used: %v", err)
		case !info.Expires.IsZero() && !at.Before(info.Expires):
			return fmt.Sprintf("the token expired at %s; make it again with: tctl install manifest control-plane-secrets --cluster %s", info.Expires.Format(time.RFC3339), s.ClusterName)
		}
	case SecretServiceAccount:
		return accountFault(data, s)
	case SecretCA, SecretMPCA:
		if _, err := pki.Bundle(data["ca.crt"]); err != nil {
			return fmt.Sprintf("key ca.crt: %v; give it the CA in PEM", err)
		}
		if name == SecretCA && len(s.Chain) > 0 {
			if why := pki.Trusts(data["ca.crt"], s.Chain, "", at); why != "" {
				return fmt.Sprintf("with it the edge would refuse Central's certificate: %s; give it the CA that signs that certificate", why)
			}
		}
	}
	return ""
}

// accountFault says why a service account could not be used by the member, "" when it can: it must be the cluster's
// own, and its key a private one.
func accountFault(data map[string][]byte, s plan.Supply) string {
	fqn := string(data["clusterFqn"])
	var key struct {
		Type    string `json:"kty"`
		Private string `json:"d"`
	}
	again := "; make it again with: tctl install cluster-service-account --cluster " + s.ClusterName
	switch {
	case strings.TrimSpace(fqn) != fqn:
		return "clusterFqn has white space at its start or end, such as a trailing newline; store it without"
	case s.FullName != "" && fqn != s.FullName:
		return fmt.Sprintf("clusterFqn is %q, and this cluster is %q; take the manifest of this cluster",
			clip(fqn), s.FullName)
	case !strings.HasSuffix(fqn, "/clusters/"+s.ClusterName):
		return fmt.Sprintf("clusterFqn is %q, and this cluster is %q; take the manifest of this cluster",
			clip(fqn), s.ClusterName)
	case json.Unmarshal(data["jwk"], &key) != nil:
		return "jwk is not a JSON web key" + again
	case !slices.Contains([]string{"RSA", "EC", "OKP"}, key.Type):
		return "jwk is not an RSA, EC or OKP key" + again
	case key.Private == "":
		return "jwk is a public key, and the operator signs with the private one" + again
	}
	return ""
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// printable makes a word of a manifest safe to print.
func printable(word string) string {
	if plainName.MatchString(word) {
		return clip(word)
	}
	return fmt.Sprintf("%q", clip(word))
}

// clip shortens what a message quotes.
func clip(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:77], "") + "..."
	}
	return text
}
