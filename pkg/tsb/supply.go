package tsb

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// lackingSecrets lists of which secrets the credential of an edge is to be made again when it is missing or cannot be used: the token,
// and the service account unless a valid one is there, for each new key stays valid beside it. The CA of the management plane's API is
// added where the ControlPlane says that it is needed (spec.managementPlane.selfSigned): nothing is minted without it.
func lackingSecrets(read map[plan.Read]plan.Result, m plan.Member, selfSigned bool, hub plan.Hub) (lacks, adds []string) {
	ns := m.Object.Namespace
	if selfSigned && read[secret(ns, secretMPCA)].Missing {
		adds = append(adds, secretMPCA)
	}
	switch m.Credential.State {
	case plan.CredentialMissing, plan.CredentialBad:
	default:
		return nil, nil
	}
	account := read[secret(ns, secretServiceAccount)]
	data := map[string][]byte{"clusterFqn": secretKey(account, "clusterFqn"), "jwk": secretKey(account, "jwk")}
	if account.Missing || account.OK() && accountFault(data, supplyOf(plan.State{Hub: hub}, m)) != "" {
		lacks = append(lacks, secretServiceAccount)
	}
	return append(lacks, secretToken), adds
}

// wantedSecrets lists the secrets that an edge lacks to present a JWT and that can come from outside.
func wantedSecrets(m plan.Member) []string {
	all := slices.Clone(m.Credential.MissingSecrets)
	if m.Trust.Suppliable {
		all = append(all, secretCA)
	}
	return all
}

// supplyOf asks for what an edge lacks.
func supplyOf(f plan.State, m plan.Member) plan.Supply {
	s := plan.Supply{Member: m.Name, ClusterName: m.ClusterName, Context: m.Context, Namespace: m.Object.Namespace, Wants: wantedSecrets(m), Adds: m.Credential.ExtraSecrets,
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

// supplyProblem says why an edge cannot get what it lacks from where the goal says, "" when it can as far as can be told before asking. A
// manifest that was handed over is read here, so that the plan shows what is wrong with it.
func supplyProblem(f plan.State, m plan.Member, goal plan.Goal) string {
	s := supplyOf(f, m)
	if goal.Manifests == nil {
		switch {
		case m.Trust.Suppliable:
			return m.Trust.Why + "; tctl does not know that CA: hand a manifest over with --secrets"
		case slices.Contains(s.Wants, secretServiceAccount) && s.FullName == "":
			return fmt.Sprintf("the full name of cluster %s for its service account is not known, since the ManagementPlane names no organization or was not looked at; hand a manifest over with --secrets", s.ClusterName)
		}
		return ""
	}
	_, err := ManifestFor(goal.Manifests, s, f.At)
	if _, own := manifestTextFor(goal.Manifests, s); err == nil && !own && len(m.Credential.MissingSecrets) > 0 && slices.ContainsFunc(f.Members, func(o plan.Member) bool { return o.Name != m.Name && len(o.Credential.MissingSecrets) > 0 }) {
		return "several edges lack credentials, and one manifest can be for one of them; put one EDGE.yaml for each into the directory of --secrets, or select one edge with --contexts"
	}
	switch {
	case err == nil:
		return ""
	case m.Trust.Suppliable:
		return m.Trust.Why + "; " + err.Error()
	}
	return err.Error()
}

// manifestTextFor returns the manifest that was handed over for a member; own says that it is for it alone.
func manifestTextFor(handed map[string]plan.Secret, s plan.Supply) (text *plan.Secret, own bool) {
	for _, name := range []string{s.Member, s.ClusterName, ""} {
		if text, ok := handed[name]; ok {
			return &text, name != ""
		}
	}
	return nil, false
}

// ManifestFor takes what a member lacks from the manifest that was handed over for it.
func ManifestFor(handed map[string]plan.Secret, s plan.Supply, at time.Time) (Manifest, error) {
	text, _ := manifestTextFor(handed, s)
	if text == nil {
		return Manifest{}, fmt.Errorf("no manifest was handed over for it, and it lacks secret %s; put one called %s.yaml into the directory of --secrets", strings.Join(s.Wants, ", "), s.Member)
	}
	m, err := ReadManifest(text.Reveal(), s, at)
	if err != nil {
		return m, fmt.Errorf("its manifest cannot be used: %w", err)
	}
	if why := m.Lacks(s); why != "" {
		return m, fmt.Errorf("its manifest does not do: %s", why)
	}
	return m, nil
}
