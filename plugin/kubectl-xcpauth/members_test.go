package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// eventName is what of a report is another at each moment.
var eventName = regexp.MustCompile(`(eu\.[0-9a-f]{8,}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z)`)

// ages are how long ago something was, or for how long it has been so.
var ages = regexp.MustCompile(`just now|\b[0-9]+[smhd]( ago)?\b`)

// A verb about some members takes their names as arguments, with or without what they are, as -o name prints them; the
// flag that there is for one stays, and says the same.
func TestAMemberIsNamedTheSameWayEverywhere(t *testing.T) {
	t.Parallel()
	hub := map[string][]apifake.Object{"hub": append(bed.OpenHub("eu", "us"), bed.Stated("eu")), "eu": bed.OnJWT("eu"),
		"us": apifake.Edge("us")}
	mesh, _ := meshObjects(t)
	out := filepath.Join(t.TempDir(), "west.jwt")
	for _, tc := range []struct {
		fleet map[string][]apifake.Object
		verb  string // NAME stands for the member
		name  string
		flag  string // "" when there is none
		role  string
	}{
		{hub, "status NAME", "eu", "", "edge/"},
		{hub, "edge register NAME --dry-run=client", "eu", "", "edge/"},
		{hub, "edge unregister NAME --dry-run=client", "eu", "", "edge/"},
		{hub, "edge forget NAME --alive --reason x --dry-run=client", "eu", "", "edge/"},
		{hub, "edge publish NAME --prove-within 1ms --dry-run=client", "eu", "", "edge/"},
		{hub, "token rotate NAME --dry-run=client", "eu", "", "edge/"},
		{hub, "token inspect NAME", "eu", "--edge", "edge/"},
		{hub, "token verify NAME", "eu", "--edge", "edge/"},
		{hub, "rollback NAME --dry-run=client", "eu", "--edge", "edge/"},
		{hub, "plan --rollback NAME", "eu", "--edge", "edge/"},
		{mesh, "token issue NAME --valid-for 1h --tokens-from=key --dry-run=client --out " + out, "west", "--zone", "zone/"},
		{mesh, "token revoke NAME --dry-run=client", "west", "--zone", "zone/"},
	} {
		t.Run(tc.verb, func(t *testing.T) {
			kubeconfig, w := watch(t, tc.fleet)
			run := func(name string) result {
				return xcpauth(t, kubeconfig, strings.Fields(strings.Replace(tc.verb, "NAME", name, 1))...)
			}
			facts := func(r result) string { // but for the command that goes on, and the time
				said, _, _ := strings.Cut(r.out, "Next: ")
				said = strings.Join(strings.Fields(eventName.ReplaceAllString(said, "")+r.err), " ") // an age may be wider
				return ages.ReplaceAllString(overBy.ReplaceAllString(said, "over by TIME at the latest"), "AGE")
			}
			plain := run(tc.name)
			if strings.Contains(plain.err, "is called") || !strings.Contains(plain.out+plain.err, tc.name) {
				t.Fatalf("exit code %d: %s%s", plain.code, plain.out, plain.err)
			}
			same := []string{tc.role + tc.name}
			if tc.flag != "" {
				same = append(same, tc.flag+" "+tc.name, tc.flag+" "+tc.role+tc.name)
				if r := run(tc.flag + " " + tc.name + " " + tc.role + tc.name); r.code != 1 ||
					!strings.Contains(r.err, "both say which member is meant") {
					t.Errorf("named twice: exit code %d: %s%s", r.code, r.out, r.err)
				}
			}
			for _, name := range same {
				if r := run(name); r.code != plain.code || facts(r) != facts(plain) {
					t.Errorf("%s: exit code %d, want %d\n%s\nwant\n%s", name, r.code, plain.code, facts(r), facts(plain))
				}
			}
			if stored, _ := w.taken(); len(stored) > 0 {
				t.Errorf("stored: %v", stored)
			}
		})
	}
}

// A name that no member has is an error that lists those that there are.
func TestANameThatNoMemberHasIsAnErrorThatListsThem(t *testing.T) {
	hub := map[string][]apifake.Object{"hub": append(bed.OpenHub("eu", "us"), bed.Stated("eu")), "eu": bed.OnJWT("eu"),
		"us": apifake.Edge("us")}
	mesh, _ := meshObjects(t)
	for _, tc := range []struct {
		fleet map[string][]apifake.Object
		args  string
		code  int
		lists string
	}{
		{hub, "status mars", 1, `no member is called "mars"; there are: `},
		{hub, "edge register edge/mars", 1, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "edge unregister mars", 1, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "edge forget mars --reason x", 1, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "edge publish mars", 1, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "token rotate mars --dry-run=client", 5, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "token inspect mars", 1, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "token verify edge/mars", 1, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "token inspect mars.jwt", 1, "mars.jwt: no such file"},
		{hub, "rollback mars --dry-run=client", 5, `no edge is called "mars"; the edges are: eu, us`},
		{hub, "plan --rollback edge/mars", 5, `no edge is called "mars"; the edges are: eu, us`},
		{mesh, "rollback mars --dry-run=client", 5, `no zone is called "mars"; the zones are: east, north, west`},
		{mesh, "token revoke zone/mars", 1, `no zone is called "mars"; the zones are: east, north, west`},
	} {
		kubeconfig, _ := watch(t, tc.fleet)
		r := xcpauth(t, kubeconfig, strings.Fields(tc.args)...)
		if said := strings.Join(strings.Fields(r.out+r.err), " "); r.code != tc.code || !strings.Contains(said, tc.lists) {
			t.Errorf("%s: exit code %d, want %d and %q: %s%s", tc.args, r.code, tc.code, tc.lists, r.out, r.err)
		}
	}
}
