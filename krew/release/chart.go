package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// chartName is the name of the Helm chart, which its archive begins with.
const chartName = "xcpauth-webhook"

// stamps are what the chart of the tree says in place of what a release decides, by file.
func stamps(b build, repository, digest string) map[string]map[string]string {
	return map[string]map[string]string{
		"Chart.yaml": {"version: 0.0.0\n": "version: " + strings.TrimPrefix(b.Version, "v") + "\n",
			"appVersion: devel\n": "appVersion: " + b.Version + "\n"},
		"values.yaml": {"  repository: " + defaultRegistry + "/xcpauth-webhook\n": "  repository: " + repository + "\n",
			"  digest: \"\"\n": "  digest: " + digest + "\n"},
	}
}

// chart packs the Helm chart, with its version and the webhook's image by digest. reference is that image's name with
// its tag and digest.
func chart(root string, b build, reference string) (name string, packed []byte, err error) {
	tagged, digest, found := strings.Cut(reference, "@")
	repository := tagged[:max(strings.LastIndex(tagged, ":"), 0)]
	if !found || repository == "" {
		return "", nil, fmt.Errorf("packing the chart: image %q has no tag and digest", reference)
	}
	stamped := stamps(b, repository, digest)
	var files []file
	from := filepath.Join(root, "chart")
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		for old, with := range stamped[name] {
			if bytes.Count(text, []byte(old)) != 1 {
				return fmt.Errorf("%s has not one line %q", name, old)
			}
			text = bytes.Replace(text, []byte(old), []byte(with), 1)
		}
		files = append(files, file{chartName + "/" + name, 0o644, text})
		return nil
	})
	if err != nil {
		return "", nil, fmt.Errorf("reading the chart: %w", err)
	}
	packed, err = packTar(files, b.Date)
	if err != nil {
		return "", nil, fmt.Errorf("packing the chart: %w", err)
	}
	return fmt.Sprintf("%s-%s.tgz", chartName, strings.TrimPrefix(b.Version, "v")), packed, nil
}
