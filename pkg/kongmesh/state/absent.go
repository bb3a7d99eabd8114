package state

import (
	"fmt"
	"maps"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// addAbsent adds the zones that the global lists and no selected context showed: as unknown, or where the token that
// they were given was provided (Universal zones, which have no context), by that token and by a session that brought
// one.
func addAbsent(handed map[string]plan.Secret, hub *zonetoken.GlobalVerifier, sessions map[string][]told,
	f *plan.State) {
	known := map[string]bool{}
	for _, m := range f.Members {
		known[m.ClusterName] = true
	}
	for _, name := range slices.Sorted(maps.Keys(setOf(f.Hub.Inventory))) {
		if known[name] {
			continue
		}
		m := plan.Member{Identity: plan.Identity{Name: name, ClusterName: name, Role: plan.RoleEdge}}
		config, told := newestConfig(sessions[name])
		m.Err = absence(name, config, told)
		if token, ok := handed[name]; ok {
			src := plainSource(string(token.Reveal()), "the token that was provided")
			creds, why := src.presents(hub, name, f.At)
			m.Credential = src.credential(creds, why)
			m.Credential.Written = src.issued()
			open := OpenSessions(f.Hub, name)
			switch {
			case creds == nil || creds[0] == None:
				m.Err = "the token that was provided would be refused: " + why
			case len(open) == 0:
				m.Err = "it has a token, and the global does not see it connected; " + config.giveIt()
			case f.Hub.SessionsUnclear != "":
				m.Err = f.Hub.SessionsUnclear
			case !BroughtTokens(open):
				m.Err = "it is connected without a token; " + config.giveIt()
			case slices.ContainsFunc(open, func(s plan.Session) bool { return !src.issued().Before(s.Began) }):
				m.Err = "it is connected since before that token was issued, so with another one; " + config.giveIt()
			default:
				m.Err, m.Declared, m.Effective = "", creds[0], creds[0]
				m.Evidence = guard.Member{Presents: creds, Until: f.At.Add(LiveFor),
					Why: "the token that was provided, and a session that brought one"}
			}
		}
		f.Others = slices.DeleteFunc(f.Others, func(o plan.OtherContext) bool {
			if o.State != "unreachable" || o.Context != name {
				return false
			}
			m.Context, m.Err, m.Evidence.Presents = o.Context, o.Why, nil
			return true
		})
		if m.Evidence.Name = m.Name; m.Err != "" {
			m.Evidence.Why = m.Err
		}
		f.Members = append(f.Members, m)
	}
}

// absence says why a zone that the global lists is in no selected context, and what to do: by its configuration where
// the global tells that.
func absence(zone string, c zoneConfig, told bool) string {
	const gone = "; if it is gone, delete the zone from the global"
	issue := fmt.Sprintf("(kubectl xcpauth token issue --help) and pass that with --zone-token %s=FILE", zone)
	switch {
	case told && c.Environment == inKubernetes:
		return "it runs in a cluster, and no selected context holds it; select its context" + gone
	case told && c.Environment == inMemoryOrPostgres:
		return "it runs in no cluster" + c.configured() + "; give it a token " + issue + gone
	}
	return "no selected context holds it; select its context. If it has none (Universal), give it a token " + issue + gone
}

// configured is a clause about its token, after a comma; "" when that is not known.
func (c zoneConfig) configured() string {
	switch file, inline, known := c.takesToken(); {
	case file != "":
		return fmt.Sprintf(", and reads its token from %s", zonetoken.Safe(file))
	case inline:
		return ", and has its token in a setting"
	case known:
		return ", and no token is configured for it"
	}
	return ""
}

// giveIt says how the zone gets another token.
func (c zoneConfig) giveIt() string {
	if file, _, _ := c.takesToken(); file != "" {
		return fmt.Sprintf("write the one that was provided to %s, from which it reads its token, and restart it",
			zonetoken.Safe(file))
	}
	return "start it with the one that was provided"
}
