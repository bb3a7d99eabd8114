package state

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// HostNames are hosts as a certificate names them, each once.
func HostNames(hosts []string) []string {
	var all []string
	for _, host := range hosts {
		if name := hostName(host); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// hostName is a host as a certificate names it: no dot at its end, which no CA takes, and an IP address without
// brackets, in its one form.
func hostName(host string) string {
	bare := host
	if inner, ok := strings.CutPrefix(host, "["); ok {
		bare = strings.TrimSuffix(inner, "]")
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		return ip.Unmap().String()
	}
	if len(host) > 1 {
		return strings.TrimSuffix(host, ".")
	}
	return host
}

// address is a host with its port: an IPv6 address stands in brackets there.
func address(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// dialledHost is the host of the address that a member dials; "" when that has no port.
func dialledHost(m plan.Member) string {
	if at, err := netip.ParseAddrPort(m.Dials); err == nil {
		return at.Addr().String()
	}
	if _, err := netip.ParseAddr(m.Dials); err == nil {
		return ""
	}
	if i := strings.LastIndex(m.Dials, ":"); i > 0 {
		return m.Dials[:i]
	}
	return ""
}
