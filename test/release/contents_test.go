package release

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// isComplete holds what a release published against itself: everything has its checksum, each archive and image has its
// bill of materials, and each binary's own build information agrees with that bill and with the notices next to it.
func isComplete(t *testing.T, dist string) {
	names := entries(t, dist)
	sums := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(read(t, filepath.Join(dist, "checksums.txt"))), "\n") {
		sum, name, _ := strings.Cut(line, "  ")
		sums[name] = sum
	}
	valid := schema(t)
	archives := 0
	for _, name := range names {
		st, err := os.Stat(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%10d %s", st.Size(), name)
		if name == "checksums.txt" {
			continue
		}
		content := []byte(read(t, filepath.Join(dist, name)))
		if sum := sha256.Sum256(content); sums[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: checksums.txt has %q of it", name, sums[name])
		}
		if strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".zip") || strings.HasSuffix(name, ".tar") {
			archives++
			bill := []byte(read(t, filepath.Join(dist, name+".cdx.json")))
			if err := valid(bill); err != nil {
				t.Errorf("%s.cdx.json: %v", name, err)
			}
			files := contents(t, filepath.Join(dist, name))
			if wrong := disagreements(t, name, bill, files); len(wrong) > 0 {
				t.Errorf("%s: %q", name, wrong)
			}
			notices := files["THIRD_PARTY_NOTICES"]
			files["THIRD_PARTY_NOTICES"] = bytes.Replace(notices, []byte("\n  k8s.io/client-go "), []byte("\n  another "), 1)
			bill = bytes.ReplaceAll(bill, []byte(`"name": "k8s.io/client-go"`), []byte(`"name": "another"`))
			if wrong := disagreements(t, name, bill, files); len(wrong) != 3 {
				t.Errorf("%s: without one module in its bill and notices: %q", name, wrong)
			}
		}
	}
	if len(sums) != len(names)-1 {
		t.Errorf("checksums.txt has %d files, of %d", len(sums), len(names)-1)
	}
	// the plugin for two platforms, the webhook, and an image of each
	if want := 5; len(strings.Split(*platforms, ",")) == 2 && archives != want {
		t.Errorf("%d archives and images, want %d: %q", archives, want, names)
	}
}

// disagreements holds the bill of materials and the notices of an archive against the build information of its one
// binary, and says what is wrong.
func disagreements(t *testing.T, name string, bill []byte, files map[string][]byte) (wrong []string) {
	t.Helper()
	var read cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(bill), cdx.BOMFileFormatJSON).Decode(&read); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	billed := map[string]bool{}
	for _, c := range *read.Components {
		if c.Type == cdx.ComponentTypeLibrary {
			billed[c.Name+" "+c.Version] = true
		}
	}
	if !bytes.Contains(files["LICENSE"], []byte("Apache License")) {
		wrong = append(wrong, "no LICENSE")
	}
	info := infoOf(t, name, files)
	linked := []string{"std " + info.GoVersion}
	for _, d := range info.Deps {
		linked = append(linked, d.Path+" "+d.Version)
	}
	for _, l := range linked {
		if !billed[l] {
			wrong = append(wrong, "its bill of materials lacks "+l)
		}
		if !bytes.Contains(files["THIRD_PARTY_NOTICES"], []byte("\n  "+l+"  ")) {
			wrong = append(wrong, "its notices lack "+l)
		}
		delete(billed, l)
	}
	if len(linked) < 30 || len(billed) > 0 {
		wrong = append(wrong, fmt.Sprintf("it links %d modules, and its bill has others: %v", len(linked), billed))
	}
	return wrong
}

// infoOf is the build information of the one binary among the files.
func infoOf(t *testing.T, name string, files map[string][]byte) *debug.BuildInfo {
	t.Helper()
	for _, binary := range []string{"kubectl-xcpauth", "kubectl-xcpauth.exe", "xcpauth-webhook"} {
		if files[binary] != nil {
			info, err := buildinfo.Read(bytes.NewReader(files[binary]))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return info
		}
	}
	t.Fatalf("%s has no binary", name)
	return nil
}

// contents are the files of an archive, or of an image for one platform, by name.
func contents(t *testing.T, archive string) map[string][]byte {
	t.Helper()
	switch {
	case strings.HasSuffix(archive, ".zip"):
		return unzipped(t, archive)
	case strings.HasSuffix(archive, "_image.tar"):
		img, _ := released(t, archive)
		layers, err := img.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%s has %d layers, %v; want one", archive, len(layers), err)
		}
		packed, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		return untarred(t, packed)
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return untarred(t, packed)
}

func untarred(t *testing.T, packed io.Reader) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	untar(t, packed, dir)
	files := map[string][]byte{}
	for _, name := range entries(t, dir) {
		files[name] = []byte(read(t, filepath.Join(dir, name)))
	}
	return files
}

func unzipped(t *testing.T, archive string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return files
}

// schema validates by the schema that CycloneDX publishes, which comes with its library.
func schema(t *testing.T) func(bill []byte) error {
	t.Helper()
	dir, err := output(t.Context(), "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, name := range []string{"bom-1.6.schema.json", "spdx.schema.json", "jsf-0.82.schemax.json"} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(read(t, filepath.Join(dir, "schema", name))))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.AddResource(doc.(map[string]any)["$id"].(string), doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	compiled, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(bill []byte) error {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(bill))
		if err != nil {
			return err
		}
		return compiled.Validate(doc)
	}
}

// The schema refuses what is no bill of materials, so that its consent says something.
func TestTheSchemaOfBillsOfMaterialsRefusesWhatIsNone(t *testing.T) {
	valid := schema(t)
	bill := func(license, serial string) []byte {
		b := cdx.NewBOM()
		b.SerialNumber = serial
		b.Components = &[]cdx.Component{{Type: cdx.ComponentTypeLibrary, Name: "a",
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: license}}}}}
		var out bytes.Buffer
		if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	const serial = "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79"
	if err := valid(bill("MIT", serial)); err != nil {
		t.Errorf("it refuses a good one: %v", err)
	}
	for name, bad := range map[string][]byte{
		"a licence that SPDX does not know": bill("Ours-1.0", serial), "no serial number": bill("MIT", "7"),
		"another format": []byte(`{"bomFormat":"SPDX","specVersion":"1.6"}`), "no object": []byte("[]"),
	} {
		if !json.Valid(bad) || valid(bad) == nil {
			t.Errorf("it accepts one with %s", name)
		}
	}
}
