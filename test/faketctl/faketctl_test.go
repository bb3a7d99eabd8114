package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// tctl runs the commands in one configuration and returns what the last one printed.
func tctl(t *testing.T, commands ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	for _, c := range commands {
		out.Reset()
		cmd := root()
		cmd.SetArgs(strings.Fields(c))
		cmd.SetOut(&out)
		if err := cmd.ExecuteContext(context.Background()); err != nil {
			return out.String(), err
		}
	}
	return out.String(), nil
}

// profiles are two, the second in use.
var profiles = []string{
	"config clusters set one --bridge-address one.example.test:8443",
	"config clusters set two --bridge-address two.example.test:8443 --context other",
	"config users set admin --username admin --password canary --org example",
	"config profiles set default --cluster one --username admin",
	"config profiles set second --cluster two --username admin",
	"config profiles set-current second",
}

func TestProfilesSayWhereTheyLead(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(configEnv, filepath.Join(dir, "config.yaml"))
	exported := filepath.Join(dir, "exported.yaml")
	for _, c := range []struct{ name, command, want string }{
		{"the current one", "config profiles get-current", "second\n"},
		{"the one that the flag names", "config profiles get-current -p default", "default\n"},
		{"all of them", "config profiles list",
			"  CURRENT  NAME     CLUSTER  ACCOUNT\n           default  one      admin\n  *        second   two      admin\n"},
		{"an export", "config profiles export second --file " + exported, ""},
	} {
		got, err := tctl(t, append(profiles, c.command)...)
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	b, err := os.ReadFile(exported)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Clusters []struct {
			BridgeAddress string `json:"bridge-address"`
		}
	}
	if err := yaml.Unmarshal(b, &out); err != nil || len(out.Clusters) != 1 ||
		out.Clusters[0].BridgeAddress != "two.example.test:8443" {
		t.Errorf("exported %+v, %v", out, err)
	}
	if strings.Contains(string(b), "canary") {
		t.Error("the export has the password without being asked for it")
	}
	if all, err := tctl(t, "config view"); err != nil || !strings.Contains(all, "canary") {
		t.Errorf("the view shows no password: %v", err)
	}
}

func TestAProfileThatLeadsNowhereIsAnError(t *testing.T) {
	t.Setenv(configEnv, filepath.Join(t.TempDir(), "config.yaml"))
	t.Setenv(kubeconfigEnv, filepath.Join(t.TempDir(), "kubeconfig"))
	for _, command := range []string{"install cluster-service-account --cluster x",
		"install manifest control-plane-secrets", "version"} {
		if out, err := tctl(t, append(profiles, command)...); err == nil || !strings.Contains(err.Error(),
			"two.example.test:8443") {
			t.Errorf("%s: printed %q, error %v", command, out, err)
		}
	}
}

func TestBefore15ThereAreNoServiceAccounts(t *testing.T) {
	for version, want := range map[string]bool{"": true, "v1.4.6": false, "1.5.0": true, "v1.11.0-dev": true} {
		t.Setenv(versionEnv, version)
		if got := hasServiceAccounts(); got != want {
			t.Errorf("version %q: %v, want %v", version, got, want)
		}
		_, err := tctl(t, "install cluster-service-account")
		if unknown := err != nil && strings.Contains(err.Error(), "unknown command"); unknown == want {
			t.Errorf("version %q: the command answers %v", version, err)
		}
	}
}

func TestEveryRunIsLoggedWithItsArguments(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	t.Setenv(logEnv, log)
	t.Setenv(configEnv, filepath.Join(t.TempDir(), "config.yaml"))
	if err := run([]string{"config", "profiles", "get-current"}); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"no such command"}); err == nil {
		t.Error("an unknown command is carried out")
	}
	b, err := os.ReadFile(log)
	if want := `["tctl","config","profiles","get-current"]` + "\n" + `["tctl","no such command"]` + "\n"; err != nil ||
		string(b) != want {
		t.Errorf("the log is %q, %v; want %q", b, err, want)
	}
}
