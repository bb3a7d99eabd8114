package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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

// joined builds the image of a program's binary for both platforms.
func joined(t *testing.T, of program, binary string) *imageIndex {
	t.Helper()
	images := map[platform]v1.Image{}
	for _, p := range []platform{{"linux", "amd64"}, {"linux", "arm64"}} {
		img, err := image(artifact{p, of}, named, []byte(binary+p.Arch), texts)
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
	one, two, other := joined(t, webhook, "binary"), joined(t, webhook, "binary"), joined(t, webhook, "another")
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
	for _, of := range []program{plugin, webhook} {
		t.Run(of.name, func(t *testing.T) { isABinaryOnNothing(t, of) })
	}
}

func isABinaryOnNothing(t *testing.T, of program) {
	i := joined(t, of, "binary-")
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
		if c.Config.User != "65532:65532" || !slices.Equal(c.Config.Entrypoint, []string{"/" + of.name}) ||
			c.OS != d.Platform.OS || c.Architecture != d.Platform.Architecture || !c.Created.Equal(date) {
			t.Errorf("%s: config %+v of %s for %s/%s", d.Platform, c.Config, c.Created, c.OS, c.Architecture)
		}
		for label, want := range map[string]string{"version": "v1.2.3", "revision": "0123", "created": "2026-01-31T10:00:00Z",
			"licenses": "Apache-2.0", "title": of.name, "description": of.says} {
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
			"THIRD_PARTY_NOTICES -rw-r--r-- notices",
			of.name + " -rwxr-xr-x binary-" + c.Architecture}; !slices.Equal(got, want) {
			t.Errorf("%s: the layer holds %q, want %q", d.Platform, got, want)
		}
	}
	if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("platforms %q", platforms)
	}
}

func TestTheImagesArchiveIsAnOCILayout(t *testing.T) {
	i := joined(t, webhook, "binary")
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

func TestPushingPutsTheImagesIntoARegistry(t *testing.T) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	team := strings.TrimPrefix(s.URL, "http://") + "/team"
	dist := t.TempDir()
	var references []string
	for _, of := range []program{plugin, webhook} {
		i := joined(t, of, "binary")
		packed, err := i.archive(named)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dist, imageArchive(of.name, named.Version)), string(packed))
		references = append(references, team+"/"+of.name+":v1.2.3@"+i.digest.String())
	}
	write(t, filepath.Join(dist, imagesFile), strings.Join(references, "\n")+"\n")
	if err := run([]string{"-push", "-dist", dist}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, reference := range references {
		tagged, digest, _ := strings.Cut(reference, "@")
		tag, err := imagename.NewTag(tagged)
		if err != nil {
			t.Fatal(err)
		}
		if head, err := remote.Head(tag); err != nil || head.Digest.String() != digest {
			t.Errorf("%s leads to %+v, %v; want %s", tagged, head, err, digest)
		}
		got, err := remote.Index(tag.Digest(digest))
		if err != nil {
			t.Fatalf("what images.txt names is not there: %v", err)
		}
		if err := validate.Index(got); err != nil {
			t.Error(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := push(ended, dist, io.Discard); err == nil {
		t.Error("an ended context pushed")
	}
}

// What was not built and checked is not pushed.
func TestOnlyTheImagesOfADistributionArePushed(t *testing.T) {
	dist := t.TempDir()
	i := joined(t, webhook, "binary")
	packed, err := i.archive(named)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dist, imageArchive(webhook.name, named.Version)), string(packed))
	if err := push(t.Context(), dist, io.Discard); err == nil || !strings.Contains(err.Error(), "with -images") {
		t.Errorf("without images.txt: %v", err)
	}
	for reference, want := range map[string]string{
		"registry.example.com/xcpauth-webhook:v1.2.3":                               "reading its digest",
		"registry.example.com/xcpauth-webhook@" + i.digest.String():                 "reading its name",
		"registry.example.com/xcpauth-webhook:v1.2.4@" + i.digest.String():          "xcpauth-webhook_v1.2.4_image.tar",
		"registry.example.com/another:v1.2.3@" + i.digest.String():                  "another_v1.2.3_image.tar",
		"registry.example.com/xcpauth-webhook:v1.2.3@sha256:" + digest([]byte("x")): "finding that digest",
	} {
		write(t, filepath.Join(dist, imagesFile), reference+"\n")
		if err := push(t.Context(), dist, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", reference, err, want)
		}
	}
}

func TestAnImagesArchiveWritesNothingOutsideItsDirectory(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	packed, err := packTar([]file{{"../outside", 0o644, nil}}, date)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	tarred, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "archive.tar")
	write(t, archive, string(tarred))
	if err := unpackFiles(archive, inside); err == nil {
		t.Error("it was unpacked")
	}
	if _, err := os.Stat(filepath.Join(dir, "outside")); !os.IsNotExist(err) {
		t.Errorf("the file outside: %v", err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheInstallationNamesTheImageByItsDigest(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, i := range installs {
		got, err := install(root, named, i.overlay, i.says, "registry.example.com/team/hook:v1.2.3@sha256:abc")
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
	if _, err := install(dir, named, "self-signed", "", "a"); err == nil {
		t.Error("a checkout without manifests gave one")
	}
	if err := os.MkdirAll(filepath.Join(dir, "manifests", "rendered"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifests", "rendered", "self-signed.yaml"), []byte("image: other\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := install(dir, named, "self-signed", "", "a"); err == nil ||
		!strings.Contains(err.Error(), "0 times") {
		t.Errorf("a manifest without the image: %v", err)
	}
}

func TestAnImageNeedsALinuxPlatform(t *testing.T) {
	o := options{registry: defaultRegistry, build: named}
	_, err := o.image(webhook, texts, []linkedBinary{{artifact: artifact{platform{"darwin", "arm64"}, webhook}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("got %v", err)
	}
}

func TestWhatAnEarlierBuildWroteIsSweptOut(t *testing.T) {
	dist := t.TempDir()
	kept := filepath.Join(dist, "notes.txt")
	for _, name := range []string{"notes.txt", "install.yaml", "install-cert-manager.yaml", "images.txt", "xcpauth.yaml",
		"checksums.txt", "xcpauth-webhook_v0.0.1_image.tar", "kubectl-xcpauth_v0.0.1_linux_amd64.tar.gz.cdx.json",
		"kubectl-xcpauth_v0.0.1_THIRD_PARTY_NOTICES.txt"} {
		write(t, filepath.Join(dist, name), "")
	}
	if _, err := newDistribution(dist); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dist, "*")); err != nil || !slices.Equal(left, []string{kept}) {
		t.Errorf("left: %q, %v", left, err)
	}
}
