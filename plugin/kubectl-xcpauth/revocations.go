package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/zones"
)

// revocationsOptions are the flags of token revocations.
type revocationsOptions struct {
	*fleetOptions
	add []string
	out string
}

func newTokenRevocationsCommand(fo *fleetOptions) *cobra.Command {
	o := &revocationsOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "revocations FILE|-", Args: cobra.ExactArgs(1),
		Short: "Read a list of revoked zone tokens as the product does, and add to it",
		Long: `Read a list of revoked zone tokens (data.value of secret zone-token-revocations, decoded) as Kong Mesh and Kuma do: split at commas,
nothing trimmed but one newline at the end. What was evidently meant and is not revoked is named; exit code 5 says that there is such.

With --add the list is written as the product reads it, with what is revoked now, what was meant, and what is added. Nothing in a
cluster is changed. A revoked token is refused the next time that its zone connects; a stream that is open goes on.`,
		Example: `  # What is revoked, and what is not although it was meant
  kubectl xcpauth token revocations revoked.txt

  # Revoke one more; the file is replaced in one step
  kubectl xcpauth token revocations revoked.txt --add 0e120ec9-6b42-495d-9758-07b59fe86fb9 --out revoked.txt`,
		RunE: func(_ *cobra.Command, args []string) error { return o.run(args[0], time.Now()) },
	}
	cmd.Flags().StringArrayVar(&o.add, "add", nil, "the ID (jti) of a token to revoke")
	cmd.Flags().StringVar(&o.out, "out", "", "with --add: the file for the list, or - for stdout; it may be FILE")
	return cmd
}

func (o *revocationsOptions) run(name string, now time.Time) error {
	if o.out != "" && len(o.add) == 0 {
		return errors.New("--out goes with --add")
	}
	for _, id := range append([]string{name}, o.add...) {
		if looksLikeToken(id) {
			return errors.New("that is a token itself, and others can read the command line; issue a new one, and revoke this one by its jti: kubectl xcpauth token inspect prints it")
		}
	}
	var list []byte
	var err error
	source := "file " + name
	if name == "-" {
		source = "stdin"
		list, err = io.ReadAll(io.LimitReader(o.In, maxList))
	} else {
		list, err = readList(name)
	}
	if err != nil {
		return fmt.Errorf("reading the list of revoked tokens: %w", err)
	}
	if text := string(list); looksLikeToken(strings.TrimSpace(text)) || strings.Contains(text, "-----BEGIN") {
		return fmt.Errorf("%s holds a token or a key, and no list of IDs; nothing of it is printed", source)
	}
	r := zonetoken.ParseRevocations(list)
	report := zones.NewRevocations(source, r, now)
	if len(o.add) == 0 {
		if err := o.print(report); err != nil {
			return err
		}
		for _, f := range report.Findings {
			if f.Severity == finding.Error {
				return &codeError{code: exitRefused}
			}
		}
		return nil
	}
	m, err := r.Merge(zonetoken.Change{Add: o.add})
	if err != nil {
		return err
	}
	if o.out == "-" { // the list alone, for a pipe
		report.Merged(m, "stdout").Table(o.ErrOut, false)
		_, err := o.Out.Write(m.Data)
		return err
	}
	if o.out != "" {
		if err := replaceFile(o.out, m.Data); err != nil {
			return fmt.Errorf("writing the list of revoked tokens: %w", err)
		}
	}
	return o.print(report.Merged(m, o.out))
}

// maxList is more than a Secret can hold.
const maxList = 2 << 20

// readList reads a list from a file.
func readList(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxList))
}

// replaceFile writes a file in one step: whoever reads it sees the old text or the new one.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".xcpauth-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // once it is renamed there is nothing to remove
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
