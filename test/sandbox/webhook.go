package sandbox

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// webhookAddress is the number of the webhook's Service in the hub's service range.
const webhookAddress = 20

// Webhook is the running admission webhook, nil without Options.Webhook. Its process can be stopped and started again.
func (s *Sandbox) Webhook() *webhooknode.Node { return s.webhook }

// startWebhook deploys the webhook in the hub and returns when the API server asks it.
//
//  1. Build the binary.
//  2. Apply the self-signed overlay.
//  3. Run the process as its Deployment says, until it is ready.
//  4. Wait until a guarded edit, tried as a dry run, has called it: the API server learns of it a moment later.
func (s *Sandbox) startWebhook(ctx context.Context, log io.Writer) error {
	fmt.Fprintln(log, "Building the admission webhook and deploying it in the hub ...")
	root, err := Root()
	if err != nil {
		return err
	}
	binary := filepath.Join(s.Dir, "webhook", webhooknode.Name)
	if err := Build(ctx, "./webhook/xcpauth-webhook", binary); err != nil {
		return err
	}
	at := s.Bed.Cluster(hub)
	if err := webhooknode.Install(ctx, s.Bed, at, filepath.Join(root, "manifests", "overlays", "self-signed"),
		at.ServiceIP(webhookAddress)); err != nil {
		return err
	}
	if s.webhook, err = webhooknode.New(ctx, at, binary, filepath.Join(s.Dir, "webhook", "node")); err != nil {
		return err
	}
	if err := s.webhook.Start(ctx); err != nil {
		return err
	}
	var answer Run
	err = Await(ctx, "a first call of the webhook", time.Minute, func() bool {
		answer = s.Kubectl(ctx, "--context", hub, "-n", s.options.Installation.ManagementPlaneNamespace,
			"patch", "managementplane", s.options.Installation.ManagementPlaneName, "--dry-run=server", "--type=merge",
			"-p", `{"spec":{"components":{"xcp":{"centralAuthModes":{"mutualTls":false}}}}}`)
		calls, err := s.webhook.Calls(ctx)
		return err == nil && calls > 0
	})
	if err != nil {
		return fmt.Errorf("%w; a guarded edit is answered by: %s%s", err, answer.Stdout, answer.Stderr)
	}
	return nil
}
