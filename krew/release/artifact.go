package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// platform is one that krew installs on.
type platform struct{ OS, Arch string }

// all are the platforms of a release.
var all = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"}}

// program is a command of this module. says is a sentence about it.
type program struct{ name, pkg, says string }

var (
	plugin = program{"kubectl-xcpauth", "./plugin/kubectl-xcpauth",
		"Plugin of kubectl that moves a service mesh from mutual TLS to one JWT per cluster."}
	webhook = program{"xcpauth-webhook", "./webhook/xcpauth-webhook",
		"Admission webhook that denies the edits of a ManagementPlane that would cut a member off from its hub."}
)

// platforms are those that the program is released for: the webhook runs in a cluster.
func (p program) platforms() []platform {
	if p == webhook {
		return slices.DeleteFunc(slices.Clone(all), func(at platform) bool { return at.OS != "linux" })
	}
	return all
}

// completion is what kubectl (1.26 and later) runs to complete the plugin's arguments. It is a shell script, so it is
// not in the archives for Windows.
const completion = "#!/bin/sh\nexec kubectl xcpauth __complete \"$@\"\n"

// completionCommand puts that script where krew puts plugins; it survives an upgrade, which a link into krew's store
// does not.
const completionCommand = `f="${KREW_ROOT:-$HOME/.krew}/bin/kubectl_complete-xcpauth"; printf '%s\n' '#!/bin/sh' 'exec kubectl xcpauth __complete "$@"' >"$f" && chmod +x "$f"`

// artifact is a program on a platform.
type artifact struct {
	platform
	program
}

// binary is the file's name in the archive.
func (a artifact) binary() string {
	if a.OS == "windows" {
		return a.name + ".exe"
	}
	return a.name
}

// archive is the archive's name.
func (a artifact) archive(b build) string {
	ext := ".tar.gz"
	if a.OS == "windows" {
		ext = ".zip"
	}
	return fmt.Sprintf("%s_%s_%s_%s%s", a.name, b.Version, a.OS, a.Arch, ext)
}

// parsePlatforms reads os/arch pairs; only those of a release are accepted, each once.
func parsePlatforms(list string) ([]platform, error) {
	if list == "all" {
		return all, nil
	}
	var ps []platform
	for _, word := range strings.Split(list, ",") {
		goos, arch, _ := strings.Cut(word, "/")
		p := platform{goos, arch}
		if !slices.Contains(all, p) || slices.Contains(ps, p) {
			return nil, fmt.Errorf("-platforms has %q, which is unknown or there twice; pass some of %v as os/arch", word, all)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// compile returns the linked binary, as goTool fixes it.
func compile(root string, a artifact, b build) ([]byte, error) {
	dir, err := os.MkdirTemp("", "xcpauth-release-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the binary: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, a.binary())
	if _, err := goTool(root, a.platform, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags",
		b.ldflags(), "-o", file, a.pkg); err != nil {
		return nil, fmt.Errorf("compiling %s for %s/%s: %w", a.name, a.OS, a.Arch, err)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the binary: %w", err)
	}
	return binary, nil
}

// file is one entry of an archive.
type file struct {
	name string
	mode int64
	data []byte
}

// pack makes the archive: the texts, the binary and the completion script of the plugin. Nothing of this machine is in
// it: no owner, no modes but the two, one date.
func pack(a artifact, binary []byte, texts []file, date time.Time) ([]byte, error) {
	files := append(slices.Clone(texts), file{a.binary(), 0o755, binary})
	if a.program == plugin && a.OS != "windows" {
		files = append(files, file{"kubectl_complete-xcpauth", 0o755, []byte(completion)})
	}
	if a.OS == "windows" {
		return packZip(files, date)
	}
	return packTar(files, date)
}

func packTar(files []file, date time.Time) ([]byte, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: date,
			Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func packZip(files []file, date time.Time) ([]byte, error) {
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: date}
		h.SetMode(os.FileMode(f.mode))
		w, err := z.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// digest is a sha256 in the lower-case hex that krew wants.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
