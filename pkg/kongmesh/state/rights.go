package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// askedWho is the user that the API takes the one who asks for (Kuma pkg/api-server/whoami_endpoint.go).
const askedWho = "who-am-i"

// An APIRight is a right to the global's API that the user who asks does not have.
type APIRight struct {
	User     string // as the API knows it: its name and its groups
	Action   string // what it may not do: a verb and its object
	Setting  string // where the configuration lists the users and groups that may
	Variable string // the variable of that setting, without _USERS and _GROUPS
}

func (r APIRight) String() string {
	return fmt.Sprintf("the global's API does not let %s %s (%s)", r.User, r.Action, r.Setting)
}

// Remedy says how the user gets the right.
func (r APIRight) Remedy() string {
	return fmt.Sprintf("add the user to %[1]s_USERS, or one of its groups to %[1]s_GROUPS, on the global, or pass the "+
		"token of a user who may with --api-token FILE", r.Variable)
}

// What a user may do by the API depends on these lists alone, where access.type is static (Kuma
// pkg/config/access/config.go, pkg/core/resources/access and pkg/tokens/builtin/zone/access). Kong Mesh also has roles
// of its own (access.type rbac), which the API does not show: such a right is unknown until it is used.
var (
	rightToSecrets = APIRight{Action: "read and change signing keys and revocations",
		Setting: "access.static.adminResources", Variable: "KUMA_ACCESS_STATIC_ADMIN_RESOURCES"}
	rightToIssue = APIRight{Action: "issue zone tokens",
		Setting: "access.static.generateZoneToken", Variable: "KUMA_ACCESS_STATIC_GENERATE_ZONE_TOKEN"}
)

// MissingAPIRights are the rights that the user who asks lacks for certain, at the API of a global that keeps its state
// to itself; nil where none is known to be missing.
func MissingAPIRights(cp ControlPlane, read map[plan.Read]plan.Result) []APIRight {
	from, is := sourceOf(cp, read).(asked)
	if !is {
		return nil
	}
	var missing []APIRight
	for _, r := range []APIRight{rightToSecrets, rightToIssue} {
		if user, lacks := from.lacks(r, read); lacks {
			r.User = user
			missing = append(missing, r)
		}
	}
	return missing
}

// lacks says whether the user who asks lacks a right for certain, and who that is.
func (a asked) lacks(r APIRight, read map[plan.Read]plan.Result) (user string, lacks bool) {
	var who struct {
		Name   string   `json:"name"`
		Groups []string `json:"groups"`
	}
	var config file
	for what, into := range map[string]any{askedWho: &who, askedConfig: &config} {
		if result := a.answer(what, read); !result.OK() || kube.Decode(result.Body, into) != nil {
			return "", false
		}
	}
	users, told := config.at(r.Setting + ".users").([]any)
	groups, toldGroups := config.at(r.Setting + ".groups").([]any)
	if config.at("access.type") != "static" || !told || !toldGroups || who.Name == "" {
		return "", false
	}
	has := slices.Contains(users, any(who.Name)) ||
		slices.ContainsFunc(who.Groups, func(g string) bool { return slices.Contains(groups, any(g)) })
	return zonetoken.Safe(who.Name + "/" + strings.Join(who.Groups, ",")), !has
}
