package state

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// lackingSecrets lists of which secrets the credential of an edge is to be made again when it is missing or cannot be
// used: the token, and the service account unless a valid one is there, for each new key stays valid beside it. The
// CA of the management plane's API is added where the ControlPlane says that it is needed
// (spec.managementPlane.selfSigned): nothing is minted without it.
func lackingSecrets(read map[plan.Read]plan.Result, m plan.Member, selfSigned bool,
	hub plan.Hub) (lacks, adds []string) {
	ns := m.Object.Namespace
	if selfSigned && read[SecretRead(ns, SecretMPCA)].Missing {
		adds = append(adds, SecretMPCA)
	}
	switch m.Credential.State {
	case plan.CredentialMissing, plan.CredentialBad:
	default:
		return nil, nil
	}
	account := read[SecretRead(ns, SecretServiceAccount)]
	data := map[string][]byte{"clusterFqn": SecretValue(account, "clusterFqn"), "jwk": SecretValue(account, "jwk")}
	if account.Missing || account.OK() && accountFault(data, SupplyOf(plan.State{Hub: hub}, m)) != "" {
		lacks = append(lacks, SecretServiceAccount)
	}
	return append(lacks, SecretToken), adds
}

// SupplyOf asks for what an edge lacks.
func SupplyOf(f plan.State, m plan.Member) plan.Supply {
	s := plan.Supply{Member: m.Name, ClusterName: m.ClusterName, Context: m.Context, Namespace: m.Object.Namespace,
		Wants: WantedSecrets(m), Adds: m.Credential.ExtraSecrets,
		Chain: f.Hub.Server.Chain}
	for _, edge := range f.Members {
		if host := dialledHost(edge); host != "" && !slices.Contains(s.Hosts, host) {
			s.Hosts = append(s.Hosts, host)
		}
	}
	slices.Sort(s.Hosts)
	if f.Hub.Organization != "" {
		s.FullName = "organizations/" + f.Hub.Organization + "/clusters/" + m.ClusterName
	}
	return s
}

// WantedSecrets lists the secrets that an edge lacks to present a JWT and that can come from outside.
func WantedSecrets(m plan.Member) []string {
	all := slices.Clone(m.Credential.MissingSecrets)
	if m.Trust.Suppliable {
		all = append(all, SecretCA)
	}
	return all
}
