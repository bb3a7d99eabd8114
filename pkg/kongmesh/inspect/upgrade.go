package inspect

import (
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// XA200 to XA209 are about an upgrade that was asked about.
var (
	upgradeStore = rules.Register(&finding.Rule{ID: "XA200", Name: "upgrade-store",
		Severity: finding.Error, Title: "the release would not start as a global that keeps its state in Kubernetes",
		Remedy: "Set up a global with a store of its own first, and give it the same signing keys and revocations."})
	upgradeSettings = rules.Register(&finding.Rule{ID: "XA201", Name: "upgrade-settings",
		Severity: finding.Error, Title: "the release would not start with, or not read, a variable that is set",
		Remedy: "Rename the variable before the upgrade."})
	upgradeIgnored = rules.Register(&finding.Rule{ID: "XA202", Name: "upgrade-ignored",
		Severity: finding.Error, Title: "the release would ignore a setting in the configuration file without a word",
		Remedy: "Move the setting to the name that the release reads before the upgrade."})
	upgradeZoneName = rules.Register(&finding.Rule{ID: "XA203", Name: "upgrade-zone-name",
		Severity: finding.Error, Title: "the release would refuse the name of a zone",
		Remedy: "Make a zone of another name, and move what runs in this one."})
	upgradeToken = rules.Register(&finding.Rule{ID: "XA204", Name: "upgrade-token",
		Severity: finding.Error, Title: "the release would refuse a zone's token that the global takes today",
		Remedy: "Give the zone another token before the upgrade: `kubectl xcpauth migrate`."})
)

// target is the release that an upgrade is asked about, and whether one is.
func target(cp state.ControlPlane, where plan.Selection) (v zonetoken.Version, asked bool) {
	if where.For == "" {
		return v, false
	}
	v, err := zonetoken.ParseVersion(cp.Version.Product, where.For)
	return v, err == nil
}

// upgradeOfGlobal finds what an upgrade of the global would break.
func upgradeOfGlobal(in *plan.Inspection, where string, cp state.ControlPlane, inCluster bool, to zonetoken.Version) {
	if inCluster && !to.RunsOnKubernetesStore() {
		add(in, upgradeStore, where, fmt.Sprintf("%s ends at its start as a global with KUMA_ENVIRONMENT or KUMA_STORE_TYPE "+
			"kubernetes", to), "set up a global with a store of its own (universal, postgres), with the same signing keys, "+
			"revocations and address; zones keep their tokens then")
	}
	upgradeOfSettings(in, where, cp, to)
}

// upgradeOfZone finds what an upgrade would break of a zone: its settings and its name, and its token at the global.
func upgradeOfZone(in *plan.Inspection, where string, cp state.ControlPlane, token state.Source,
	hub *zonetoken.GlobalVerifier, to zonetoken.Version, at time.Time) {
	upgradeOfSettings(in, where, cp, to)
	for _, f := range zonetoken.ZoneName(cp.Zone, to) {
		add(in, upgradeZoneName, where, f.Found, strings.TrimSuffix(f.Remedy, "."))
	}
	if token.Token == nil || hub.Unread != "" {
		return
	}
	v := hub.Verifier
	v.Zone = cp.Zone
	today := v.Ask(token.Token, at)
	v.Version = to
	if then := v.Ask(token.Token, at); today.Outcome == zonetoken.Accepted && then.Outcome != zonetoken.Accepted {
		add(in, upgradeToken, "the token in "+token.Where, fmt.Sprintf("%s would refuse it: %s", to, then.Text), "")
	}
}

// upgradeOfSettings finds which settings a release would not take, or overlook.
func upgradeOfSettings(in *plan.Inspection, where string, cp state.ControlPlane, to zonetoken.Version) {
	for _, f := range to.CheckEnvironment(cp.Values()) {
		if f.Severity == finding.Error {
			add(in, upgradeSettings, where, f.Found, strings.TrimSuffix(f.Remedy, "."))
		}
	}
	if old := cp.OldSettings(); len(old) > 0 && to.AtLeast(3, 0, 0) {
		add(in, upgradeIgnored, where, fmt.Sprintf("%s does not read %s in the configuration file, and goes on as if "+
			"it were not set", to, strings.Join(old, ", ")), "set it below multizone, without kmesh, with type zoneToken for cpToken")
	}
}
