package zonetoken

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// Product is which of the two it is.
type Product string

// The products. They have had the same numbers since 2.0; before, Kong Mesh 1.n was built on Kuma 1.n-1 or so.
const (
	KongMesh Product = "kong-mesh"
	Kuma     Product = "kuma"
)

// Products lists them.
var Products = []Product{KongMesh, Kuma}

// Version is the version of a control plane. The zero Version is unknown, and taken for the newest one that was
// looked at (2.14 of Kong Mesh), which is then said.
type Version struct {
	Product             Product
	Major, Minor, Patch int
	Pre                 string // "rc1"; it comes before the release, and is taken for it
}

var versionForm = regexp.MustCompile(`^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[-+]([0-9A-Za-z.+-]{1,64}))?$`)

// ParseVersion reads "2.13.5", "v2.13.5" or "2.14.0-rc1".
func ParseVersion(product Product, text string) (Version, error) {
	if !slices.Contains(Products, product) {
		return Version{}, fmt.Errorf("the product %q is not known; it is one of %s, %s", product, KongMesh, Kuma)
	}
	m := versionForm.FindStringSubmatch(text)
	if m == nil {
		return Version{}, fmt.Errorf("the version %q is not one of a control plane, such as 2.13.5", text)
	}
	v := Version{Product: product, Pre: m[4]}
	for i, to := range []*int{&v.Major, &v.Minor, &v.Patch} {
		*to, _ = strconv.Atoi(m[i+1]) // at most four digits
	}
	return v, nil
}

// What differs between versions in how a token is judged. Sources: Kuma's tags, pkg/core/tokens/validator.go in each;
// its changelog, and Kong Mesh's.
func (v Version) kidIsNumber() bool { return !v.AtLeast(2, 2, 0) } // b26da2a0e0: kid may be any string

// golang-jwt v4 refuses an iat in the future, v5 does not
func (v Version) checksIssued() bool { return !v.AtLeast(2, 11, 0) }

func (v Version) saysNotYet() bool { return v.AtLeast(2, 14, 0) } // 48a29af2aa22

func (v Version) verifiesHMAC() bool { return !v.AtLeast(3, 0, 0) } // 59c26a58e63e

// ReloadsCertificate says whether a control plane serves a certificate that was renewed without a restart (UPGRADE.md
// of 3.0.0: every server that reads its certificate from disk).
func (v Version) ReloadsCertificate() bool { return v.AtLeast(3, 0, 0) }

// RunsOnKubernetesStore says whether a global may keep its state in Kubernetes: from 3.0 on the process ends when
// mode=global meets environment or store kubernetes (Kuma pkg/config/app/kuma-cp/config.go).
func (v Version) RunsOnKubernetesStore() bool { return !v.AtLeast(3, 0, 0) }

// Findings says what is known to be wrong with tokens in this version.
func (v Version) Findings() finding.Findings {
	var f finding.Findings
	if !v.Known() {
		f.Add(versionUnknown,
			"the version of the control plane is not known, so what is known to be wrong in some is not told",
			"Give its image a tag with its version.")
		return f
	}
	if !v.AuthenticatesZones() {
		f.Add(versionNoZoneAuthentication,
			v.String()+" does not authenticate its zones: anyone who reaches the global can be any zone",
			"Upgrade to Kuma 3.0, or use Kong Mesh.")
	}
	if v.panicsOnKid() {
		f.Add(versionKidPanic, v.String()+" ends with a panic when somebody presents a token whose kid is no text",
			"Upgrade to 2.14.2, 2.13.10, 2.12.14, 2.11.18, 2.9.19 or 2.7.29, or later.")
	}
	if v.Product == KongMesh && v.hasZoneTokens() && !v.checksScopeWell() {
		f.Add(versionScopeCheck, v.String()+" does not verify a token's scope correctly (#9746): one for a zone proxy may pass for one of a control plane",
			"Upgrade to 2.14.0, 2.13.7, 2.12.11, 2.11.14, 2.9.16 or 2.7.26, or later.")
	}
	if v.HasLegacyTokens() {
		f.Add(versionLegacyTokens, v.String()+" takes Control Plane Tokens besides, which 2.10 removed",
			"Issue zone tokens before upgrading to 2.10.")
	}
	return f
}

func (v Version) String() string {
	name := map[Product]string{KongMesh: "Kong Mesh", Kuma: "Kuma"}[v.Product]
	if !v.Known() {
		return strings.TrimSpace(cmp.Or(name, "a control plane") + " of an unknown version")
	}
	text := fmt.Sprintf("%s %d.%d.%d", name, v.Major, v.Minor, v.Patch)
	if v.Pre != "" {
		text += "-" + v.Pre
	}
	return text
}

func (v Version) hasZoneTokens() bool { return v.AtLeast(2, 0, 0) } // zone tokens with scope cp: Kong Mesh 2.0

// panicsOnKid says whether a kid that is no text ends the process (aea2ed16d396 fixes it; 2.0 and before refuse such
// a token).
func (v Version) panicsOnKid() bool {
	return v.AtLeast(2, 1, 0) && !v.fixedIn([3]int{2, 7, 29}, [3]int{2, 9, 19}, [3]int{2, 11, 18}, [3]int{2, 12, 14},
		[3]int{2, 13, 10}, [3]int{2, 14, 2})
}

// checksScopeWell says whether Kong Mesh has the fix "correctly verify scope of the token" (#9746). What was wrong is
// not public.
func (v Version) checksScopeWell() bool {
	return v.fixedIn([3]int{2, 7, 26}, [3]int{2, 9, 16}, [3]int{2, 11, 14}, [3]int{2, 12, 11}, [3]int{2, 13, 7},
		[3]int{2, 14, 0})
}

// fixedIn says whether the version has a fix that came out in the given releases, one for each minor that was still
// maintained, and in everything after the newest of them.
func (v Version) fixedIn(releases ...[3]int) bool {
	newest := slices.MaxFunc(releases, func(a, b [3]int) int { return slices.Compare(a[:], b[:]) })
	if v.AtLeast(newest[0], newest[1], newest[2]) {
		return true
	}
	return slices.ContainsFunc(releases, func(r [3]int) bool {
		return v.Major == r[0] && v.Minor == r[1] &&
			v.Patch >= r[2]
	})
}

// HasLegacyTokens says whether the control plane still takes Control Plane Tokens, which 2.10 removed and only Kong
// Mesh has had.
func (v Version) HasLegacyTokens() bool {
	return v.Product != Kuma && v.Known() && v.AtLeast(1, 2, 0) && !v.AtLeast(2, 10, 0)
}

// AuthenticatesZones says whether a global of this product and version can authenticate its zones at all.
func (v Version) AuthenticatesZones() bool {
	return v.Product != Kuma || v.AtLeast(3, 0, 0)
}

// LooksAgain says when a token is looked at after its session began: at no time before 2.5.0; from then on at each
// health check of the zone, a failed one of which ends the session (Kuma 3a38d0c549, #8042, and
// pkg/kds/mux/client.go: every five minutes, or as the global's multizone.global.kds.zoneHealthCheck says). A version
// that is not known may do either.
func (v Version) LooksAgain() string {
	const begins = "a token is looked at when a session begins"
	switch {
	case !v.Known():
		return begins + ", and from 2.5 on at each health check of the zone, every five minutes by default"
	case v.AtLeast(2, 5, 0):
		return begins + ", and at each health check of the zone, every five minutes by default"
	}
	return begins + ", and not again while it lasts"
}

// label is a name that 3.0 takes for a zone (UPGRADE.md of 3.0.0: RFC 1035).
var label = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ZoneName says that 3.0 refuses the name of a zone: its control plane does not start with it, or does not register
// at a global of 3.0.
func ZoneName(zone string, versions ...Version) (f finding.Findings) {
	if label.MatchString(zone) {
		return nil
	}
	const rule = "a zone's name must begin with a lower case letter, have lower case letters, digits and - alone, end with none of -, and be no longer than 63"
	if slices.ContainsFunc(versions, func(v Version) bool { return v.Known() && v.AtLeast(3, 0, 0) }) {
		f.Add(zoneName, fmt.Sprintf("3.0 refuses the name %q: %s", zone, rule),
			"Make a zone of another name, and move what runs in this one.")
		return f
	}
	f.AddMild(zoneName, fmt.Sprintf("3.0 will refuse the name %q: %s", zone, rule),
		"Before upgrading to 3.0 make a zone of another name, and move what runs in this one.")
	return f
}

// AtLeast says whether the version is that one or a later one; an unknown one is 2.14's latest.
func (v Version) AtLeast(major, minor, patch int) bool {
	if !v.Known() {
		v.Major, v.Minor, v.Patch = 2, 14, 99
	}
	return cmp.Or(cmp.Compare(v.Major, major), cmp.Compare(v.Minor, minor), cmp.Compare(v.Patch, patch)) >= 0
}

// Known says whether the version is known.
func (v Version) Known() bool { return v.Major > 0 }
