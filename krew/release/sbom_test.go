package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// itself is this test's own binary for two platforms: it was linked by Go as the programs are.
func itself(t *testing.T) []linkedBinary {
	t.Helper()
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	modules := []module{{"std", info.GoVersion, []text{{"LICENSE", "text", []string{"BSD-3-Clause"}}}}}
	for _, d := range info.Deps {
		modules = append(modules, module{d.Path, d.Version, []text{{"LICENSE", "text", []string{"MIT", "Apache-2.0"}}}})
	}
	if len(modules) < 10 {
		t.Fatalf("the test was linked from %d modules: this shows nothing", len(modules))
	}
	return []linkedBinary{{artifact{platform{"linux", "amd64"}, webhook}, binary, modules},
		{artifact{platform{"linux", "arm64"}, webhook}, append(slices.Clone(binary), 0), modules}}
}

var container = subject{kind: cdx.ComponentTypeContainer, name: "ghcr.io/a/b", purl: "pkg:oci/b@sha256:00",
	sha256: strings.Repeat("0", 64)}

func TestABillOfMaterialsLeadsFromTheImageToEachModule(t *testing.T) {
	binaries := itself(t)
	bill, err := sbom(container, named, binaries)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sbom(container, named, binaries)
	if err != nil || !bytes.Equal(bill, again) {
		t.Errorf("the same bytes gave another bill: %v", err)
	}
	var read cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(bill), cdx.BOMFileFormatJSON).Decode(&read); err != nil {
		t.Fatal(err)
	}
	needs := map[string][]string{}
	for _, d := range *read.Dependencies {
		if d.Dependencies != nil {
			needs[d.Ref] = *d.Dependencies
		}
	}
	top := read.Metadata.Component
	if top.PackageURL != container.purl || (*top.Hashes)[0].Value != container.sha256 || top.Version != "v1.2.3" ||
		read.Metadata.Timestamp != "2026-01-31T10:00:00Z" {
		t.Errorf("it is of %+v at %s", top, read.Metadata.Timestamp)
	}
	const program = "pkg:golang/github.com/xcpauth/kubectl-xcpauth@v1.2.3?goarch=%s&goos=linux#webhook/xcpauth-webhook"
	amd, arm := strings.Replace(program, "%s", "amd64", 1), strings.Replace(program, "%s", "arm64", 1)
	if got := needs[top.BOMRef]; !slices.Equal(got, []string{amd, arm}) {
		t.Errorf("the image contains %q", got)
	}
	components := map[string]cdx.Component{}
	for _, c := range *read.Components {
		components[c.BOMRef] = c
	}
	if a, b := (*components[amd].Hashes)[0].Value, (*components[arm].Hashes)[0].Value; a == b ||
		a != digest(binaries[0].binary) {
		t.Errorf("the binaries have the digests %s and %s", a, b)
	}
	if len(needs[amd]) != len(binaries[0].modules) || !slices.Equal(needs[amd], needs[arm]) {
		t.Errorf("the binary needs %d components, of %d modules", len(needs[amd]), len(binaries[0].modules))
	}
	for _, ref := range needs[amd] {
		c := components[ref]
		if c.Type != cdx.ComponentTypeLibrary || c.Version == "" || c.PackageURL != ref || len(*c.Licenses) == 0 {
			t.Errorf("%s: %+v", ref, c)
		}
	}
	if std := needs[amd][slices.IndexFunc(needs[amd], func(ref string) bool {
		return strings.HasPrefix(ref, "pkg:golang/std@1.")
	})]; components[std].Name != "std" {
		t.Errorf("the standard library is %+v", components[std])
	}
}

func TestABinaryOfAModuleWithoutALicenceHasNoBill(t *testing.T) {
	l := itself(t)[0]
	last := l.modules[len(l.modules)-1].path
	l.modules = l.modules[:len(l.modules)-1]
	if _, err := sbom(container, named, []linkedBinary{l}); err == nil || !strings.Contains(err.Error(), last) {
		t.Errorf("without the licence of %s: %v", last, err)
	}
	l.binary = []byte("no binary")
	if _, err := sbom(container, named, []linkedBinary{l}); err == nil ||
		!strings.Contains(err.Error(), "build information") {
		t.Errorf("of no binary: %v", err)
	}
}

// The name of a module is escaped as package URLs are, and its case is kept: vulnerability databases know it by that.
func TestPackageURLsOfModules(t *testing.T) {
	for want, c := range map[string][2]string{
		"pkg:golang/github.com/Azure/go-ansiterm@v0.0.1": {"github.com/Azure/go-ansiterm", "v0.0.1"},
		"pkg:golang/example.com/a/v2@v2.0.0%2Bincompatible": {"example.com/a/v2",
			"v2.0.0+incompatible"},
		"pkg:golang/std@1.26.8": {"std", "1.26.8"},
	} {
		if got := purlOf(c[0], c[1], nil, ""); got != want {
			t.Errorf("%s %s: got %s, want %s", c[0], c[1], got, want)
		}
	}
}
