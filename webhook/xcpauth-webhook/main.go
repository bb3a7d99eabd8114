// Command xcpauth-webhook denies the edits of a ManagementPlane that would cut a member off from its hub. With the
// argument auditor it looks for those that were made all the same.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/certs"
	"github.com/xcpauth/kubectl-xcpauth/webhook/live"
	"github.com/xcpauth/kubectl-xcpauth/webhook/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

// run reads the flags and serves, or audits, until SIGTERM or SIGINT; a second signal ends at once.
func run(args []string) error {
	o := server.Options{Version: builtVersion()}
	name, prepare := "xcpauth-webhook", serving
	if len(args) > 0 && args[0] == "auditor" {
		name, prepare, args = "xcpauth-webhook auditor", auditing, args[1:]
	}
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	check, work := prepare(flags, &o)
	flags.StringVar(&o.Namespace, "namespace", api.Namespace, "namespace of the roster and of the webhook's own objects")
	flags.StringVar(&o.MetricsAddress, "metrics-address", ":8080", "address of /metrics; 0 means none")
	flags.StringVar(&o.HealthAddress, "health-address", ":8081", "address of /healthz and /readyz")
	central := flags.String("central-metrics", "require",
		"require: an edge that the metrics of Central's pods name and the roster lacks is unknown, and any edge may be connected while they "+
			"cannot be read; off: they are not read, and edges that only they name are not seen; the pods of MPC are read either way")
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig to use; empty means the service account of the pod")
	showVersion := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err == pflag.ErrHelp {
		return nil
	} else if err != nil {
		return err
	}
	if *showVersion {
		fmt.Println(o.Version)
		return nil
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.CentralMetrics = *central == "require"; !o.CentralMetrics && *central != "off" {
		return fmt.Errorf("--central-metrics=%s: it is require or off", *central)
	}
	if err := check(); err != nil {
		return err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("configuring the client: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal has its usual effect
	return work(ctx, cfg, slog.New(slog.NewJSONHandler(os.Stderr, nil)))
}

// program is what runs once the flags are read and checked.
type program func(ctx context.Context, cfg *rest.Config, log *slog.Logger) error

// serving adds the flags of the webhook.
func serving(flags *pflag.FlagSet, o *server.Options) (check func() error, work program) {
	flags.StringVar(&o.Address, "address", "", "address to listen on; empty means all")
	flags.IntVar(&o.Port, "port", 10250,
		"port to listen on; 10250 is one that private clusters let their API server reach")
	flags.StringVar(&o.CertDir, "cert-dir", "/var/run/xcpauth/tls",
		"directory that holds tls.crt and tls.key, without --rotate-certificates")
	flags.BoolVar(&o.Rotate, "rotate-certificates", true,
		"make and renew the certificate, and publish its CA; switch off where cert-manager does")
	flags.StringVar(&o.Secret, "secret", "xcpauth-webhook-cert",
		"Secret that the certificate is kept in, with --rotate-certificates")
	flags.DurationVar(&o.CALifetime, "ca-lifetime", certs.CALifetime,
		"how long a CA lives, at least three times --leaf-lifetime; changed at two thirds")
	flags.DurationVar(&o.LeafLifetime, "leaf-lifetime", certs.LeafLifetime,
		"how long a serving certificate lives, at least three times --publish-wait; renewed at two thirds")
	flags.DurationVar(&o.PublishWait, "publish-wait", certs.Wait,
		"how long a new CA is published before its certificate is served; longer than an API server takes to see it")
	flags.StringVar(&o.Service, "service", "xcpauth-webhook", "Service by which the API server calls")
	flags.IntVar(&o.ServicePort, "service-port", 443, "port of that Service")
	flags.StringVar(&o.Configuration, "configuration", "xcpauth-webhook",
		"ValidatingWebhookConfiguration that says what the API server asks about")
	flags.StringVar(&o.ClientCA, "client-ca", "",
		"file with the CAs of the client certificates that API servers show; then nobody else is answered; empty means that "+
			"callers show none")
	flags.StringSliceVar(&o.ClientNames, "client-name", nil,
		"common or DNS name of such a certificate, with --client-ca; may be repeated; none means any")
	flags.IntVar(&o.MaxInFlight, "max-in-flight", 64,
		"reviews that are decided side by side, one of each 128 KiB counted; more wait for their turn")
	flags.DurationVar(&o.CallTimeout, "call-timeout", admit.CallWithin,
		"how long a call may take at most; a caller may ask for less; keep it at timeoutSeconds of the "+
			"ValidatingWebhookConfiguration")
	flags.DurationVar(&o.ShutdownDelay, "shutdown-delay", server.ShutdownDelay,
		"how long to go on answering after the first signal, while reporting not ready")
	flags.DurationVar(&o.LiveInterval, "live-interval", live.DefaultKeep,
		"how often to look after the connections to edges that are read live, and after their tokens")
	flags.Duration("audit-interval", 0, "")
	_ = flags.MarkDeprecated("audit-interval", "Deployment xcpauth-auditor audits") // it fails without the flag alone
	check = func() error {
		switch {
		case o.MaxInFlight < 1:
			return fmt.Errorf("--max-in-flight is %d; it must be at least 1", o.MaxInFlight)
		case len(o.ClientNames) > 0 && o.ClientCA == "":
			return errors.New("--client-name needs --client-ca")
		case o.CallTimeout < time.Second || o.CallTimeout > 30*time.Second:
			return fmt.Errorf("--call-timeout is %s; it must be from 1s to 30s, as timeoutSeconds", o.CallTimeout)
		}
		return nil
	}
	return check, func(ctx context.Context, cfg *rest.Config, log *slog.Logger) error {
		return server.Run(ctx, cfg, *o, log)
	}
}

// auditing adds the flags of the auditor.
func auditing(flags *pflag.FlagSet, o *server.Options) (check func() error, work program) {
	interval := flags.Duration("audit-interval", time.Minute,
		"how often to look at what is stored, and say who is refused")
	check = func() error {
		if *interval <= 0 {
			return fmt.Errorf("--audit-interval is %s; it must be longer than 0", *interval)
		}
		return nil
	}
	return check, func(ctx context.Context, cfg *rest.Config, log *slog.Logger) error {
		return server.RunAuditor(ctx, cfg, *o, *interval, log)
	}
}
