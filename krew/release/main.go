// Command release builds what a release of kubectl-xcpauth consists of, and the krew manifest that describes it.
//
// Steps:
//  1. Name the build: version, commit and date from git, or as given by flags.
//  2. Compile the plugin for each platform, and the webhook for linux, without cgo and without paths of this machine.
//  3. Pack each binary with the LICENSE (and the plugin's completion script) into an archive whose bytes depend on
//     nothing but its content and the date of the commit.
//  4. With -webhook, put its binaries into an image on an empty base, and name that image by its digest in install.yaml
//     and install-cert-manager.yaml. With -push, push it.
//  5. Write the checksums.
//  6. Render the manifest from krew/xcpauth.yaml.tmpl.
//
// The same commit built by the same Go gives the same bytes, so that anybody can check a published sha256.
//
// It is not goreleaser because that, built from its modules as everything here is, would compile for longer than the
// whole test suite runs, to do these steps; for the same reason, and since nothing here has one, no docker is asked
// for the image.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// options are the flags.
type options struct {
	root      string // of the checkout
	dist      string
	baseURL   string
	platforms []platform
	webhook   bool
	image     string // repository that the installation names
	push      string // reference to push the image to; "" = nowhere
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
	var o options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&o.root, "root", ".", "root of the checkout")
	flags.StringVar(&o.dist, "dist", "dist",
		"directory to write archives, checksums and manifest to; what it held of them is replaced")
	flags.StringVar(&o.baseURL, "base-url", "https://github.com/xcpauth/kubectl-xcpauth/releases/download",
		"where archives will be downloaded from; the version and the name follow")
	list := flags.String("platforms", "all", `os/arch pairs, comma-separated, or "all"`)
	flags.BoolVar(&o.webhook, "webhook", false, "build the webhook for the linux platforms too")
	flags.StringVar(&o.image, "image", "",
		"repository of the webhook's image that install.yaml names; default that of -push, or ghcr.io/xcpauth/xcpauth-webhook")
	flags.StringVar(&o.push, "push", "",
		"push the webhook's image to this reference with a tag; credentials are those that docker or podman have stored")
	flags.StringVar(&o.build.Version, "version", "", "version; default from git")
	flags.StringVar(&o.build.Commit, "commit", "", "commit; default from git")
	date := flags.String("date", "",
		"date in RFC 3339, in the binaries and of the files in archives; default that of the commit")
	printed := flags.String("print", "", `print "version" or "ldflags" and build nothing`)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; everything is a flag", flags.Arg(0))
	}
	if o.image == "" {
		o.image = repositoryOf(cmp.Or(o.push, webhookImage))
	}
	if o.push != "" && !o.webhook {
		return errors.New("-push is of the webhook's image; pass -webhook too")
	}
	var err error
	if o.platforms, err = parsePlatforms(*list); err != nil {
		return err
	}
	if o.build, err = name(o.root, o.build, *date, errOut); err != nil {
		return err
	}
	switch *printed {
	case "":
		return o.release(errOut)
	case "version":
		fmt.Fprintln(out, o.build.Version)
	case "ldflags":
		fmt.Fprintln(out, o.build.ldflags())
	default:
		return fmt.Errorf("-print is %q; pass version or ldflags", *printed)
	}
	return nil
}

// release does steps 2 to 6.
func (o options) release(log io.Writer) error {
	if err := sweep(o.dist); err != nil {
		return err
	}
	license, err := os.ReadFile(filepath.Join(o.root, "LICENSE"))
	if err != nil {
		return fmt.Errorf("reading the licence: %w", err)
	}
	m := manifest{Version: o.build.Version, CompletionCommand: completionCommand}
	var sums strings.Builder
	images := map[platform]v1.Image{}
	for _, a := range o.artifacts() {
		fmt.Fprintf(log, "Building %s ...\n", a.archive(o.build))
		binary, err := compile(o.root, a, o.build)
		if err != nil {
			return err
		}
		packed, err := pack(a, binary, license, o.build.Date)
		if err != nil {
			return fmt.Errorf("packing %s: %w", a.archive(o.build), err)
		}
		if err := os.WriteFile(filepath.Join(o.dist, a.archive(o.build)), packed, 0o644); err != nil {
			return fmt.Errorf("writing the archive: %w", err)
		}
		if a.program == webhook {
			if images[a.platform], err = image(a, o.build, binary, license); err != nil {
				return err
			}
		}
		sum := digest(packed)
		fmt.Fprintf(&sums, "%s  %s\n", sum, a.archive(o.build))
		if a.program == plugin {
			m.Platforms = append(m.Platforms, entry{OS: a.OS, Arch: a.Arch, SHA256: sum, Bin: a.binary(),
				URI: o.baseURL + "/" + o.build.Version + "/" + a.archive(o.build)})
		}
	}
	if len(images) > 0 {
		if err := o.deployment(images, &sums, log); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(o.dist, "checksums.txt"), []byte(sums.String()), 0o644); err != nil {
		return fmt.Errorf("writing the checksums: %w", err)
	}
	template, err := os.ReadFile(filepath.Join(o.root, "krew", "xcpauth.yaml.tmpl"))
	if err != nil {
		return fmt.Errorf("reading the manifest's template: %w", err)
	}
	rendered, err := m.render(string(template))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.dist, "xcpauth.yaml"), rendered, 0o644); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	fmt.Fprintf(log, "Version %s is in %s.\n", o.build.Version, o.dist)
	return nil
}

// deployment does step 4.
func (o options) deployment(images map[platform]v1.Image, sums io.Writer, log io.Writer) error {
	joined, err := index(images)
	if err != nil {
		return err
	}
	archive, err := joined.archive(o.build)
	if err != nil {
		return err
	}
	files := []file{{name: fmt.Sprintf("%s_%s_image.tar", webhook.name, o.build.Version), data: archive}}
	for _, i := range installs {
		text, err := install(o.root, o.build, i.overlay, i.says, o.image, joined.digest.String())
		if err != nil {
			return err
		}
		files = append(files, file{name: i.name, data: text})
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(o.dist, f.name), f.data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", f.name, err)
		}
		fmt.Fprintf(sums, "%s  %s\n", digest(f.data), f.name)
	}
	if o.push != "" {
		if err := joined.push(context.Background(), o.push); err != nil {
			return err
		}
		fmt.Fprintf(log, "Pushed %s@%s.\n", o.push, joined.digest)
	}
	return nil
}

// artifacts lists what is built: the plugin for each platform, then the webhook for those that run in a cluster.
func (o options) artifacts() []artifact {
	var all []artifact
	for _, p := range o.platforms {
		all = append(all, artifact{platform: p, program: plugin})
	}
	for _, p := range o.platforms {
		if o.webhook && p.OS == "linux" {
			all = append(all, artifact{platform: p, program: webhook})
		}
	}
	return all
}

// sweep makes the directory and takes the archives, checksums and manifest of an earlier build out of it.
func sweep(dist string) error {
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dist, err)
	}
	for _, pattern := range []string{plugin.name + "_*", webhook.name + "_*", "checksums.txt", "xcpauth.yaml",
		"install*.yaml"} {
		old, err := filepath.Glob(filepath.Join(dist, pattern))
		if err != nil {
			return fmt.Errorf("looking into %s: %w", dist, err)
		}
		for _, file := range old {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("clearing %s: %w", dist, err)
			}
		}
	}
	return nil
}
