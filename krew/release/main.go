// Command release builds what a release of kubectl-xcpauth consists of, and the krew manifest that describes it.
//
// Steps:
//  1. Name the build: version, commit and date from git, or as given by flags.
//  2. List the modules that each program links, and collect their licences and notices.
//  3. Compile the plugin for each platform, and with -images the webhook for linux, without cgo and without paths of
//     this machine.
//  4. Pack each binary with the LICENSE, the notices (and the plugin's completion script) into an archive whose bytes
//     depend on nothing but its content and the date of the commit.
//  5. With -images, put the binaries for linux into an image of each program on an empty base, list the images by their
//     digests in images.txt, and name the webhook's in install.yaml, install-cert-manager.yaml and the Helm chart.
//  6. Write a bill of materials for each archive and image.
//  7. Render the krew manifest from krew/xcpauth.yaml.tmpl.
//  8. Write the checksums of all that.
//  9. With -push, push the images. Alone, it pushes those of an earlier build and builds nothing.
//
// The same commit built by the same Go gives the same bytes, so that anybody can check a published sha256.
//
// It is not goreleaser because that, built from its modules as everything here is, would compile for longer than the
// whole test suite runs, to do these steps; for the same reason, and since nothing here has one, no docker is asked
// for the images.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/package-url/packageurl-go"
)

// options are the flags.
type options struct {
	root      string // of the checkout
	dist      string
	baseURL   string
	platforms []platform
	images    bool
	registry  string // what the names of the images begin with
	push      bool
	print     string
	build     build
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

// run reads the flags and does the steps. Progress goes to errOut; out gets only what -print asks for.
func run(args []string, out, errOut io.Writer) error {
	o, err := parse(args, errOut)
	if err != nil {
		return err
	}
	switch {
	case o.print != "":
		return o.printed(out)
	case o.push && !o.images:
		return push(context.Background(), o.dist, errOut)
	}
	if err := o.release(errOut); err != nil || !o.push {
		return err
	}
	return push(context.Background(), o.dist, errOut)
}

// parse reads the flags and names the build.
func parse(args []string, errOut io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&o.root, "root", ".", "root of the checkout")
	flags.StringVar(&o.dist, "dist", "dist",
		"directory to write archives, checksums and manifest to; what it held of them is replaced")
	flags.StringVar(&o.baseURL, "base-url", home+"/releases/download",
		"where archives will be downloaded from; the version and the name follow")
	list := flags.String("platforms", "all", `os/arch pairs, comma-separated, or "all"`)
	flags.BoolVar(&o.images, "images", false,
		"build the webhook, the images of both programs and what installs the webhook too")
	flags.StringVar(&o.registry, "registry", defaultRegistry,
		"what the names of the images begin with; the program's name and the version follow")
	flags.BoolVar(&o.push, "push", false,
		"push the images that images.txt in -dist names, after a build with -images or alone; credentials are those that "+
			"docker or podman have stored")
	flags.StringVar(&o.build.Version, "version", "", "version; default from git")
	flags.StringVar(&o.build.Commit, "commit", "", "commit; default from git")
	date := flags.String("date", "",
		"date in RFC 3339, in the binaries and of the files in archives; default that of the commit")
	flags.StringVar(&o.print, "print", "",
		`print "version", "ldflags" or "notes", which CHANGELOG.md has for the version, and build nothing`)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; everything is a flag", flags.Arg(0))
	}
	if o.platforms, err = parsePlatforms(*list); err != nil {
		return o, err
	}
	o.build, err = name(o.root, o.build, *date, errOut)
	return o, err
}

// printed does what -print asks for.
func (o options) printed(out io.Writer) error {
	switch o.print {
	case "version":
		fmt.Fprintln(out, o.build.Version)
	case "ldflags":
		fmt.Fprintln(out, o.build.ldflags())
	case "notes":
		changelog, err := os.ReadFile(filepath.Join(o.root, "CHANGELOG.md"))
		if err != nil {
			return fmt.Errorf("reading the changelog: %w", err)
		}
		notes, err := notesOf(string(changelog), o.build.Version)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, notes)
	default:
		return fmt.Errorf("-print is %q; pass version, ldflags or notes", o.print)
	}
	return nil
}

// release does steps 2 to 8.
func (o options) release(log io.Writer) error {
	out, err := newDistribution(o.dist)
	if err != nil {
		return err
	}
	m := manifest{Version: o.build.Version, CompletionCommand: completionCommand}
	var references []string
	for _, p := range o.programs() {
		texts, modules, err := o.texts(p, out)
		if err != nil {
			return err
		}
		binaries, archives, err := o.archives(p, texts, modules, out, log)
		if err != nil {
			return err
		}
		if p == plugin {
			m.Platforms = archives
		}
		if o.images {
			reference, err := o.image(p, texts, binaries, out)
			if err != nil {
				return err
			}
			references = append(references, reference)
		}
	}
	if o.images {
		if err := o.installation(references, out); err != nil {
			return err
		}
	}
	template, err := os.ReadFile(filepath.Join(o.root, "krew", "xcpauth.yaml.tmpl"))
	if err != nil {
		return fmt.Errorf("reading the manifest's template: %w", err)
	}
	rendered, err := m.render(string(template))
	if err != nil {
		return err
	}
	if err := out.write("xcpauth.yaml", rendered); err != nil {
		return err
	}
	if err := out.close(); err != nil {
		return err
	}
	fmt.Fprintf(log, "Version %s is in %s.\n", o.build.Version, o.dist)
	return nil
}

// programs are those that are built.
func (o options) programs() []program {
	if o.images {
		return []program{plugin, webhook}
	}
	return []program{plugin}
}

// texts does step 2: what comes with each binary of a program, and the modules it is about.
func (o options) texts(p program, out *distribution) ([]file, []module, error) {
	license, err := os.ReadFile(filepath.Join(o.root, "LICENSE"))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the licence: %w", err)
	}
	modules, err := linkedModules(o.root, p)
	if err != nil {
		return nil, nil, err
	}
	notices := noticesOf(p, modules)
	if err := out.write(p.name+"_"+o.build.Version+"_"+noticesFile+".txt", notices); err != nil {
		return nil, nil, err
	}
	return []file{{"LICENSE", 0o644, license}, {noticesFile, 0o644, notices}}, modules, nil
}

// archives does steps 3 and 4 for a program, and 6 for its archives.
func (o options) archives(p program, texts []file, modules []module, out *distribution,
	log io.Writer) (binaries []linkedBinary, archives []entry, err error) {
	for _, at := range o.platforms {
		if !slices.Contains(p.platforms(), at) {
			continue
		}
		a := artifact{at, p}
		archive := a.archive(o.build)
		fmt.Fprintf(log, "Building %s ...\n", archive)
		binary, err := compile(o.root, a, o.build)
		if err != nil {
			return nil, nil, err
		}
		packed, err := pack(a, binary, texts, o.build.Date)
		if err != nil {
			return nil, nil, fmt.Errorf("packing %s: %w", archive, err)
		}
		e := entry{OS: a.OS, Arch: a.Arch, SHA256: digest(packed), Bin: a.binary(),
			URI: o.baseURL + "/" + o.build.Version + "/" + archive}
		l := linkedBinary{a, binary, modules}
		bill, err := sbom(subject{kind: cdx.ComponentTypeFile, name: archive, url: e.URI, sha256: e.SHA256}, o.build,
			[]linkedBinary{l})
		if err != nil {
			return nil, nil, err
		}
		if err := errors.Join(out.write(archive, packed), out.write(archive+sbomSuffix, bill)); err != nil {
			return nil, nil, err
		}
		binaries, archives = append(binaries, l), append(archives, e)
	}
	return binaries, archives, nil
}

// image puts the binaries of a program for linux into an image, and returns its name with its tag and digest.
func (o options) image(p program, texts []file, binaries []linkedBinary, out *distribution) (string, error) {
	binaries = slices.DeleteFunc(slices.Clone(binaries), func(l linkedBinary) bool { return l.OS != "linux" })
	if len(binaries) == 0 {
		return "", fmt.Errorf("building the image of %s: -platforms has none of linux; pass linux/amd64 or linux/arm64 too",
			p.name)
	}
	images := map[platform]v1.Image{}
	for _, l := range binaries {
		img, err := image(l.artifact, o.build, l.binary, texts)
		if err != nil {
			return "", err
		}
		images[l.platform] = img
	}
	joined, err := index(images)
	if err != nil {
		return "", err
	}
	packed, err := joined.archive(o.build)
	if err != nil {
		return "", err
	}
	archive := imageArchive(p.name, o.build.Version)
	repository := o.registry + "/" + p.name
	purl := packageurl.NewPackageURL(packageurl.TypeOCI, "", p.name, joined.digest.String(), packageurl.QualifiersFromMap(
		map[string]string{"repository_url": repository, "tag": o.build.Version}), "").ToString()
	bill, err := sbom(subject{kind: cdx.ComponentTypeContainer, name: repository, purl: purl, sha256: joined.digest.Hex},
		o.build, binaries)
	if err != nil {
		return "", err
	}
	if err := errors.Join(out.write(archive, packed), out.write(archive+sbomSuffix, bill)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%s@%s", repository, o.build.Version, joined.digest), nil
}

// installation writes the names of the images, and what installs the webhook by its.
func (o options) installation(references []string, out *distribution) error {
	if err := out.write(imagesFile, []byte(strings.Join(references, "\n")+"\n")); err != nil {
		return err
	}
	i := slices.IndexFunc(references, func(r string) bool { return strings.HasPrefix(r, o.registry+"/"+webhook.name+":") })
	for _, each := range installs {
		text, err := install(o.root, o.build, each.overlay, each.says, references[i])
		if err != nil {
			return err
		}
		if err := out.write(each.name, text); err != nil {
			return err
		}
	}
	name, packed, err := chart(o.root, o.build, references[i])
	if err != nil {
		return err
	}
	return out.write(name, packed)
}
