package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is in the chart is what is written of the manifests now, and nothing of before is left.
func TestTheTemplatesAreThoseOfTheManifests(t *testing.T) {
	t.Chdir("../..")
	var text [2]string
	for i, overlay := range []string{"self-signed", "cert-manager"} {
		b, err := os.ReadFile(filepath.Join("manifests", "rendered", overlay+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		text[i] = string(b)
	}
	want, err := templates(text[0], text[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rules.yaml", "scrape.yaml", "dashboard.json"} {
		b, err := os.ReadFile(filepath.Join("manifests", "monitoring", name))
		if err != nil {
			t.Fatal(err)
		}
		want[filepath.Join("files", name)] = string(b)
	}
	got := map[string]string{}
	for _, pattern := range []string{"templates/*.yaml", "files/*"} {
		files, err := filepath.Glob(filepath.Join("chart", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if name := strings.TrimPrefix(file, "chart/"); name != "templates/monitoring.yaml" {
				got[name] = string(b)
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("run make generate (-written now +in the chart):\n%s", d)
	}
}

func TestALineThatTheValuesChangeAndThatIsGoneIsAnError(t *testing.T) {
	_, err := valued("deployment-xcpauth-webhook", "kind: Deployment\n")
	if err == nil || !strings.Contains(err.Error(), "deployment-xcpauth-webhook has no line") {
		t.Errorf("%v", err)
	}
}
