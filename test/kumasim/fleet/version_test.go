package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

func TestAGlobalAuthenticatesAsItsVersionReadsItsEnvironment(t *testing.T) {
	const refuses = kumasim.Auth("an error")
	old, neu := map[string]string{oldType: "cpToken"}, map[string]string{newType: "zoneToken"}
	for _, c := range []struct {
		image string
		env   map[string]string
		want  kumasim.Auth
	}{
		{"docker.io/kong/kuma-cp:2.13.5", nil, kumasim.AuthNone},
		{"docker.io/kong/kuma-cp:2.13.5", old, kumasim.AuthZoneToken},
		{"docker.io/kong/kuma-cp:2.13.5", neu, kumasim.AuthNone},
		{"docker.io/kong/kuma-cp:2.13.5", map[string]string{oldType: "none"}, kumasim.AuthNone},
		{"docker.io/kong/kuma-cp:2.13.5", map[string]string{oldType: "zoneToken"}, refuses},
		{"docker.io/kong/kuma-cp:2.14.5", neu, kumasim.AuthNone},
		{"docker.io/kong/kuma-cp:2.14.6", old, kumasim.AuthZoneToken},
		{"docker.io/kong/kuma-cp:2.14.6", neu, kumasim.AuthZoneToken},
		{"docker.io/kong/kuma-cp:3.0.0", neu, kumasim.AuthZoneToken},
		{"docker.io/kong/kuma-cp:3.0.0", old, refuses},
		{"docker.io/kong/kuma-cp:3.0.0", map[string]string{newType: "zoneToken", oldInline: ""}, refuses},
		{"docker.io/kumahq/kuma-cp:2.13.5", old, kumasim.AuthNone},
		{"docker.io/kumahq/kuma-cp:3.0.0", neu, kumasim.AuthZoneToken},
		{"docker.io/kumahq/kuma-cp:3.0.0", old, kumasim.AuthNone},
		{"mirror.example:5000/kong/kuma-cp:2.14.6", neu, kumasim.AuthZoneToken},
	} {
		v, err := versionOf(c.image)
		if err != nil {
			t.Errorf("%s: %v", c.image, err)
			continue
		}
		got, err := v.auth(c.env)
		if err != nil {
			got = refuses
		}
		if got != c.want {
			t.Errorf("%s with %v: authentication is %q (%v), want %q", c.image, c.env, got, err, c.want)
		}
	}
	if _, err := versionOf("docker.io/kong/kuma-cp:latest"); err == nil {
		t.Error("an image without a version is believed to have one")
	}
}

// A zone shows its configuration with the settings that its version knows, and never its token.
func TestAZoneShowsItsConfigurationAsItsVersionHasIt(t *testing.T) {
	const old, neu = `"cpTokenInline":"*****"`, `"tokenInline":"*****"`
	for _, c := range []struct {
		image      string
		want, none string
	}{
		{"docker.io/kong/kuma-cp:2.13.5", old, neu},
		{"docker.io/kong/kuma-cp:2.14.6", neu, "secret"},
		{"docker.io/kong/kuma-cp:2.14.6", old, "secret"},
		{"docker.io/kong/kuma-cp:3.0.0", neu, old},
		{"docker.io/kumahq/kuma-cp:2.14.3", `"name":"west"`, "*"},
	} {
		v, err := versionOf(c.image)
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]string{modeName: "zone", oldInline: "a secret", newInline: "a secret"}
		if v.product == Kuma {
			env = map[string]string{modeName: "zone"}
		}
		got := v.shown("west", env)
		if !strings.Contains(got, c.want) || strings.Contains(got, c.none) || strings.Contains(got, "a secret") {
			t.Errorf("%s shows %s, want %s and no %s", c.image, got, c.want, c.none)
		}
	}
}

func TestZonesCheckTheirHealthFromTwoFiveOn(t *testing.T) {
	p := Pace{HealthEvery: time.Minute}
	for image, want := range map[string]time.Duration{
		"docker.io/kong/kuma-cp:2.4.9": -1, "docker.io/kong/kuma-cp:2.5.0": time.Minute,
		"docker.io/kong/kuma-cp:3.0.0": time.Minute,
	} {
		v, err := versionOf(image)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.healthEvery(p); got != want {
			t.Errorf("%s checks every %s, want %s", image, got, want)
		}
	}
}
