package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	imagename "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var named = build{Version: "v1.2.3", Commit: "0123", Date: date}

// joined builds the image of a binary for both platforms.
func joined(t *testing.T, binary string) *imageIndex {
	t.Helper()
	images := map[platform]v1.Image{}
	for _, p := range []platform{{"linux", "amd64"}, {"linux", "arm64"}} {
		img, err := image(artifact{p, webhook}, named, []byte(binary+p.Arch), []byte("licence"))
		if err != nil {
			t.Fatal(err)
		}
		images[p] = img
	}
	i, err := index(images)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestTheSameBinariesGiveTheSameImage(t *testing.T) {
	one, two, other := joined(t, "binary"), joined(t, "binary"), joined(t, "another")
	if one.digest != two.digest || one.digest == other.digest {
		t.Errorf("digests %s and %s of the same, %s of another", one.digest, two.digest, other.digest)
	}
	a, errA := one.archive(named)
	b, errB := two.archive(named)
	if err := errors.Join(errA, errB); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the archives differ: %v", err)
	}
}

func TestTheImageIsABinaryOnNothing(t *testing.T) {
	i := joined(t, "binary-")
	m, err := i.index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, d := range m.Manifests {
		platforms = append(platforms, d.Platform.String())
		img, err := i.index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c.Config.User != "65532:65532" || !slices.Equal(c.Config.Entrypoint, []string{"/xcpauth-webhook"}) ||
			c.OS != d.Platform.OS || c.Architecture != d.Platform.Architecture || !c.Created.Equal(date) {
			t.Errorf("%s: config %+v of %s for %s/%s", d.Platform, c.Config, c.Created, c.OS, c.Architecture)
		}
		for label, want := range map[string]string{"version": "v1.2.3", "revision": "0123", "created": "2026-01-31T10:00:00Z",
			"licenses": "Apache-2.0", "title": "xcpauth-webhook"} {
			if got := c.Config.Labels["org.opencontainers.image."+label]; got != want {
				t.Errorf("%s: label %s is %q, want %q", d.Platform, label, got, want)
			}
		}
		layers, err := img.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers, %v; want one", len(layers), err)
		}
		r, err := layers[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		packed, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := unpack(t, "layer.tar.gz", packed), []string{"LICENSE -rw-r--r-- licence",
			"xcpauth-webhook -rwxr-xr-x binary-" + c.Architecture}; !slices.Equal(got, want) {
			t.Errorf("%s: the layer holds %q, want %q", d.Platform, got, want)
		}
	}
	if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("platforms %q", platforms)
	}
}

func TestTheImagesArchiveIsAnOCILayout(t *testing.T) {
	i := joined(t, "binary")
	packed, err := i.archive(named)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(packed)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(date) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s is of %s, owned by %d %q", h.Name, h.ModTime, h.Uid, h.Uname)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(string(files["oci-layout"]), "imageLayoutVersion") ||
		!strings.Contains(string(files["index.json"]), i.digest.String()) {
		t.Errorf("oci-layout %q, index.json %q", files["oci-layout"], files["index.json"])
	}
	if _, ok := files["blobs/sha256/"+i.digest.Hex]; !ok {
		t.Error("the index is not among the blobs")
	}
}

func TestPushingPutsTheImageIntoARegistry(t *testing.T) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	reference := strings.TrimPrefix(s.URL, "http://") + "/team/xcpauth-webhook:v1.2.3"
	i := joined(t, "binary")
	if err := i.push(t.Context(), reference); err != nil {
		t.Fatal(err)
	}
	by, err := imagename.NewDigest(repositoryOf(reference) + "@" + i.digest.String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Index(by)
	if err != nil {
		t.Fatalf("what install.yaml would name is not there: %v", err)
	}
	if err := validate.Index(got); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "no tag", "registry.example.com/a"} {
		if err := i.push(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "with a tag") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.push(ended, reference); err == nil {
		t.Error("an ended context pushed")
	}
}

func TestTheInstallationNamesTheImageByItsDigest(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, i := range installs {
		got, err := install(root, named, i.overlay, i.says, "registry.example.com/team/hook", "sha256:abc")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), "        image: registry.example.com/team/hook:v1.2.3@sha256:abc\n") ||
			strings.Contains(string(got), ":devel") {
			t.Errorf("%s does not name the image by its digest", i.name)
		}
		reviewed, err := os.ReadFile(filepath.Join(root, "manifests", "rendered", i.overlay+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		rest := strings.Replace(string(got), "registry.example.com/team/hook:v1.2.3@sha256:abc", webhookImage, deployments)
		if !strings.HasSuffix(rest, string(reviewed)) {
			t.Errorf("%s is more than the reviewed manifest with its image", i.name)
		}
	}
	dir := t.TempDir()
	if _, err := install(dir, named, "self-signed", "", "a", "b"); err == nil {
		t.Error("a checkout without manifests gave one")
	}
	if err := os.MkdirAll(filepath.Join(dir, "manifests", "rendered"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifests", "rendered", "self-signed.yaml"), []byte("image: other\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := install(dir, named, "self-signed", "", "a", "b"); err == nil ||
		!strings.Contains(err.Error(), "0 times") {
		t.Errorf("a manifest without the image: %v", err)
	}
}

func TestARepositoryIsAReferenceWithoutItsTag(t *testing.T) {
	for reference, want := range map[string]string{"ghcr.io/a/b:v1": "ghcr.io/a/b", "localhost:5000/b": "localhost:5000/b",
		"localhost:5000/b:v1": "localhost:5000/b"} {
		if got := repositoryOf(reference); got != want {
			t.Errorf("%s: %s, want %s", reference, got, want)
		}
	}
}

func TestOnlyTheWebhooksImageCanBePushed(t *testing.T) {
	if err := run([]string{"-push", "registry.example.com/a:v1"}, io.Discard, io.Discard); err == nil ||
		!strings.Contains(err.Error(), "pass -webhook too") {
		t.Errorf("got %v", err)
	}
}

func TestAnEarlierInstallationIsSweptOut(t *testing.T) {
	dist := t.TempDir()
	kept := filepath.Join(dist, "notes.txt")
	for _, file := range []string{kept, filepath.Join(dist, "install.yaml"),
		filepath.Join(dist, "install-cert-manager.yaml"), filepath.Join(dist, "xcpauth-webhook_v0.0.1_image.tar")} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweep(dist); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dist, "*")); err != nil || !slices.Equal(left, []string{kept}) {
		t.Errorf("left: %q, %v", left, err)
	}
}
