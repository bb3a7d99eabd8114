package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// The environment that a test sets; TCTL_CONFIG is tctl's own.
const (
	logEnv = "FAKETCTL_LOG" // a file to which each run appends its arguments, as one JSON array a line
	// how management planes are reached, by the context of a profile's cluster; else as kubectl would
	kubeconfigEnv = "FAKETCTL_KUBECONFIG"
	// such as v1.6.2, the default; before v1.5 there are no service accounts and tctl makes the tokens
	versionEnv = "FAKETCTL_VERSION"
	configEnv  = "TCTL_CONFIG"
)

const defaultVersion = "v1.6.2"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if err := logArgs(args); err != nil {
		return err
	}
	cmd := root()
	cmd.SetArgs(args)
	return cmd.Execute()
}

// logArgs appends the arguments to the log before anything else, so that a run that fails is in it too.
func logArgs(args []string) error {
	path := os.Getenv(logEnv)
	if path == "" {
		return nil
	}
	line, err := json.Marshal(append([]string{"tctl"}, args...))
	if err != nil {
		return fmt.Errorf("encoding the arguments: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the log: %w", err)
	}
	return nil
}

// root is `tctl` with the flags that every command inherits.
func root() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{Use: "tctl", SilenceUsage: true, SilenceErrors: true}
	flags := cmd.PersistentFlags()
	flags.StringVarP(&o.configPath, "config", "c", os.Getenv(configEnv), "Path to the config file to use")
	flags.StringVarP(&o.profile, "profile", "p", "default", "Use specific profile")
	flags.Bool("debug", false, "Print debug messages for all requests and responses")
	flags.Bool("disable-tctl-version-warn", false, "If set, disable the outdated tctl version warning")
	cmd.PersistentPreRun = func(cmd *cobra.Command, _ []string) { o.profileGiven = cmd.Flags().Changed("profile") }
	cmd.AddCommand(configCommand(o), installCommand(o), versionCommand(o))
	return cmd
}

// options are what every command is given.
type options struct {
	configPath   string
	profile      string
	profileGiven bool // else the current profile counts
}

// tctlVersion is what the fake says that it is.
func tctlVersion() string {
	if v := os.Getenv(versionEnv); v != "" {
		return v
	}
	return defaultVersion
}

// versionCommand prints both versions as public logs show them; what it says without a management plane is not
// documented.
func versionCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		fmt.Fprintf(cmd.OutOrStdout(), "TCTL version: %s\n", tctlVersion())
		if _, err := o.login(cmd.Context()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "TSB version: %s\n", tctlVersion())
		return nil
	}}
}

// group is a command that only holds others; one that it does not hold is an error.
func group(use string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command,
		_ []string) error {
		return cmd.Help()
	}}
	cmd.AddCommand(subcommands...)
	return cmd
}
