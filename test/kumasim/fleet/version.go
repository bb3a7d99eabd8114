package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

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

// String is the version as the API says it.
func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

// settings are what GET /config shows of a global, as far as it matters.
func (v version) settings(env map[string]string) map[string]any {
	kds := func(auth string) map[string]any {
		return map[string]any{"global": map[string]any{"kds": map[string]any{"auth": map[string]any{"type": auth}}}}
	}
	return map[string]any{"mode": env[modeName], "environment": env[environment],
		"store": map[string]any{"type": env[storeType]}, "multizone": kds(env[newType]),
		"kmesh":     map[string]any{"multizone": kds(env[oldType])},
		"apiServer": map[string]any{"readOnly": env[readOnly] == "true"},
		"access": map[string]any{"type": "static", "static": map[string]any{
			"generateZoneToken": allowed(env, mayIssue), "adminResources": allowed(env, mayAdminister)}}}
}

// names is which variables the version reads: the old ones up to 2.14.5, both in 2.14.6, the new ones from 3.0. Kuma
// authenticates zones from 3.0 alone.
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
	return kumasim.Switches{KidPanics: !v.atLeast(2, 14, 2), NoHMAC: v.atLeast(3, 0, 0), TerseNotYet: !v.atLeast(2, 14, 0),
		SyncsLabels: !v.atLeast(2, 10, 0)}
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
	storeType              = "KUMA_STORE_TYPE"
	compactFinished        = "KUMA_METRICS_ZONE_COMPACT_FINISHED_SUBSCRIPTIONS"
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

// valid is why a version ends at its start: from 3.0 on a global has nothing of Kubernetes (Kuma
// pkg/config/app/kuma-cp/config.go at 348b6528bc23).
func (v version) valid(env map[string]string) error {
	if env[modeName] != "global" || !v.atLeast(3, 0, 0) {
		return nil
	}
	for _, setting := range [][2]string{{"environment", environment}, {"store.type", storeType}} {
		if env[setting[1]] == "kubernetes" {
			return fmt.Errorf("configuration validation failed: Kubernetes-native Global Control Plane is not supported: "+
				"mode=global cannot be combined with %s=kubernetes. "+
				"Run mode=global with environment=universal backed by a non-Kubernetes store such as PostgreSQL, "+
				"even when Kuma CP itself is deployed on Kubernetes", setting[0])
		}
	}
	return nil
}

// healthEvery is how often a zone of the version checks its health: never before 2.5.0.
func (v version) healthEvery(p Pace) time.Duration {
	if !v.atLeast(2, 5, 0) {
		return -1
	}
	return p.HealthEvery
}

// shown is a zone's configuration as it shows it, as JSON, of what is played. A token is hidden: Kong Mesh's source is
// closed, so that it does so too is assumed (Kuma pkg/config/config.go at v2.14.3: SanitizedValue).
func (v version) shown(zone string, env map[string]string) string {
	hidden := func(token string) string {
		if token != "" {
			return "*****"
		}
		return ""
	}
	type object = map[string]any
	auth := func(inlineKey, inline, pathKey, path string) object {
		return object{"zone": object{"kds": object{"auth": object{inlineKey: hidden(env[inline]), pathKey: env[path]}}}}
	}
	config := object{"environment": env[environment], "mode": env[modeName], "store": object{"type": env[storeType]}}
	multizone := object{"zone": object{}}
	if v.names() != kumasim.OldNames {
		multizone = auth("tokenInline", newInline, "tokenPath", newPath)
	}
	maps.Copy(multizone["zone"].(object), object{"name": zone, "globalAddress": env[globalAddr]})
	config["multizone"] = multizone
	if v.product == KongMesh && v.names() != kumasim.NewNames {
		config["kmesh"] = object{"multizone": auth("cpTokenInline", oldInline, "cpTokenPath", oldPath)}
	}
	text, err := json.Marshal(config)
	if err != nil {
		panic(err) // it is of texts alone
	}
	return string(text)
}

// noIssuer says whether the global is told to issue no tokens, which it can be from 2.14 on.
func (v version) noIssuer(env map[string]string) bool {
	return v.atLeast(2, 14, 0) && v.names() != kumasim.NewNames && env[oldIssuer] == "false" ||
		v.names() != kumasim.OldNames && env[newIssuer] == "false"
}

// auth is whom a global authenticates, by its environment. A value that the product does not know is an error, on
// which the process ends.
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
