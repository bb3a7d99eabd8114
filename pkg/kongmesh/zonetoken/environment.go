package zonetoken

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// CheckEnvironment says what is wrong with the variables that a control plane of this version is given, by their
// names and the values of those that are no secret.
func (v Version) CheckEnvironment(variables map[string]string) finding.Findings {
	var f finding.Findings
	if !v.Known() {
		return nil
	}
	var old, fresh []string
	for name := range variables {
		if strings.HasPrefix(name, OldVariables) {
			old = append(old, name)
		}
		if strings.HasPrefix(name, "KUMA_MULTIZONE_") && strings.Contains(name, "_KDS_AUTH_") {
			fresh = append(fresh, name)
		}
	}
	slices.Sort(old)
	slices.Sort(fresh)
	switch {
	case len(old) > 0 && v.AtLeast(3, 0, 0):
		f.Add(environmentExits, fmt.Sprintf("%s ends at its start while it is given %s", v, strings.Join(old, ", ")),
			"Remove it, and set "+strings.Join([]string{NewNames.GlobalType, NewNames.ZoneInline, NewNames.ZonePath},
				" or ")+" instead.")
	case len(fresh) > 0 && !v.AtLeast(2, 14, 6):
		f.Add(environmentNotRead, fmt.Sprintf("%s does not read %s, so it is as if it were not set", v,
			strings.Join(fresh, ", ")), "Use the names that begin with "+OldVariables+" until 2.14.6.")
	case len(old) > 0 && v.AtLeast(2, 14, 6):
		f.Add(environmentDeprecated, fmt.Sprintf("%s still takes %s, on which 3.0 ends at its start", v,
			strings.Join(old, ", ")), "Rename it before upgrading to 3.0.")
	}
	for _, e := range v.Environments() {
		value, set := variables[e.GlobalType]
		if set && value != "" && value != Off && value != e.GlobalOn && value != "konnect" {
			f.Add(environmentValue, fmt.Sprintf("%s is %q, which is none of %s, %s", e.GlobalType, value, Off, e.GlobalOn),
				"Set it to one of them.")
		}
	}
	return f
}

// Environment is how a version names the settings of authentication. Sources: Kong Mesh's page in each version, and
// its deprecations of 2.14.6 and 3.0 (Kong/kong-mesh#10960).
type Environment struct {
	GlobalType  string // of the global: who is authenticated
	GlobalOn    string // its value that turns authentication on; "none", the default, turns it off
	ZoneInline  string // of the zone: the token itself
	ZonePath    string // or the path of a file with it
	IssuerOn    string // whether the global issues tokens; "" where it cannot be set
	UsesSecrets string // whether keys are taken from secrets
}

// Off is the value of GlobalType that turns authentication off.
const Off = "none"

// OldVariables is how those names begin that 3.0 ends on at its start.
const OldVariables = "KMESH_MULTIZONE_"

var (
	NewNames = Environment{GlobalType: "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", GlobalOn: "zoneToken",
		ZoneInline: "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE", ZonePath: "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_PATH",
		IssuerOn:    "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_ZONE_TOKEN_ENABLE_ISSUER",
		UsesSecrets: "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_ZONE_TOKEN_VALIDATOR_USE_SECRETS"}
	OldNames = Environment{GlobalType: "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", GlobalOn: "cpToken",
		ZoneInline: "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE", ZonePath: "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_PATH"}
)

// Environments are the names that the version takes, the one to write first; none where zones are not authenticated,
// or the version is not known: a name that is not read leaves the global open without a word.
func (v Version) Environments() []Environment {
	old := OldNames
	if v.AtLeast(2, 14, 0) {
		old.IssuerOn, old.UsesSecrets = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_ENABLE_ISSUER",
			"KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_VALIDATOR_USE_SECRETS"
	}
	if v.Known() && !v.AtLeast(1, 3, 0) { // a zone was called remote
		old.ZoneInline, old.ZonePath = "KMESH_MULTIZONE_REMOTE_KDS_AUTH_CP_TOKEN_INLINE",
			"KMESH_MULTIZONE_REMOTE_KDS_AUTH_CP_TOKEN_PATH"
	}
	switch {
	case !v.Known() || !v.AuthenticatesZones() || !v.AtLeast(1, 2, 0):
		return nil
	case v.AtLeast(3, 0, 0):
		return []Environment{NewNames}
	case v.AtLeast(2, 14, 6):
		return []Environment{NewNames, old}
	}
	return []Environment{old}
}
