package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// config is the file of profiles. Of its layout only clusters[].bridge-address is public, from an exported one.
type config struct {
	Current  string          `json:"current-profile,omitempty"`
	Clusters []clusterConfig `json:"clusters,omitempty"`
	Profiles []profileConfig `json:"profiles,omitempty"`
	Users    []userConfig    `json:"users,omitempty"`
}

type clusterConfig struct {
	Name          string `json:"name"`
	BridgeAddress string `json:"bridge-address,omitempty"`
	Context       string `json:"context,omitempty"`
	Kubeconfig    string `json:"kubeconfig,omitempty"`
	TLSInsecure   bool   `json:"tls-insecure,omitempty"`
}

type profileConfig struct {
	Name     string `json:"name"`
	Cluster  string `json:"cluster,omitempty"`
	Username string `json:"username,omitempty"`
}

type userConfig struct {
	Name     string `json:"name"`
	Org      string `json:"org,omitempty"`
	Tenant   string `json:"tenant,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// read returns the configuration; a file that is not there yet is an empty one. The vendor's default path is not
// public.
func (o *options) read() (*config, error) {
	c := &config{}
	if o.configPath == "" {
		return nil, errors.New("no config file: set " + configEnv + " or --config")
	}
	b, err := os.ReadFile(o.configPath)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the config file: %w", err)
	}
	if err := yaml.UnmarshalStrict(b, c); err != nil {
		return nil, fmt.Errorf("reading the config file %s: %w", o.configPath, err)
	}
	return c, nil
}

func (c *config) write(path string) error {
	b, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encoding the config file: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("writing the config file: %w", err)
	}
	return nil
}

// current is the name of the profile in use: the one that the flag names, else the current one, else "default".
func (o *options) current(c *config) string {
	if !o.profileGiven && c.Current != "" {
		return c.Current
	}
	return o.profile
}

// find returns a profile and its cluster.
func (c *config) find(profile string) (profileConfig, clusterConfig, error) {
	for _, p := range c.Profiles {
		if p.Name != profile {
			continue
		}
		for _, cl := range c.Clusters {
			if cl.Name == p.Cluster {
				return p, cl, nil
			}
		}
		return p, clusterConfig{}, fmt.Errorf("profile %q names cluster %q, which is not configured", profile, p.Cluster)
	}
	return profileConfig{}, clusterConfig{}, fmt.Errorf("profile %q is not configured", profile)
}

// put replaces the entry of the same name, or adds it.
func put[T any](list []T, entry T, name func(T) string) []T {
	for i := range list {
		if name(list[i]) == name(entry) {
			list[i] = entry
			return list
		}
	}
	return append(list, entry)
}

// change edits the file.
func (o *options) change(edit func(*config) error) error {
	c, err := o.read()
	if err != nil {
		return err
	}
	if err := edit(c); err != nil {
		return err
	}
	return c.write(o.configPath)
}

func configCommand(o *options) *cobra.Command {
	return group("config",
		group("clusters", clustersSet(o)), group("users", usersSet(o)),
		group("profiles", profilesSet(o), profilesSetCurrent(o), profilesGetCurrent(o), profilesList(o), profilesExport(o)),
		&cobra.Command{Use: "view", Short: "Show all configuration data in yaml format", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				c, err := o.read()
				if err != nil {
					return err
				}
				b, err := yaml.Marshal(c)
				if err != nil {
					return fmt.Errorf("encoding the configuration: %w", err)
				}
				_, err = cmd.OutOrStdout().Write(b)
				return err
			}})
}

func clustersSet(o *options) *cobra.Command {
	var to clusterConfig
	cmd := &cobra.Command{Use: "set <name>", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		to.Name = args[0]
		return o.change(func(c *config) error {
			c.Clusters = put(c.Clusters, to, func(c clusterConfig) string { return c.Name })
			return nil
		})
	}}
	cmd.Flags().StringVar(&to.BridgeAddress, "bridge-address", "", "Bridge address (for example, tsb.tetrate.io:8443)")
	cmd.Flags().StringVar(&to.Context, "context", "", "The name of the kubeconfig context")
	cmd.Flags().StringVar(&to.Kubeconfig, "kubeconfig", "", "Kubernetes configuration directory")
	cmd.Flags().BoolVar(&to.TLSInsecure, "tls-insecure", false,
		"Don't validate TLS server certificates when connecting to TSB")
	return cmd
}

func usersSet(o *options) *cobra.Command {
	var to userConfig
	cmd := &cobra.Command{Use: "set <name>", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		to.Name = args[0]
		return o.change(func(c *config) error {
			c.Users = put(c.Users, to, func(u userConfig) string { return u.Name })
			return nil
		})
	}}
	cmd.Flags().StringVar(&to.Org, "org", "", "Organization")
	cmd.Flags().StringVar(&to.Tenant, "tenant", "", "Tenant")
	cmd.Flags().StringVar(&to.Username, "username", "", "Basic auth username")
	cmd.Flags().StringVar(&to.Password, "password", "", "Basic auth password")
	return cmd
}

func profilesSet(o *options) *cobra.Command {
	var to profileConfig
	cmd := &cobra.Command{Use: "set <name>", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		to.Name = args[0]
		return o.change(func(c *config) error {
			c.Profiles = put(c.Profiles, to, func(p profileConfig) string { return p.Name })
			return nil
		})
	}}
	cmd.Flags().StringVar(&to.Cluster, "cluster", "", "Cluster")
	cmd.Flags().StringVar(&to.Username, "username", "", "Username")
	return cmd
}

func profilesSetCurrent(o *options) *cobra.Command {
	return &cobra.Command{Use: "set-current <name>", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return o.change(func(c *config) error {
				c.Current = args[0]
				_, _, err := c.find(args[0])
				return err
			})
		}}
}

func profilesGetCurrent(o *options) *cobra.Command {
	return &cobra.Command{Use: "get-current", Short: "Get the active profile", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.read()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), o.current(c))
			return nil
		}}
}

// profilesList prints the table of the vendor's guide.
func profilesList(o *options) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List all configuration profiles", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.read()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "  CURRENT\tNAME\tCLUSTER\tACCOUNT")
			for _, p := range c.Profiles {
				mark := ""
				if p.Name == o.current(c) {
					mark = "*"
				}
				fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", mark, p.Name, p.Cluster, p.Username)
			}
			return w.Flush()
		}}
}

// profilesExport writes profiles with their clusters to a file of their own, their users only if asked to.
func profilesExport(o *options) *cobra.Command {
	var file string
	var credentials bool
	cmd := &cobra.Command{Use: "export <profiles...>", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.read()
			if err != nil {
				return err
			}
			out := &config{}
			for _, name := range args {
				p, cl, err := c.find(name)
				if err != nil {
					return err
				}
				out.Profiles, out.Clusters = append(out.Profiles, p), append(out.Clusters, cl)
				for _, u := range c.Users {
					if credentials && u.Name == p.Username {
						out.Users = append(out.Users, u)
					}
				}
			}
			return out.write(file)
		}}
	cmd.Flags().StringVar(&file, "file", "tctl-config-export.yaml", "output file")
	cmd.Flags().BoolVar(&credentials, "include-credentials", false, "include credentials in the output file")
	return cmd
}
