package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
)

// tryRequest prints what certificate request would ask for. No key is made.
func (o *certificateOptions) tryRequest(ctx context.Context, f plan.State, w migration.WantedCertificate) error {
	if _, err := os.Lstat(o.keyOut); !errors.Is(err, fs.ErrNotExist) {
		return thereAlready("key-out", o.keyOut)
	}
	s := plan.Shown("request/hub", "hub", "make a private key and a signing request for Central",
		fmt.Sprintf("it asks for the names %s, the URIs %s and the usages %s; the key goes into the new file %s",
			strings.Join(w.Names, ", "), strings.Join(w.URIs, ", "), strings.Join(w.Usages, ", "), o.keyOut), "")
	with := render.Details{Untimed: true}
	if o.dryRun == dryRunServer {
		with.Server = map[string][]string{s.ID: {"nothing is sent: no cluster is changed"}}
	}
	return o.tried(ctx, f, oneStep("request", s), with, true, "certificate request --key-out "+quote(o.keyOut))
}
