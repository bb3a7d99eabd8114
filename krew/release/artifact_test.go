package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	date  = time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	texts = []file{{"LICENSE", 0o644, []byte("licence")}, {noticesFile, 0o644, []byte("notices")}}
)

func TestArchiveHoldsTheBinaryItsTextsAndTheCompletion(t *testing.T) {
	for _, c := range []struct {
		artifact
		name string
		want []string
	}{
		{artifact{platform{"linux", "amd64"}, plugin}, "kubectl-xcpauth_v1.2.3_linux_amd64.tar.gz",
			[]string{"LICENSE -rw-r--r-- licence", "THIRD_PARTY_NOTICES -rw-r--r-- notices",
				"kubectl-xcpauth -rwxr-xr-x binary", "kubectl_complete-xcpauth -rwxr-xr-x " + completion}},
		{artifact{platform{"darwin", "arm64"}, plugin}, "kubectl-xcpauth_v1.2.3_darwin_arm64.tar.gz",
			[]string{"LICENSE -rw-r--r-- licence", "THIRD_PARTY_NOTICES -rw-r--r-- notices",
				"kubectl-xcpauth -rwxr-xr-x binary", "kubectl_complete-xcpauth -rwxr-xr-x " + completion}},
		{artifact{platform{"windows", "amd64"}, plugin}, "kubectl-xcpauth_v1.2.3_windows_amd64.zip",
			[]string{"LICENSE -rw-r--r-- licence", "THIRD_PARTY_NOTICES -rw-r--r-- notices",
				"kubectl-xcpauth.exe -rwxr-xr-x binary"}},
		{artifact{platform{"linux", "arm64"}, webhook}, "xcpauth-webhook_v1.2.3_linux_arm64.tar.gz",
			[]string{"LICENSE -rw-r--r-- licence", "THIRD_PARTY_NOTICES -rw-r--r-- notices",
				"xcpauth-webhook -rwxr-xr-x binary"}},
	} {
		if got := c.archive(build{Version: "v1.2.3"}); got != c.name {
			t.Errorf("got the name %s, want %s", got, c.name)
		}
		packed, err := pack(c.artifact, []byte("binary"), texts, date)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := unpack(t, c.name, packed); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// unpack lists an archive: name, mode and content of each entry, whose date must be the given one.
func unpack(t *testing.T, name string, packed []byte) []string {
	t.Helper()
	var got []string
	add := func(name string, mode fmt.Stringer, at time.Time, r io.Reader) {
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !at.Equal(date) {
			t.Errorf("%s is of %s, want %s", name, at, date)
		}
		got = append(got, fmt.Sprintf("%s %s %s", name, mode, b))
	}
	if strings.HasSuffix(name, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(f.Name, f.Mode(), f.Modified, r)
		}
		return got
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s has an owner: %d:%d %s:%s", h.Name, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		add(h.Name, h.FileInfo().Mode(), h.ModTime, r)
	}
}

func TestPlatformsAreThoseOfARelease(t *testing.T) {
	got, err := parsePlatforms("linux/amd64,windows/arm64")
	if err != nil || !slices.Equal(got, []platform{{"linux", "amd64"}, {"windows", "arm64"}}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "linux", "plan9/amd64", "linux/amd64,", "linux/amd64,linux/amd64"} {
		if got, err := parsePlatforms(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}
