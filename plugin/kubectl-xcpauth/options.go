package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/globalapi"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	kongstate "github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/supply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tokenissuer"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// fleetOptions are the flags of every verb that talks to clusters.
type fleetOptions struct {
	genericiooptions.IOStreams
	globalOptions
	fleetFile

	kubeconfig     string
	kuberc         string
	product        string
	alone          string // a verb or flag of this run that one product alone has
	hub            string
	contexts       []string
	output         string // as it was passed; format is what it means
	template       string
	noHeaders      bool
	format         render.Format
	requestTimeout time.Duration
	memberTimeout  time.Duration
	concurrency    int
	standby        string
	zoneTokens     map[string]string // of zones without a context, the files with their tokens
	revokedTokens  []string          // files with tokens that were revoked
	repeats        string            // the flags of the verb that a command which goes on repeats
	colour         string
	progress       string
	diff           bool
	dryRun         string
	as             clientcmd.ConfigOverrides // of which whom requests are made as is used
	verbosity      int
	namespace      string // of the hub's state

	screen, window *screen     // stderr and stdout
	writing        atomic.Bool // what is interrupted may have changed something
	refused        atomic.Pointer[string]
}

func newFleetOptions(streams genericiooptions.IOStreams) *fleetOptions {
	o := &fleetOptions{IOStreams: streams, product: products[0], output: "table", requestTimeout: 10 * time.Second,
		memberTimeout: 45 * time.Second, concurrency: 64, colour: colours[0],
		progress: progressForms[0], dryRun: dryRunNone,
		screen: newScreen(streams.ErrOut), window: newScreen(streams.Out)}
	o.ErrOut = o.screen // what is printed there comes above what is drawn there
	return o
}

func (o *fleetOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig,
		"path of the kubeconfig; default $KUBECONFIG or ~/.kube/config")
	o.addKubectlFlags(flags)
	flags.StringVar(&o.kuberc, "kuberc", o.kuberc,
		"path of kubectl's preferences, which say what credential plugins may run; default $KUBERC or ~/.kube/kuberc")
	flags.StringVar(&o.hub, "context", o.hub,
		"context of the hub; default: the one selected context that has a ManagementPlane, or a global control plane")
	flags.StringVar(&o.product, "product", o.product, "what the fleet is of: "+strings.Join(products,
		", ")+"; auto finds out")
	flags.StringArrayVar(&o.contexts, "contexts", o.contexts,
		"a context to look at: a name, or a /regular expression/; ^ before it takes it away; several: repeat the flag, or a,b; default all")
	flags.StringVarP(&o.output, "output", "o", o.output, "output format: "+strings.Join(render.Formats, ", ")+", "+
		strings.Join(render.TemplateFormats, "=..., ")+"=...")
	flags.StringVar(&o.template, "template", o.template,
		"the template of -o go-template, jsonpath or custom-columns, or the file with it")
	flags.BoolVar(&o.noHeaders, "no-headers", o.noHeaders, "leave out the headings of tables and custom columns")
	flags.DurationVar(&o.requestTimeout, "request-timeout", o.requestTimeout, "how long one request may take")
	flags.DurationVar(&o.memberTimeout, "member-timeout", o.memberTimeout,
		"how long looking at one cluster may take, its credential plugin included")
	flags.StringVar(&o.progress, "progress", o.progress, "how progress is shown on stderr: "+strings.Join(progressForms,
		", ")+"; auto draws a table on a terminal, and prints lines elsewhere")
	flags.StringVar(&o.colour, "color", o.colour, "colours: "+strings.Join(colours,
		", ")+"; auto is on a terminal, unless NO_COLOR is set")
	o.globalOptions.addFlags(flags)
	o.fleetFile.addFlags(flags)
	flags.IntVar(&o.concurrency, "concurrency", o.concurrency, "how many clusters are looked at side by side")
}

// addStandby adds the flag of the verbs that change hubs.
func (o *fleetOptions) addStandby(flags *pflag.FlagSet) {
	flags.StringVar(&o.standby, "standby", o.standby,
		"context of a second management plane that takes over from the first: it gets the same modes and names")
}

// addZoneTokens adds the flag of the verbs that look at zones.
func (o *fleetOptions) addZoneTokens(flags *pflag.FlagSet) {
	flags.StringToStringVar(&o.zoneTokens, "zone-token", nil,
		"of a zone of Kong Mesh that has no context (Universal), ZONE=FILE with the token that it was given; only you may be able to read it")
}

// handedTokens reads the files of --zone-token.
func (o *fleetOptions) handedTokens() (map[string]plan.Secret, error) {
	tokens := map[string]plan.Secret{}
	for _, zone := range slices.Sorted(maps.Keys(o.zoneTokens)) {
		s, err := supply.ReadFile("zone-token", o.zoneTokens[zone])
		if err != nil {
			return nil, err
		}
		tokens[zone] = plan.NewSecret(bytes.TrimSpace(s.Reveal()))
	}
	return tokens, nil
}

// login reads the file of --api-token; it is empty where none was given.
func (o *fleetOptions) login() (plan.Secret, error) {
	if o.apiToken == "" {
		return plan.Secret{}, nil
	}
	return supply.ReadFile("api-token", o.apiToken)
}

// revoked reads the files of --revoked-token.
func (o *fleetOptions) revoked() ([]plan.Secret, error) {
	var tokens []plan.Secret
	for _, name := range o.revokedTokens {
		s, err := supply.ReadFile("revoked-token", name)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, plan.NewSecret(bytes.TrimSpace(s.Reveal())))
	}
	return tokens, nil
}

// addDiff adds the flag of the verbs that show a plan.
func (o *fleetOptions) addDiff(flags *pflag.FlagSet) {
	flags.BoolVar(&o.diff, "diff", o.diff, "show with the plan what each write does to its object, secrets masked")
}

// parseFormat reads the flags that say how the result is printed.
func (o *fleetOptions) parseFormat() (err error) {
	o.format, err = render.ParseFormat(o.output, o.template, o.noHeaders)
	return err
}

// print prints a report on stdout: coloured, and as wide as the terminal, where it is a table.
func (o *fleetOptions) print(r render.Report) error {
	if !o.format.IsTable() {
		return render.Print(o.Out, o.format, r)
	}
	return render.Print(o.page(o.Out, o.window), o.format, r)
}

// page is a page for text on a stream, which is a screen where it is a terminal.
func (o *fleetOptions) page(w io.Writer, s *screen) *render.Page {
	colour := o.coloured(s)
	p := &render.Page{Writer: render.Painted(w, colour), Colour: colour}
	if s.live() {
		p.Width, _ = s.size()
		p.Fit = true
	}
	return p
}

// completeFlags completes contexts and formats from the kubeconfig alone, without touching a cluster.
func completeFlags(cmd *cobra.Command, o *fleetOptions) {
	for flag, complete := range map[string]cobra.CompletionFunc{"context": o.completeContexts,
		"contexts": o.completeContexts,
		"progress": cobra.FixedCompletions(progressForms, cobra.ShellCompDirectiveNoFileComp),
		"color": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return colours, cobra.ShellCompDirectiveNoFileComp
		},
		"product": cobra.FixedCompletions(products, cobra.ShellCompDirectiveNoFileComp),
		"output": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return slices.Concat(render.Formats, render.TemplateFormats), cobra.ShellCompDirectiveNoFileComp
		}} {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // a flag of our own that does not exist
		}
	}
}

// clusters checks the flags and loads the kubeconfig, once.
func (o *fleetOptions) clusters(metrics bool) (*apply.Live, error) {
	if !slices.Contains(progressForms, o.progress) {
		return nil, fmt.Errorf("--progress is %q; pass one of %s", o.progress, strings.Join(progressForms, ", "))
	}
	if !slices.Contains(colours, o.colour) {
		return nil, fmt.Errorf("--color is %q; pass one of %s", o.colour, strings.Join(colours, ", "))
	}
	if !slices.Contains(products, o.product) {
		return nil, fmt.Errorf("--product is %q; pass one of %s", o.product, strings.Join(products, ", "))
	}
	if o.concurrency < 1 {
		return nil, fmt.Errorf("--concurrency is %d; it must be at least 1", o.concurrency)
	}
	for flag, d := range map[string]time.Duration{"request-timeout": o.requestTimeout, "member-timeout": o.memberTimeout} {
		if err := positive(flag, d); err != nil {
			return nil, err
		}
	}
	tokens, err := o.handedTokens()
	if err != nil {
		return nil, err
	}
	revoked, err := o.revoked()
	if err != nil {
		return nil, err
	}
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	hub := o.hub
	if o.outside() {
		hub = cmp.Or(o.stateContext, o.hub)
	}
	hubs := []string{hub}
	if o.standby != "" {
		hubs = append(hubs, o.standby)
	}
	f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: o.kubeconfig, Kuberc: o.kuberc, Hubs: hubs,
		Contexts:  o.contexts,
		UserAgent: "kubectl-xcpauth/" + version, As: o.as.AuthInfo,
		Terminal: userTerminal(o.In), Stderr: o.ErrOut, Watched: isTerminal(o.In) || isTerminal(o.screen.w)})
	if err != nil {
		return nil, err
	}
	product := o.named()
	if o.outside() {
		product = cmp.Or(product, kongstate.Name)
	}
	d := o.having(detect(product, tsb.Provider(), kongmesh.Provider()))
	api := globalapi.Client{Login: endpoint.Login, TLS: endpoint.TLS, Trim: d.Trim}
	live := &apply.Live{Fleet: f, Provider: d, API: api, Namespace: o.namespace,
		Where: plan.Selection{Product: product, Tokens: tokens, Addresses: endpoint.Addresses,
			Revoked: revoked, Hub: hub, Standby: o.standby, Roots: systemRoots},
		SecretFields: map[string]apply.FillSecret{migration.KeySecretField: tokenissuer.NewKey},
		Observer: &observe.Observer{Fleet: f, Reads: d.Reads, Trim: d.Trim, Ask: api.Read, Beside: beside(hub, endpoint),
			Metrics:        metrics,
			RequestTimeout: o.requestTimeout, MemberTimeout: o.memberTimeout, Limit: o.concurrency}}
	live.Observer.Now = live.Now
	live.By = (&who{live: live}).at
	return live, nil
}

// detect looks for the product that is named, else for any of them.
func detect(product string, all ...plan.Provider) plan.Provider {
	if product != "" {
		all = slices.DeleteFunc(all, func(p plan.Provider) bool { return p.Name != product })
	}
	return plan.Detect(all...)
}

// userTerminal is the file that is read, if a user sits at it.
func userTerminal(in io.Reader) *os.File {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// executor carries out what the provider decides, and reports on stderr until end is called.
func (o *fleetOptions) executor(live *apply.Live, goal plan.Goal, poll time.Duration) (e *engine.Executor, end func()) {
	o.writing.Store(true)
	live.Fleet.KeepConnections()
	p := o.shown()
	return &engine.Executor{Clusters: live, Provider: live.Provider, Goal: goal, By: live.By, Poll: poll,
		UndoWithin: 30 * time.Second, Limits: o.limits(poll),
		Report: p.report}, p.end
}

// observe looks at the fleet, and says so when it takes longer than two seconds.
func (o *fleetOptions) observe(ctx context.Context, live *apply.Live) plan.State {
	looked := make(chan struct{})
	var saying sync.WaitGroup
	saying.Go(func() {
		select {
		case <-looked:
		case <-time.After(2 * time.Second):
			fmt.Fprintf(o.ErrOut, "looking at %d contexts, up to %s each ...\n", len(live.Fleet.Contexts()), o.memberTimeout)
		}
	})
	defer saying.Wait() // nothing is said once the result is shown
	defer close(looked)
	return live.Observe(ctx)
}

// eachKubectlFlag passes what this run was given of the flags that kubectl has too: with which kubeconfig, and as whom.
func (o *fleetOptions) eachKubectlFlag(take func(flag, value string)) {
	take("kubeconfig", o.kubeconfig)
	take("kuberc", o.kuberc)
	take("as", o.as.AuthInfo.Impersonate)
	for _, group := range o.as.AuthInfo.ImpersonateGroups {
		take("as-group", group)
	}
	take("as-uid", o.as.AuthInfo.ImpersonateUID)
}

// kubectlFlags are those flags as words of a command, of kubectl or of the plugin.
func (o *fleetOptions) kubectlFlags() (words []string) {
	o.eachKubectlFlag(func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag, value)
		}
	})
	return words
}

// again is the command line that repeats this run's selection with another verb.
func (o *fleetOptions) again(verb string) string {
	words := []string{"kubectl xcpauth", verb}
	repeat := func(flag, value string) {
		if value != "" && !o.fromFile[flag] {
			words = append(words, "--"+flag+sep(value)+quote(value))
		}
	}
	repeat("fleet", o.fleetFile.path)
	o.eachKubectlFlag(repeat)
	repeat("product", o.named())
	repeat("context", o.hub)
	for _, address := range o.addresses {
		repeat("global-api", address)
	}
	repeat("global-ca", o.ca)
	repeat("kumactl-config", o.kumactl)
	repeat("kumactl-context", o.kumactlContext)
	repeat("state-context", o.stateContext)
	repeat("api-token", o.apiToken)
	for _, pattern := range o.contexts {
		repeat("contexts", pattern)
	}
	if o.repeats != "" {
		words = append(words, o.repeats)
	}
	return strings.Join(words, " ")
}

// sep stands between a flag and its value: a value with a dash in front must not be taken for a flag.
func sep(value string) string {
	if strings.HasPrefix(value, "-") {
		return "="
	}
	return " "
}

// quote makes a word safe to paste into a shell.
func quote(s string) string {
	if !strings.ContainsAny(s, " \t\n\"'\\$`!*?[](){}<>|&;#~^") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
