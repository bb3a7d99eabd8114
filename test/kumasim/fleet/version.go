package fleet

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// version is which product a process is, and of which version.
type version struct {
	product             Product
	major, minor, patch int
}

// versionOf reads the image of a container.
func versionOf(image string) (version, error) {
	v := version{product: KongMesh}
	if strings.Contains(image, "kumahq/") {
		v.product = Kuma
	}
	_, tag, _ := strings.Cut(path.Base(image), ":")
	if _, err := fmt.Sscanf(tag, "%d.%d.%d", &v.major, &v.minor, &v.patch); err != nil {
		return v, fmt.Errorf("image %q has no version for its tag: %w", image, err)
	}
	return v, nil
}

func (v version) atLeast(major, minor, patch int) bool {
	return slices.Compare([]int{v.major, v.minor, v.patch}, []int{major, minor, patch}) >= 0
}

// names is which variables the version reads: the old ones up to 2.14.5, both in 2.14.6, the new ones from 3.0. Kuma authenticates zones
// from 3.0 alone.
func (v version) names() kumasim.Names {
	switch {
	case v.atLeast(3, 0, 0):
		return kumasim.NewNames
	case v.atLeast(2, 14, 6):
		return kumasim.BothNames
	}
	return kumasim.OldNames
}

// hasAuth says whether the version knows authentication of zones at all.
func (v version) hasAuth() bool { return v.product == KongMesh || v.atLeast(3, 0, 0) }

// switches are what the version does differently.
func (v version) switches() kumasim.Switches {
	return kumasim.Switches{KidPanics: !v.atLeast(2, 14, 2), NoHMAC: v.atLeast(3, 0, 0), TerseNotYet: !v.atLeast(2, 14, 0), SyncsLabels: !v.atLeast(2, 10, 0)}
}

const (
	oldPrefix = "KMESH_MULTIZONE_"
	oldType   = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE"
	newType   = "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE"
	oldInline = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	oldIssuer = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_ENABLE_ISSUER"
	newIssuer = "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_ZONE_TOKEN_ENABLE_ISSUER"
	oldPath   = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_PATH"
	newPath   = "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_PATH"
	newInline = "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE"
	modeName  = "KUMA_MODE"

	environment, universal = "KUMA_ENVIRONMENT", "universal"
	zoneName               = "KUMA_MULTIZONE_ZONE_NAME"
	globalAddr             = "KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS"
)

// removed is why a version ends at its start: Kong Mesh 3.0 does so while any of the old variables is set.
func (v version) removed(env map[string]string) error {
	if v.product != KongMesh || !v.atLeast(3, 0, 0) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if strings.HasPrefix(name, oldPrefix) {
			return fmt.Errorf("%s is not supported any more", name)
		}
	}
	return nil
}

// noIssuer says whether the global is told to issue no tokens, which it can be from 2.14 on.
func (v version) noIssuer(env map[string]string) bool {
	return v.atLeast(2, 14, 0) && v.names() != kumasim.NewNames && env[oldIssuer] == "false" || v.names() != kumasim.OldNames && env[newIssuer] == "false"
}

// auth is whom a global authenticates, by its environment. A value that the product does not know is an error, on which the process ends.
func (v version) auth(env map[string]string) (kumasim.Auth, error) {
	if !v.hasAuth() {
		return kumasim.AuthNone, nil
	}
	if err := v.removed(env); err != nil {
		return "", err
	}
	if kind := env[newType]; kind != "" && v.names() != kumasim.OldNames {
		return kumasim.Auth(kind), nil // which refuses what it does not know
	}
	switch kind := env[oldType]; {
	case v.names() == kumasim.NewNames || kind == "" || kind == "none":
		return kumasim.AuthNone, nil
	case kind == "cpToken":
		return kumasim.AuthZoneToken, nil
	default:
		return "", fmt.Errorf("%s=%q is not supported", oldType, kind)
	}
}
