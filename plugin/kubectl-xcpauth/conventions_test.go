package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What somebody who knows kubectl, Terraform and linkerd tries first, each with the command that shows it. The tests
// that are named look closer.
func TestTheCommandLineIsTheOneThatPeopleKnow(t *testing.T) {
	kubeconfig := fleetOfTwo(t)
	dir := t.TempDir()
	fleetFile, saved, page := filepath.Join(dir, "fleet.yaml"), filepath.Join(dir, "plan.json"),
		filepath.Join(dir, "report.html")
	const fleet = "apiVersion: xcpauth.io/v1alpha1\nkind: Fleet\nhub: hub\ncontexts: [edge-1]\n"
	if err := os.WriteFile(fleetFile, []byte(fleet), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		row  string // what is expected, and the tests that look closer
		args string
		code int
		out  []string // parts of what is printed, spaces flattened
		err  string   // a part of what is said
	}{
		{"formats: TestOutputFormatsAreKubectls", "status -o name", 0, []string{"edge/edge-1 edge/edge-2"}, ""},
		{"formats", "status -o jsonpath={.members[0].member}", 0, []string{"hub"}, ""},
		{"formats", "status -o go-template={{.kind}}", 0, []string{"Status"}, ""},
		{"formats", "status -o custom-columns=N:.member --no-headers", 0, []string{"hub edge-1 edge-2"}, ""},
		{"formats", "status -o wide", 0, []string{"MEMBER"}, ""},
		{"formats", "status -o yaml", 0, []string{"kind: Status"}, ""},
		{"kubectl's flags: TestGlobalFlagsAreKubectls", "status --as jane --as-group ops --request-timeout 5s", 0,
			[]string{"MEMBER"}, ""},
		{"our namespace: TestAHubKeepsItsStateInTheNamespaceThatItNames", "status -n xcpauth-system", 0,
			[]string{"MEMBER"}, ""},
		{"our namespace", "status -n elsewhere", 1, nil, "keeps its state in namespace xcpauth-system"},
		{"the log: TestRequestsAreLoggedAsByKubectl", "version -v=6", 0, []string{"kubectl-xcpauth"}, ""},
		{"dry run: TestADryRunOfAnyVerbWritesNothing", "migrate --dry-run", 4, []string{"Plan for"},
			"Dry run: nothing was changed."},
		{"dry run", "rollback --dry-run=sometimes", 1, nil, "none, client or server"},
		{"a plan is saved: TestASavedPlanIsShownAgainWithoutACluster", "plan --out " + saved, 4,
			[]string{"kubectl xcpauth migrate", "--plan " + saved}, ""},
		{"a plan is shown again", "plan show " + saved, 0, []string{"kubectl xcpauth migrate", "--plan " + saved}, ""},
		{"a plan of the way back", "plan --rollback", 0, []string{"nothing to"}, ""},
		{"durations: TestWhatIsPlannedIsWhatIsTaken", "plan", 4,
			[]string{"at the latest", "1. register at once, at most"}, ""},
		{"typed JSON: TestEveryRecordedReportIsAsItsSchemaSays", "status -o json", 0,
			[]string{`"apiVersion": "xcpauth.io/v1alpha1"`, `"kind": "Status"`}, ""},
		{"names: TestAMemberIsNamedTheSameWayEverywhere", "status edge-1 edge/edge-2 -o name", 0,
			[]string{"edge/edge-1 edge/edge-2"}, ""},
		{"completion: TestKubectlCompletesThePlugin", "completion kubectl", 0,
			[]string{"#!/usr/bin/env sh", "__complete"}, ""},
		{"completion", "__complete status --output j", 0, []string{"json", "jsonpath"}, ""},
		{"a fleet file: TestTheFleetFileIsWhatTheFlagsWouldSay", "status -o name --fleet " + fleetFile, 0,
			[]string{"hub/hub edge/edge-1"}, ""},
		{"version", "version -o json", 0, []string{`"version"`, `"goVersion"`}, ""},
		{"version", "--version", 0, []string{"kubectl-xcpauth"}, ""},
		{"a typo: TestAMistypedFlagIsToldWhichWasMeant", "status --contxts x", 1, nil, "--contexts"},
		{"a word of another tool", "token renew edge-1", 1, nil, "did you mean rotate?"},
		{"a word of another tool", "apply plan.json", 1, nil, "migrate"},
		{"a name that is not taken", "check edge-1", 1, nil, `"kubectl xcpauth check" takes no name, and was given "edge-1"`},
		{"a name that none has", "rollback edge1 -y", 5, nil, `no edge is called "edge1"; the edges are: edge-1, edge-2`},
		{"a typo", "statsu", 1, nil, "status"},
		{"a report: TestAReportIsOnePage", "report --out " + page, 0, nil, page},
		{"a report", "report -o markdown", 0, []string{"# "}, ""},
		{"GitOps: TestAFleetThatGitKeepsIsMigratedWaveByWave", "plan --patches " + filepath.Join(dir, "patches"), 4, nil,
			"begin with INDEX.md"},
		{"manifests at hand: TestWhatInstallPrintsIsWhatIsShipped", "install rbac edge", 0,
			[]string{"kind: Role"}, ""},
		{"a report", "report -o junit", 0, []string{"<testsuites"}, ""},
	} {
		r := xcpauth(t, kubeconfig, strings.Fields(tc.args)...)
		flat := strings.Join(strings.Fields(r.out), " ")
		for _, text := range tc.out {
			if !strings.Contains(flat, text) {
				t.Errorf("%s: %s does not print %q:\n%s%s", tc.row, tc.args, text, r.out, r.err)
			}
		}
		if r.code != tc.code || !strings.Contains(r.err, tc.err) {
			t.Errorf("%s: %s ends with %d, want %d and %q:\n%s%s", tc.row, tc.args, r.code, tc.code, tc.err, r.out, r.err)
		}
	}
}
