package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
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

// image puts a static binary and its texts on an empty base. There are no CA certificates: those of API servers come
// with their kubeconfigs. Its digest depends on its content and the date of the commit alone.
func image(a artifact, b build, binary []byte, texts []file) (v1.Image, error) {
	packed, err := packTar(append(slices.Clone(texts), file{a.binary(), 0o755, binary}), b.Date)
	if err != nil {
		return nil, fmt.Errorf("packing the image's layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)), nil
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
				"org.opencontainers.image.description": a.says,
				"org.opencontainers.image.source":      home,
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
	top, err := layout.Write(dir, empty.Index)
	if err != nil {
		return nil, fmt.Errorf("writing the image: %w", err)
	}
	if err := top.AppendIndex(i.index,
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

// imagesFile names the images of a distribution, each by its tag and digest on a line of its own.
const imagesFile = "images.txt"

// imageArchive is the name of an image's archive.
func imageArchive(program, version string) string { return program + "_" + version + "_image.tar" }

// push writes the images that are in a distribution to where images.txt says, with the credentials that docker or
// podman have stored. What is pushed is what was built and checked: nothing is built here.
func push(ctx context.Context, dist string, log io.Writer) error {
	named, err := os.ReadFile(filepath.Join(dist, imagesFile))
	if err != nil {
		return fmt.Errorf("reading which images there are: %w; build them first, with -images", err)
	}
	for _, reference := range strings.Fields(string(named)) {
		if err := pushOne(ctx, dist, reference); err != nil {
			return fmt.Errorf("pushing %s: %w", reference, err)
		}
		fmt.Fprintf(log, "Pushed %s.\n", reference)
	}
	return nil
}

// pushOne pushes the image that is named REPOSITORY:TAG@DIGEST from its archive.
func pushOne(ctx context.Context, dist, reference string) error {
	tagged, digest, _ := strings.Cut(reference, "@")
	tag, err := imagename.NewTag(tagged, imagename.StrictValidation)
	if err != nil {
		return fmt.Errorf("reading its name: %w", err)
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		return fmt.Errorf("reading its digest: %w", err)
	}
	dir, err := os.MkdirTemp("", "xcpauth-image-")
	if err != nil {
		return fmt.Errorf("making a directory for the image: %w", err)
	}
	defer os.RemoveAll(dir)
	archive := imageArchive(filepath.Base(tag.RepositoryStr()), tag.TagStr())
	if err := unpackFiles(filepath.Join(dist, archive), dir); err != nil {
		return fmt.Errorf("unpacking %s: %w", archive, err)
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return fmt.Errorf("reading %s: %w", archive, err)
	}
	found, err := top.ImageIndex(hash)
	if err != nil {
		return fmt.Errorf("finding that digest in %s: %w; build again, with -images", archive, err)
	}
	return remote.WriteIndex(tag, found, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

// unpackFiles unpacks the files of a tar into a directory that holds nothing else.
func unpackFiles(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir) // what a name in the archive says stays below it
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := root.MkdirAll(path.Dir(h.Name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, content, 0o644); err != nil {
			return err
		}
	}
}
