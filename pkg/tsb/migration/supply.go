package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// supplyProblem says why an edge cannot get what it lacks from where the goal says, "" when it can as far as can be
// told before asking. A manifest that was provided is read here, so that the plan shows what is wrong with it.
func supplyProblem(f plan.State, m plan.Member, goal plan.Goal) string {
	s := state.SupplyOf(f, m)
	if goal.Manifests == nil {
		switch {
		case m.Trust.Suppliable:
			return m.Trust.Why + "; tctl does not know that CA: hand a manifest over with --secrets"
		case slices.Contains(s.Wants, state.SecretServiceAccount) && s.FullName == "":
			return fmt.Sprintf("the full name of cluster %s for its service account is not known, since the ManagementPlane names no organization or was not looked at; hand a manifest over with --secrets", s.ClusterName)
		}
		return ""
	}
	_, err := ManifestFor(goal.Manifests, s, f.At)
	if _, own := manifestTextFor(goal.Manifests, s); err == nil && !own && len(m.Credential.MissingSecrets) > 0 &&
		slices.ContainsFunc(f.Members, func(o plan.Member) bool {
			return o.Name != m.Name &&
				len(o.Credential.MissingSecrets) > 0
		}) {
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

// ManifestFor takes what a member lacks from the manifest that was provided for it.
func ManifestFor(handed map[string]plan.Secret, s plan.Supply, at time.Time) (state.Manifest, error) {
	text, _ := manifestTextFor(handed, s)
	if text == nil {
		return state.Manifest{}, fmt.Errorf("no manifest was provided for it, and it lacks secret %s; put one called %s.yaml into the directory of --secrets", strings.Join(s.Wants, ", "), s.Member)
	}
	m, err := state.ReadManifest(text.Reveal(), s, at)
	if err != nil {
		return m, fmt.Errorf("its manifest cannot be used: %w", err)
	}
	if why := m.Lacks(s); why != "" {
		return m, fmt.Errorf("its manifest does not do: %s", why)
	}
	return m, nil
}

// manifestTextFor returns the manifest that was provided for a member; own says that it is for it alone.
func manifestTextFor(handed map[string]plan.Secret, s plan.Supply) (text *plan.Secret, own bool) {
	for _, name := range []string{s.Member, s.ClusterName, ""} {
		if text, ok := handed[name]; ok {
			return &text, name != ""
		}
	}
	return nil, false
}
