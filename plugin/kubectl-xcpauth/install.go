package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/deploy"
	"github.com/xcpauth/kubectl-xcpauth/pkg/install"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// notReleased are versions of builds that are of no release: a snapshot, a commit as go install calls it, a checkout.
var notReleased = regexp.MustCompile(`snapshot|[0-9]{14}-[0-9a-f]{12}|\+dirty|^` + unreleased + `$`)

// publishedImage is the image that install names by itself: "" for a version that is of no release.
func publishedImage(version string) string {
	if notReleased.MatchString(version) {
		return ""
	}
	return "ghcr.io/xcpauth/xcpauth-webhook:" + version
}

// installOptions are the flags of install and uninstall.
type installOptions struct {
	*fleetOptions
	apply, wait bool
	timeout     time.Duration
	webhook     install.Webhook
	roles       install.Roles
}

// source makes the objects that the flags choose.
type source func(*installOptions) ([]install.Object, error)

// removal is what goes of what the flags choose, in that order, and what stays.
type removal func(*installOptions) (deleted, kept []install.Object, err error)

func noFlags(*installOptions, *cobra.Command) {}

// parts are what can be installed, in the order in which help lists them.
var parts = []struct {
	name, short, long, example string
	args                       []string // one of which may be named; the first is the default
	flags                      func(*installOptions, *cobra.Command)
	objects                    source
	removed                    removal
	removeFlags                func(*installOptions, *cobra.Command)
	removing                   string // what help says of that
	stays                      string // why it is not uninstalled by name; "" = it is
}{
	{
		name:  "webhook",
		short: "the admission webhook with its auditor, for the hub's cluster",
		long: `The webhook guards nothing before a pod of it is ready: then it writes the entries of its
ValidatingWebhookConfiguration. So nobody is refused while it starts. Installing it again upgrades it; what is guarded
stays guarded meanwhile.`,
		example: `  # Install the webhook in the hub's cluster, and wait until edits are guarded
  kubectl xcpauth install webhook --context hub --apply --wait

  # Commit it to Git instead
  kubectl xcpauth install webhook > xcpauth-webhook.yaml`,
		flags:       (*installOptions).webhookFlags,
		objects:     func(o *installOptions) ([]install.Object, error) { return o.webhook.Objects() },
		removeFlags: (*installOptions).certificateFlag,
		removed:     func(o *installOptions) ([]install.Object, []install.Object, error) { return o.webhook.Removed() },
		removing: "The configuration that makes the API server ask the webhook is deleted first, and nothing else before " +
			"it is gone: edits are refused while it is there and nobody answers. The roles and policies of users stay; " +
			"\"uninstall rbac\" deletes those.",
	},
	{
		name:  "rbac",
		short: "the roles of those who use this plugin, for one kind of cluster",
		long: `Name the kind of cluster: hub or edge of TSB, or mesh for the global's and each zone's of Kong Mesh or Kuma; default
hub. Nothing is bound unless you name who gets which roles: --role read for those who look, --role migrate too for
those who migrate, --role rotate for those who have tokens made again, --role register for those who have the webhook
read edges.`,
		example: `  # Print the roles for the hub's cluster
  kubectl xcpauth install rbac hub

  # Let a group migrate: the same in each edge's cluster
  kubectl xcpauth install rbac edge --contexts edge-1,edge-2 --role read,migrate --group mesh-admins --apply`,
		args:        texts(install.Places),
		flags:       (*installOptions).roleFlags,
		objects:     func(o *installOptions) ([]install.Object, error) { return o.roles.Objects() },
		removeFlags: (*installOptions).planeFlag,
		removed:     func(o *installOptions) ([]install.Object, []install.Object, error) { return o.roles.Removed() },
		removing:    "All bindings of the roles go too, of all users. To take a role from one user, edit the bindings.",
	},
	{
		name:  "fence",
		short: "the fence of an edge, for the edge's cluster",
		long: `migrate installs it by itself once an edge is verified; this is for those who keep it in Git. It denies edits of a
ControlPlane that would change what the edge presents.`,
		example: `  # Print it
  kubectl xcpauth install fence`,
		flags:       noFlags,
		objects:     func(*installOptions) ([]install.Object, error) { return install.Fence() },
		removeFlags: noFlags,
		stays: "the hub believes what is said of a fenced edge for a week; rollback removes a fence after it has taken " +
			"that back: kubectl xcpauth rollback",
	},
	{
		name:  "crds",
		short: "the kind of the roster's entries, for the hub's cluster",
		long:  `migrate and "install webhook" install it too.`,
		example: `  # Install the roster's kind alone
  kubectl xcpauth install crds --context hub --apply`,
		flags:       noFlags,
		objects:     func(*installOptions) ([]install.Object, error) { return install.Kinds() },
		removeFlags: noFlags,
		stays:       "it takes the whole roster with it. To lose it all the same: kubectl delete crd edgeclusters.xcpauth.io",
	},
}

func newInstallCommand(fo *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "install", GroupID: "install", Args: noArguments,
		Short: "Print or apply the webhook, the roles, the fence or the roster's kind",
		Long: `Print what is installed in a cluster as YAML, or apply it there with --apply. It is what this version of the
plugin ships: nothing is downloaded. The cluster is that of --context, of each of --contexts, or of the kubeconfig's
current context.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, p := range parts {
		o := &installOptions{fleetOptions: fo}
		sub := &cobra.Command{
			Use: use(p.name, p.args), ValidArgs: p.args, Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
			Short: "Print or apply " + p.short, Long: "Print or apply " + p.short + ".\n\n" + p.long, Example: p.example,
			RunE: func(cmd *cobra.Command, args []string) error {
				o.place(args)
				return o.install(cmd.Context(), p.objects)
			},
		}
		p.flags(o, sub)
		o.addApply(sub.Flags(), "apply it by server-side apply, in place of printing it")
		sub.Flags().BoolVar(&o.wait, "wait", false, "with --apply: wait until its pods are ready and edits are guarded")
		cmd.AddCommand(sub)
	}
	return cmd
}

func newUninstallCommand(fo *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "uninstall", GroupID: "install", Args: noArguments,
		Short: "Print or delete what install applied",
		Long: `Print what "install" applied, in the order in which it is deleted, or delete it with --apply. The namespaces
and the roster's kind stay, with the roster and the journal in them.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, p := range parts {
		o := &installOptions{fleetOptions: fo}
		sub := &cobra.Command{
			Use: use(p.name, p.args), ValidArgs: p.args, Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
			Hidden:  p.stays != "",
			Short:   "Print or delete " + p.short,
			Long:    "Print or delete " + p.short + ". " + p.removing,
			Example: "  # Delete it\n  kubectl xcpauth uninstall " + p.name + " --context hub --apply",
			RunE: func(cmd *cobra.Command, args []string) error {
				o.place(args)
				if p.stays != "" {
					return &codeError{code: exitRefused, text: p.name + " is not uninstalled by itself: " + p.stays}
				}
				return o.uninstall(cmd.Context(), p.removed)
			},
		}
		p.removeFlags(o, sub)
		o.addApply(sub.Flags(), "delete it, in place of printing it")
		cmd.AddCommand(sub)
	}
	return cmd
}

// use is how a command is called that takes one of some words.
func use(name string, args []string) string {
	if len(args) == 0 {
		return name
	}
	return name + " [" + strings.Join(args, "|") + "]"
}

// place takes the kind of cluster that was named.
func (o *installOptions) place(args []string) {
	o.roles.Place = install.Hub
	if len(args) > 0 {
		o.roles.Place = install.Place(args[0])
	}
}

// addApply adds the flags of those that write.
func (o *installOptions) addApply(flags *pflag.FlagSet, what string) {
	flags.BoolVar(&o.apply, "apply", false, what)
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long --apply may take in one cluster, waiting included")
	o.addDryRun(flags)
}

func (o *installOptions) webhookFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.webhook.Image, "image", publishedImage(buildOf().Version), "image of the webhook, with a tag or a digest")
	flags.IntVar(&o.webhook.Replicas, "replicas", 2, "how many pods answer the API server")
	o.certificateFlag(cmd)
}

func (o *installOptions) certificateFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(&o.webhook.Certificates), "certificates", string(install.AllCertificates[0]),
		"who makes its certificate: "+strings.Join(texts(install.AllCertificates), ", "))
	completeWith(cmd, "certificates", texts(install.AllCertificates))
}

func (o *installOptions) roleFlags(cmd *cobra.Command) {
	o.planeFlag(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&o.roles.Bind, "role", nil, "role that --user and --group get: read, migrate, rotate, register")
	flags.StringArrayVar(&o.roles.Users, "user", nil, "user who gets the roles; may be repeated")
	flags.StringArrayVar(&o.roles.Groups, "group", nil, "group that gets the roles; may be repeated")
	completeWith(cmd, "role", []string{"read", "migrate", "rotate", "register"})
}

func (o *installOptions) planeFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.roles.Namespace, "plane-namespace", "",
		"namespace of the control plane there; default tsb, istio-system or kong-mesh-system")
}

// completeWith completes a flag with its values.
func completeWith(cmd *cobra.Command, flag string, values []string) {
	complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // a flag of our own that does not exist
	}
}

func texts[T ~string](values []T) (all []string) {
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// install prints the objects, or applies them to each cluster.
func (o *installOptions) install(ctx context.Context, objects source) error {
	all, err := objects(o)
	if err != nil {
		return err
	}
	if err := o.checkNamespace(all); err != nil {
		return err
	}
	switch {
	case o.wait && (!o.apply || o.isDryRun()):
		return errors.New("--wait goes with --apply, and not with --dry-run")
	case !o.apply && o.dryRun != dryRunServer, o.dryRun == dryRunClient:
		return o.printIn(all)
	}
	return o.each(ctx, func(ctx context.Context, c deploy.Cluster) error {
		all, err := o.in(ctx, c, all)
		if err != nil {
			return err
		}
		if err := c.Apply(ctx, all); err != nil || !o.wait {
			return err
		}
		return c.Wait(ctx, all, func(missing string) { fmt.Fprintf(o.ErrOut, "Waiting for %s ...\n", missing) })
	})
}

// uninstall prints what goes, or deletes it in each cluster.
func (o *installOptions) uninstall(ctx context.Context, removed removal) error {
	o.webhook.Image, o.webhook.Replicas = install.ShippedImage, 1 // what runs does not matter
	deleted, kept, err := removed(o)
	if err != nil {
		return err
	}
	if err := o.checkNamespace(slices.Concat(deleted, kept)); err != nil {
		return err
	}
	if !o.apply && o.dryRun != dryRunServer || o.dryRun == dryRunClient {
		return o.printIn(deleted)
	}
	return o.each(ctx, func(ctx context.Context, c deploy.Cluster) error {
		all, err := o.in(ctx, c, slices.Concat(deleted, kept))
		if err != nil {
			return err
		}
		deleted, kept := all[:len(deleted)], all[len(deleted):]
		if err := c.Delete(ctx, deleted); err != nil {
			return err
		}
		for _, k := range kept {
			ref, err := install.Ref(k)
			if err != nil {
				return err
			}
			c.Say(ref, "kept")
		}
		return nil
	})
}

// printIn prints objects as they are installed in the namespace that was named, else in the usual one.
func (o *installOptions) printIn(all []install.Object) error {
	all, err := install.In(all, cmp.Or(o.namespace, api.Namespace))
	if err != nil {
		return err
	}
	return o.print(manifest{APIVersion: "v1", Kind: "List", Objects: all})
}

// checkNamespace refuses a namespace for what is in none of the hub's.
func (o *installOptions) checkNamespace(all []install.Object) error {
	if o.namespace != "" && (o.roles.Place == install.Edge || !install.Placed(all)) {
		return errors.New("--namespace is the hub's: nothing in an edge's cluster is in it")
	}
	return nil
}

// in has objects installed in the namespace that the cluster uses.
func (o *installOptions) in(ctx context.Context, c deploy.Cluster, all []install.Object) ([]install.Object, error) {
	if o.roles.Place == install.Edge || !install.Placed(all) {
		return all, nil
	}
	has, err := c.Used(ctx)
	if err != nil {
		return nil, err
	}
	namespace, err := install.Choose(o.namespace, has, install.Names(all))
	if err != nil {
		return nil, fmt.Errorf("in context %s: %w", c.Context, err)
	}
	return install.In(all, namespace)
}

// each does something in every cluster that is meant, one after the other: a mistake is seen in the first.
func (o *installOptions) each(ctx context.Context, do func(context.Context, deploy.Cluster) error) error {
	live, err := o.clusters(false)
	if err != nil {
		return err
	}
	contexts := live.Fleet.Contexts()
	if len(o.contexts) == 0 {
		one := cmp.Or(o.hub, live.Fleet.Current())
		if one == "" {
			return errors.New("the kubeconfig has no current context; name the cluster with --context")
		}
		contexts = []string{one}
	}
	o.writing.Store(!o.isDryRun())
	for _, name := range contexts {
		if err := o.within(ctx, live.Fleet, name, do); err != nil {
			return err
		}
	}
	return nil
}

// within does something in one cluster, and prints what becomes of each object there.
func (o *installOptions) within(ctx context.Context, fleet *kubeconfig.Fleet, name string,
	do func(context.Context, deploy.Cluster) error) error {
	fmt.Fprintf(o.ErrOut, "In context %s:\n", name)
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("--timeout %s is over", o.timeout))
	defer cancel()
	c, err := fleet.Connect(ctx, name, func(bool) {})
	if err != nil {
		return fmt.Errorf("connecting to context %s: %w", name, err)
	}
	how := ""
	if o.dryRun == dryRunServer {
		how = " (server dry run)"
	}
	return do(ctx, deploy.Cluster{Cluster: c, DryRun: o.dryRun == dryRunServer, Say: func(ref plan.Ref, became string) {
		fmt.Fprintf(o.Out, "%s %s%s\n", resourceName(ref), became, how)
	}})
}

// resourceName is how kubectl calls an object: deployment.apps/xcpauth-webhook.
func resourceName(ref plan.Ref) string {
	kind := strings.ToLower(ref.Kind)
	if ref.Group != "" {
		kind += "." + ref.Group
	}
	return kind + "/" + ref.Name
}

// manifest is a list of objects as kubectl prints one. As text it is the documents that kubectl apply takes.
type manifest struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Objects    []install.Object `json:"items"`
}

// Names are those of the objects, as kubectl prints them.
func (m manifest) Names() []string {
	var all []string
	for _, o := range m.Objects {
		if ref, err := install.Ref(o); err == nil {
			all = append(all, resourceName(ref))
		}
	}
	return all
}

// Items is the key of the objects.
func (manifest) Items() string { return "items" }

// Table prints the documents.
func (m manifest) Table(w io.Writer, _ bool) {
	text, err := install.YAML(m.Objects)
	if err != nil {
		text = []byte("# " + err.Error() + "\n")
	}
	_, _ = w.Write(text)
}

var _ render.Report = manifest{}
