package release

import (
	"archive/tar"
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// TestTheImagesRunAndTheInstallationNamesOne builds a release for this machine.
func TestTheImagesRunAndTheInstallationNamesOne(t *testing.T) {
	dist := t.TempDir()
	if err := Build(t.Context(), "-dist", dist, "-platforms", "linux/"+runtime.GOARCH, "-images", "-registry",
		"registry.example.com/team",
		"-version", "v1.2.3", "-commit", "0123", "-date", "2026-01-31T10:00:00Z"); err != nil {
		t.Fatal(err)
	}
	digest := ""
	for program, runs := range map[string]struct{ args, says string }{
		"kubectl-xcpauth": {"version", "kubectl-xcpauth v1.2.3 (commit 0123"}, "xcpauth-webhook": {"--version", "v1.2.3\n"},
	} {
		img, of := released(t, filepath.Join(dist, program+"_v1.2.3_image.tar"))
		if out := runImage(t, img, runs.args); !strings.HasPrefix(out, runs.says) {
			t.Errorf("the entrypoint of %s said %q, want %q", program, out, runs.says)
		}
		want := "registry.example.com/team/" + program + ":v1.2.3@" + of + "\n"
		if named := read(t, filepath.Join(dist, "images.txt")); !strings.Contains(named, want) {
			t.Errorf("images.txt lacks %s:\n%s", want, named)
		}
		if program == "xcpauth-webhook" {
			digest = of
		}
	}

	sums, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"install.yaml", "install-cert-manager.yaml"} {
		text, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		// the webhook's Deployment and the auditor's, and no other image
		want := "image: registry.example.com/team/xcpauth-webhook:v1.2.3@" + digest + "\n"
		if n := strings.Count(string(text), want); n != 2 || strings.Count(string(text), " image: ") != n {
			t.Errorf("%s names %s %d times, of %d images", name, want, n, strings.Count(string(text), " image: "))
		}
		if !strings.Contains(string(sums), "  "+name+"\n") {
			t.Errorf("checksums.txt lacks %s", name)
		}
		if kinds := decoded(t, name, text); !slices.Contains(kinds, "Deployment") ||
			!slices.Contains(kinds, "ValidatingWebhookConfiguration") || !slices.Contains(kinds, "CustomResourceDefinition") {
			t.Errorf("%s holds %q", name, kinds)
		}
	}
}

// runImage unpacks an image and runs its entrypoint, with nothing in its environment, as a container has it.
func runImage(t *testing.T, img v1.Image, args string) string {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || config.Architecture != runtime.GOARCH ||
		c.Labels["org.opencontainers.image.version"] != "v1.2.3" {
		t.Errorf("the image's config: %+v", config)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v; want one", len(layers), err)
	}
	packed, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	untar(t, packed, root)
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, config.Config.Entrypoint[0]), args)
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%q %s: %v", config.Config.Entrypoint, args, err)
	}
	return string(out)
}

// released is the one image in an archive, and the digest of its index.
func released(t *testing.T, archive string) (v1.Image, string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	untar(t, f, dir)
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(top); err != nil {
		t.Errorf("the archive: %v", err)
	}
	m, err := top.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("%+v, %v; want one image", m, err)
	}
	index, err := top.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := index.IndexManifest()
	if err != nil || len(platforms.Manifests) != 1 {
		t.Fatalf("%+v, %v; want one platform", platforms, err)
	}
	img, err := index.Image(platforms.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img, m.Manifests[0].Digest.String()
}

// untar unpacks regular files below a directory.
func untar(t *testing.T, packed io.Reader, dir string) {
	t.Helper()
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, h.FileInfo().Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

// decoded lists the kinds of a manifest. Those of Kubernetes itself are decoded strictly: an unknown or doubled field
// is an error.
func decoded(t *testing.T, name string, text []byte) (kinds []string) {
	t.Helper()
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		doc, err := docs.Read()
		if err == io.EOF {
			return kinds
		}
		if err != nil {
			t.Fatal(err)
		}
		var head metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kinds = append(kinds, head.Kind)
		_, _, err = strict.Decode(doc, nil, nil)
		foreign := slices.Contains([]string{"apiextensions.k8s.io", "cert-manager.io"}, head.GroupVersionKind().Group)
		if err != nil && !foreign {
			t.Errorf("%s: %s: %v", name, head.Kind, err)
		}
	}
}
