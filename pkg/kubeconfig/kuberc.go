package kubeconfig

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	authexec "k8s.io/client-go/plugin/pkg/client/auth/exec"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/homedir"
	"sigs.k8s.io/yaml"
)

// policy is which credential plugins a user lets run: what kubectl's preferences say of it (kuberc, KEP-3104).
type policy struct {
	clientcmdapi.PluginPolicy
	file string
	err  error // the file cannot be read: which plugins may run is unknown, so none does
}

// preference is what is read of a kuberc. kubectl's own reader, k8s.io/kubectl/pkg/kuberc, brings all its commands.
type preference struct {
	APIVersion                string                           `json:"apiVersion"`
	Kind                      string                           `json:"kind"`
	CredentialPluginPolicy    clientcmdapi.PolicyType          `json:"credentialPluginPolicy"`
	CredentialPluginAllowlist []struct{ Name, Command string } `json:"credentialPluginAllowlist"`
}

// loadPolicy finds the kuberc as kubectl does: a flag, $KUBERC, ~/.kube/kuberc. One that is named and missing is an
// error; the one at the default place need not be there.
func loadPolicy(flag string) (policy, error) {
	env := os.Getenv("KUBERC")
	switch {
	case env == "off" && flag != "":
		return policy{}, errors.New("--kuberc names a file and KUBERC=off turns it off; use one of them")
	case env == "off" || strings.EqualFold(os.Getenv("KUBECTL_KUBERC"), "false"):
		return policy{}, nil
	}
	p := policy{file: filepath.Join(homedir.HomeDir(), ".kube", "kuberc")}
	named := true
	switch {
	case flag != "":
		p.file = flag
	case env != "":
		p.file = env
	default:
		named = false
	}
	text, err := os.ReadFile(p.file)
	switch {
	case errors.Is(err, os.ErrNotExist) && !named:
		return policy{}, nil
	case err != nil && named:
		return policy{}, fmt.Errorf("reading the kuberc: %w", err)
	case err != nil:
		p.err = err
		return p, nil
	}
	if p.PluginPolicy, p.err = readPolicy(text); p.err == nil {
		p.err = authexec.ValidatePluginPolicy(p.PluginPolicy)
	}
	return p, nil
}

// readPolicy reads the first Preference of a file, of whatever version.
func readPolicy(text []byte) (clientcmdapi.PluginPolicy, error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		switch {
		case errors.Is(err, io.EOF):
			return clientcmdapi.PluginPolicy{}, nil
		case err != nil:
			return clientcmdapi.PluginPolicy{}, err
		}
		asJSON, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return clientcmdapi.PluginPolicy{}, err
		}
		var kind struct{ APIVersion, Kind string }
		if json.Unmarshal(asJSON, &kind) != nil || kind.Kind != "Preference" || !strings.HasPrefix(kind.APIVersion,
			"kubectl.config.k8s.io/") {
			continue // something else, as kubectl passes over it
		}
		var p preference
		if err := json.Unmarshal(asJSON, &p); err != nil {
			return clientcmdapi.PluginPolicy{}, err
		}
		return p.policy()
	}
}

// policy is a preference in client-go's words. The name of an entry is an older word for its command.
func (p preference) policy() (clientcmdapi.PluginPolicy, error) {
	got := clientcmdapi.PluginPolicy{PolicyType: p.CredentialPluginPolicy}
	if p.CredentialPluginAllowlist != nil {
		got.Allowlist = []clientcmdapi.AllowlistEntry{}
	}
	for i, e := range p.CredentialPluginAllowlist {
		switch {
		case e.Command == "":
			e.Command = e.Name
		case e.Name != "" && e.Name != e.Command:
			return got, fmt.Errorf("entry %d of credentialPluginAllowlist has a name and another command; leave the name out",
				i+1)
		}
		got.Allowlist = append(got.Allowlist, clientcmdapi.AllowlistEntry{Command: e.Command})
	}
	return got, nil
}

// refuses says why a command may not be run, in kubectl's words; "" when it may. An entry of the list allows the
// program that it leads to, by its path or as the PATH finds it.
func (p policy) refuses(cmd *exec.Cmd, command string) string {
	if p.err != nil {
		return fmt.Sprintf("is not run, since what %s allows cannot be told: %v", p.file, p.err)
	}
	switch p.PolicyType {
	case "", clientcmdapi.PluginPolicyAllowAll:
		return ""
	case clientcmdapi.PluginPolicyDenyAll:
		return fmt.Sprintf("is not allowed: policy set to %q in %s", p.PolicyType, p.file)
	case clientcmdapi.PluginPolicyAllowlist: // below
	}
	path, err := exec.LookPath(cmd.Path)
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return "" // running it says so
	case err != nil:
		return fmt.Sprintf("cannot be resolved for the credential plugin allowlist in %s: %v", p.file, err)
	}
	for _, e := range p.Allowlist {
		if e.Command == command || e.Command == path {
			return ""
		}
		if found, err := exec.LookPath(e.Command); err == nil && found == path {
			return ""
		}
	}
	return fmt.Sprintf("is not permitted by the credential plugin allowlist in %s: its path is %s", p.file, path)
}
