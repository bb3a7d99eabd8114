package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/enrol"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// registerOptions are the flags of edge register.
type registerOptions struct {
	*fleetOptions
	server, serverName string
}

func newEdgeRegisterCommand(fo *fleetOptions) *cobra.Command {
	o := &registerOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "register EDGE...", Args: cobra.MinimumNArgs(1),
		Short: "Let the webhook read edges in their own clusters at the moment of a decision",
		Long: `Let the admission webhook read edges in their own clusters at the moment of a decision, instead of believing the last statement.
In the edge's cluster this makes a ServiceAccount "xcpauth-reader" beside the ControlPlane that may read what tells which credential
the edge presents, and nothing else; in the hub it stores a kubeconfig of it, which the webhook keeps renewed. What cannot be read
is unknown, and then mutual TLS stays on. Run it again to renew that access.`,
		Example: `  # Have the webhook look for itself
  kubectl xcpauth edge register edge-1

  # The hub reaches the edge by another address than you do
  kubectl xcpauth edge register edge-1 --server https://10.1.2.3:6443`,
		RunE: func(cmd *cobra.Command, names []string) error { return o.run(cmd.Context(), names) },
	}
	cmd.Flags().StringVar(&o.server, "server", "",
		"address by which the hub reaches the edge's API server: https://HOST:PORT; default: that of the context")
	cmd.Flags().StringVar(&o.serverName, "tls-server-name", "",
		"name in that API server's certificate, when it is not the address")
	o.addDryRun(cmd.Flags())
	return cmd
}

func (o *registerOptions) run(ctx context.Context, names []string) error {
	if len(names) > 1 && (o.server != "" || o.serverName != "") {
		return errors.New("--server and --tls-server-name are those of one edge; name only one with them")
	}
	live, err := o.clusters(false)
	if err != nil {
		return err
	}
	how := enrol.Registration{Server: o.server, ServerName: o.serverName, Agent: "kubectl-xcpauth/" + version,
		Reads: state.AllLiveReads, Presents: state.Live}
	if o.isDryRun() {
		t, err := enrol.Enroller{Live: live}.TryRegister(ctx, names, how)
		return o.try(ctx, t, err, "edge register "+words(names))
	}
	o.writing.Store(true)
	r, err := enrol.Enroller{Live: live}.Register(ctx, names, how)
	if err != nil {
		return err
	}
	next := "the webhook reads them at its next decision; see what they present with: " + o.again("status")
	if o.server != "" {
		o.repeats = "--server " + quote(o.server)
	}
	if o.serverName != "" {
		o.repeats = strings.TrimSpace(o.repeats + " --tls-server-name " + quote(o.serverName))
	}
	return o.finish(r, "edge register", names, next)
}

func newEdgeUnregisterCommand(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "unregister EDGE...", Args: cobra.MinimumNArgs(1),
		Short: "Remove the webhook's access to edges' clusters, and decide from statements again",
		Example: `  # Back to statements
  kubectl xcpauth edge unregister edge-1`,
		RunE: func(cmd *cobra.Command, names []string) error {
			live, err := o.clusters(false)
			if err != nil {
				return err
			}
			if o.isDryRun() {
				t, err := enrol.Enroller{Live: live}.TryUnregister(cmd.Context(), names)
				return o.try(cmd.Context(), t, err, "edge unregister "+words(names))
			}
			o.writing.Store(true)
			r, err := enrol.Enroller{Live: live}.Unregister(cmd.Context(), names)
			if err != nil {
				return err
			}
			return (&registerOptions{fleetOptions: o}).finish(r, "edge unregister", names,
				"state what is verified of them with: "+o.again("edge publish"))
		},
	}
	o.addDryRun(cmd.Flags())
	return cmd
}

// finish prints what became of the edges, and ends with its code.
func (o *registerOptions) finish(r engine.Result, verb string, names []string, next string) error {
	report := render.NewResult(r, o.again(verb)+" "+words(names))
	if r.Done && !r.Interrupted {
		report.Next = next
	}
	if err := o.print(report); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	if report.ExitCode != 0 {
		return &codeError{code: report.ExitCode}
	}
	return nil
}

// words are names as words of a command.
func words(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, " ")
}
