package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unpacked are the files of an archive.
func unpacked(t *testing.T, packed []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = string(text)
	}
}

func TestTheChartHasTheVersionAndTheImageByDigest(t *testing.T) {
	b := build{Version: "v1.2.3", Date: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)}
	const reference = "example.test:5000/team/xcpauth-webhook:v1.2.3@sha256:abc"
	name, packed, err := chart("../..", b, reference)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := chart("../..", b, reference); err != nil || !bytes.Equal(packed, again) {
		t.Errorf("packing it again gives other bytes: %v", err)
	}
	files := unpacked(t, packed)
	for file, has := range map[string]string{
		"Chart.yaml":                             "version: 1.2.3\nappVersion: v1.2.3\n",
		"values.yaml":                            "  repository: example.test:5000/team/xcpauth-webhook\n",
		"values.schema.json":                     "certificates",
		"templates/NOTES.txt":                    "helm uninstall",
		"templates/_helpers.tpl":                 "xcpauth.image",
		"files/dashboard.json":                   "panels",
		"templates/service-xcpauth-webhook.yaml": "kind: Service",
	} {
		if text := files["xcpauth-webhook/"+file]; !strings.Contains(text, has) {
			t.Errorf("%s lacks %q:\n%s", file, has, text)
		}
	}
	if !strings.Contains(files["xcpauth-webhook/values.yaml"], "  digest: sha256:abc\n") || name != "xcpauth-webhook-1.2.3.tgz" {
		t.Errorf("%s has no digest:\n%s", name, files["xcpauth-webhook/values.yaml"])
	}
}

func TestAChartThatCannotBeStampedIsAnError(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "chart"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "chart", "Chart.yaml"), []byte("version: 1.0.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for reference, says := range map[string]string{"x:v1@sha256:abc": "Chart.yaml has not one line", "x:v1": "no tag and digest",
		"x@sha256:abc": "no tag and digest"} {
		if _, _, err := chart(root, build{Version: "v1.0.0"}, reference); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", reference, err, says)
		}
	}
}
