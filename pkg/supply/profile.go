package supply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// errNoProfile says that tctl's configuration was read and does not have the profile.
var errNoProfile = errors.New("tctl has no such profile")

// check finds the profile in use and sees that it leads to the hub that edges dial under hosts: by the bridge address
// of its cluster in tctl's own configuration. Both commands only read. Where that cannot be told, a profile that was
// named is taken at its word, and the current one is not; one that leads elsewhere is never taken.
func (t *Tctl) check(ctx context.Context, hosts []string) (profile, error) {
	name, address, err := t.address(ctx)
	switch {
	case ctx.Err() != nil:
		return profile{}, err
	case errors.Is(err, errNoProfile):
		return profile{}, fmt.Errorf("--tctl-profile %s: %w; tctl config profiles list shows those that there are", t.Profile,
			err)
	case err != nil && t.Profile == "":
		return profile{}, fmt.Errorf("where tctl's current profile leads cannot be told (%w); name the profile of this hub with --tctl-profile", err)
	case err != nil:
		return profile{t.Profile, fmt.Sprintf("tctl's profile %s is taken to lead to this hub because --tctl-profile names it: where it leads cannot be told (%v)", t.Profile, err)}, nil
	case !slices.ContainsFunc(hosts, func(host string) bool { return sameHost(hostOf(address), host) }):
		return profile{}, fmt.Errorf("tctl's profile %s leads to %s, and the edges dial %s: that is another hub, or another name of it; name the profile of this hub with --tctl-profile, or hand a manifest over with --secrets", name, address, strings.Join(hosts, ", "))
	}
	return profile{name, fmt.Sprintf("tctl's profile %s leads to %s, the host that edges dial too (by tctl config view)",
		name, address)}, nil
}

// address returns the profile in use and the address to which it leads.
func (t *Tctl) address(ctx context.Context) (name, address string, err error) {
	table, err := t.run(ctx, "", "config", "profiles", "list")
	if err != nil {
		return "", "", err
	}
	name, cluster, err := profileIn(table, t.Profile)
	if err != nil {
		return "", "", err
	}
	view, err := t.run(ctx, "", "config", "view")
	if err != nil {
		return "", "", err
	}
	address, err = addressIn(view, cluster)
	return name, address, err
}

// profileIn finds a profile, "" for the current one, in the table of the vendor's guide: CURRENT, NAME, CLUSTER,
// ACCOUNT.
func profileIn(table []byte, want string) (name, cluster string, err error) {
	lines := strings.Split(string(table), "\n")
	header := slices.IndexFunc(lines, func(l string) bool {
		return slices.Equal(strings.Fields(l), []string{"CURRENT", "NAME", "CLUSTER", "ACCOUNT"})
	})
	if header < 0 {
		return "", "", errors.New("tctl config profiles list does not print the table that its guide shows")
	}
	for _, line := range lines[header+1:] {
		words := strings.Fields(line)
		current := len(words) > 0 && words[0] == "*"
		if current {
			words = words[1:]
		}
		if len(words) < 2 || (want == "" && !current) || (want != "" && words[0] != want) {
			continue
		}
		return words[0], words[1], nil
	}
	if want == "" {
		return "", "", errors.New("tctl has no current profile")
	}
	return "", "", errNoProfile
}

// addressIn finds the bridge address of a cluster in tctl's configuration. It may hold passwords, so its errors are
// not repeated.
func addressIn(view []byte, cluster string) (string, error) {
	var c struct {
		Clusters []struct {
			Name    string `json:"name"`
			Address string `json:"bridge-address"`
		} `json:"clusters"`
	}
	if yaml.Unmarshal(bytes.TrimSpace(view), &c) != nil {
		return "", errors.New("tctl config view does not print clusters as an exported configuration has them")
	}
	for _, cl := range c.Clusters {
		if cl.Name == cluster && cl.Address != "" {
			return cl.Address, nil
		}
	}
	return "", fmt.Errorf("tctl config view names no bridge-address of its cluster %q", cluster)
}

// hostOf is the host of an address with or without a port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

func sameHost(a, b string) bool {
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	if errA == nil && errB == nil {
		return ipA == ipB
	}
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
