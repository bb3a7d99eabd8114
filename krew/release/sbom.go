package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
	"github.com/package-url/packageurl-go"
)

// sbomSuffix follows the name of the archive or image that a bill of materials is of.
const sbomSuffix = ".cdx.json"

// home is where this project is.
const home = "https://github.com/xcpauth/kubectl-xcpauth"

// authors is who supplies the programs.
const authors = "The kubectl-xcpauth authors"

// subject is what a bill of materials is of.
type subject struct {
	kind   cdx.ComponentType
	name   string
	purl   string // of an image
	url    string // where an archive is downloaded from
	sha256 string // in hex
}

// linkedBinary is a binary, with the modules that its program links.
type linkedBinary struct {
	artifact
	binary  []byte
	modules []module
}

// sbom is the bill of materials, CycloneDX in JSON: the subject contains the binaries, and each depends on the modules
// that its own build information names. Nothing else is asked, so the same bytes give the same bill.
func sbom(of subject, b build, binaries []linkedBinary) ([]byte, error) {
	top := cdx.Component{BOMRef: of.name, Type: of.kind, Name: of.name, Version: b.Version, PackageURL: of.purl,
		Supplier: &cdx.OrganizationalEntity{Name: authors, URL: &[]string{home}},
		Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: of.sha256}}, Licenses: licences("Apache-2.0")}
	if of.url != "" {
		top.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeDistribution, URL: of.url}}
	}
	parts := map[string]cdx.Component{}
	needs := map[string][]string{}
	for _, l := range binaries {
		program, modules, err := l.components(b)
		if err != nil {
			return nil, err
		}
		parts[program.BOMRef] = program
		needs[top.BOMRef] = append(needs[top.BOMRef], program.BOMRef)
		for _, m := range modules {
			parts[m.BOMRef] = m
			needs[program.BOMRef] = append(needs[program.BOMRef], m.BOMRef)
		}
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, []byte(home+"/"+of.name+"@"+of.sha256)).URN()
	bom.Metadata = &cdx.Metadata{Timestamp: b.Date.Format(time.RFC3339), Component: &top,
		Authors: &[]cdx.OrganizationalContact{{Name: authors}},
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "krew/release",
			Version: b.Version, ExternalReferences: &[]cdx.ExternalReference{{Type: cdx.ERTypeVCS, URL: home}}}}}}
	var components []cdx.Component
	dependencies := []cdx.Dependency{dependency(top.BOMRef, needs)}
	for _, ref := range slices.Sorted(maps.Keys(parts)) {
		components = append(components, parts[ref])
		dependencies = append(dependencies, dependency(ref, needs))
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).
		EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("writing the bill of materials of %s: %w", of.name, err)
	}
	return out.Bytes(), nil
}

// components are the program and what its binary says it was linked from.
func (l linkedBinary) components(b build) (program cdx.Component, modules []cdx.Component, err error) {
	info, err := buildinfo.Read(bytes.NewReader(l.binary))
	if err != nil {
		return program, nil, fmt.Errorf("reading the build information of %s for %s/%s: %w", l.name, l.OS, l.Arch, err)
	}
	kinds := map[string][]string{}
	for _, m := range l.modules {
		kinds[m.path] = m.kinds()
	}
	purl := purlOf(info.Main.Path, b.Version, map[string]string{"goos": l.OS, "goarch": l.Arch},
		strings.TrimPrefix(l.pkg, "./"))
	program = cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeApplication, Name: l.name, Version: b.Version,
		Description: l.says, PackageURL: purl, Licenses: licences("Apache-2.0"),
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: digest(l.binary)}}}
	add := func(name, version, purl string) error {
		if len(kinds[name]) == 0 {
			return fmt.Errorf("%s for %s/%s links %s, of which no licence was found: is it in the list of go list -deps?",
				l.name, l.OS, l.Arch, name)
		}
		modules = append(modules, cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: name, Version: version,
			PackageURL: purl, Licenses: licences(kinds[name]...), Scope: cdx.ScopeRequired})
		return nil
	}
	goVersion, _, _ := strings.Cut(info.GoVersion, " ") // experiments follow
	if err := add("std", goVersion, purlOf("std", strings.TrimPrefix(goVersion, "go"), nil, "")); err != nil {
		return program, nil, err
	}
	for _, d := range info.Deps {
		if err := add(d.Path, d.Version, purlOf(d.Path, d.Version, nil, "")); err != nil {
			return program, nil, err
		}
	}
	return program, modules, nil
}

// purlOf is the package URL of a Go module. Its case stays, since vulnerability databases know the module by it.
func purlOf(module, version string, qualifiers map[string]string, subpath string) string {
	namespace, name := path.Split(module)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(namespace, "/"), name, version,
		packageurl.QualifiersFromMap(qualifiers), subpath).ToString()
}

// licences are licences by their identifiers.
func licences(ids ...string) *cdx.Licenses {
	var all cdx.Licenses
	for _, id := range ids {
		all = append(all, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	return &all
}

// dependency is what one component needs, sorted.
func dependency(ref string, needs map[string][]string) cdx.Dependency {
	d := cdx.Dependency{Ref: ref}
	if on := slices.Sorted(slices.Values(needs[ref])); len(on) > 0 {
		d.Dependencies = &on
	}
	return d
}
