package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	imagename "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageUser is who the process runs as: nobody in particular, and not root. The Deployment says the same.
const imageUser = "65532:65532"

// image puts a static binary and the licence on an empty base. There are no CA certificates: the API server's and
// those of registered edges come with their kubeconfigs. Its digest depends on its content and the date of the commit
// alone.
func image(a artifact, b build, binary, license []byte) (v1.Image, error) {
	packed, err := packTar([]file{{"LICENSE", 0o644, license}, {a.binary(), 0o755, binary}}, b.Date)
	if err != nil {
		return nil, fmt.Errorf("packing the image's layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)),
			nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("making the image's layer: %w", err)
	}
	date := v1.Time{Time: b.Date}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	configured, err := mutate.ConfigFile(base, &v1.ConfigFile{OS: a.OS, Architecture: a.Arch, Created: date,
		RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{
			User:       imageUser,
			Entrypoint: []string{"/" + a.binary()},
			WorkingDir: "/",
			Labels: map[string]string{
				"org.opencontainers.image.title":       a.name,
				"org.opencontainers.image.description": "Admission webhook that denies the edits of a ManagementPlane that would cut a member off from its hub.",
				"org.opencontainers.image.source":      "https://github.com/xcpauth/kubectl-xcpauth",
				"org.opencontainers.image.licenses":    "Apache-2.0",
				"org.opencontainers.image.version":     b.Version,
				"org.opencontainers.image.revision":    b.Commit,
				"org.opencontainers.image.created":     b.Date.Format(time.RFC3339),
			},
		}})
	if err != nil {
		return nil, fmt.Errorf("configuring the image: %w", err)
	}
	return mutate.Append(configured, mutate.Addendum{Layer: layer, History: v1.History{Created: date,
		CreatedBy: "krew/release"}})
}

// imageIndex is the image for several platforms.
type imageIndex struct {
	index  v1.ImageIndex
	digest v1.Hash
}

// index joins the images of the platforms.
func index(images map[platform]v1.Image) (*imageIndex, error) {
	joined := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range all { // in this order, so that the digest does not depend on a map's
		if img, ok := images[p]; ok {
			joined = mutate.AppendManifests(joined, mutate.IndexAddendum{Add: img,
				Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.OS, Architecture: p.Arch}}})
		}
	}
	digest, err := joined.Digest()
	if err != nil {
		return nil, fmt.Errorf("making the image's index: %w", err)
	}
	return &imageIndex{joined, digest}, nil
}

// archive returns the image as a tar of an OCI image layout, which podman, skopeo and crane read, and docker from
// version 25 on.
func (i *imageIndex) archive(b build) ([]byte, error) {
	dir, err := os.MkdirTemp("", "xcpauth-image-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the image: %w", err)
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return nil, fmt.Errorf("writing the image: %w", err)
	}
	if err := path.AppendIndex(i.index,
		layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": b.Version})); err != nil {
		return nil, fmt.Errorf("writing the image: %w", err)
	}
	var packed bytes.Buffer
	t := tar.NewWriter(&packed)
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error { // in lexical order
		if err != nil || d.IsDir() {
			return err
		}
		inside, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(inside), Mode: 0o644, Size: int64(len(content)),
			ModTime: b.Date, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err = t.Write(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("packing the image: %w", err)
	}
	if err := t.Close(); err != nil {
		return nil, fmt.Errorf("packing the image: %w", err)
	}
	return packed.Bytes(), nil
}

// push writes the image to a registry under a tag, with the credentials that docker or podman have stored.
func (i *imageIndex) push(ctx context.Context, reference string) error {
	tag, err := imagename.NewTag(reference, imagename.StrictValidation)
	if err != nil {
		return fmt.Errorf("-push is %q; pass a repository with a tag, such as registry.example.com/xcpauth-webhook:v0.1.0: %w", reference, err)
	}
	if err := remote.WriteIndex(tag, i.index, remote.WithContext(ctx),
		remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("pushing the image to %s: %w", tag, err)
	}
	return nil
}
