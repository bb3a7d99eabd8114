package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// journal is the ConfigMap of a home in which waves were carried out.
func journal(t *testing.T, past ...plan.Past) apifake.Object {
	t.Helper()
	b, err := json.Marshal(past)
	if err != nil {
		t.Fatal(err)
	}
	return apifake.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": apifake.Object{"name": api.JournalName, "namespace": api.Namespace, "uid": "uid-journal"},
		"data": apifake.Object{api.HistoryKey: string(b)}}
}

func TestTheHistoryIsOfTheHubAndOfEachEdgesOwnJournal(t *testing.T) {
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	past := func(minute int, wave, by string) plan.Past {
		began := at.Add(time.Duration(minute) * time.Minute)
		return plan.Past{Wave: wave, Began: began, Ended: began.Add(time.Minute), By: by, Goal: "dual", Said: "proved", Steps: []string{"s"}}
	}
	kubeconfig := serve(t, map[string]*apifake.Server{
		"hub": apifake.Start(append(apifake.Hub("eu", "us"), journal(t, past(0, "both modes on", "hub-team"), past(9, "mTLS off", "hub-team")))...),
		"eu":  apifake.Start(append(apifake.Edge("eu"), journal(t, past(5, "canary", "eu-team")))...),
		"us":  apifake.Start(apifake.Edge("us")...),
	}, nil)
	for args, want := range map[string]string{
		"status --history -o json":                        "both modes on@hub canary@eu mTLS off@hub",
		"status --history --no-hub --contexts eu -o json": "canary@eu",
		"status --history --no-hub --contexts us -o json": "",
	} {
		r := xcpauth(t, kubeconfig, strings.Fields(args)...)
		var h struct {
			Kind  string
			Waves []struct{ Wave, Context, By string }
		}
		if err := json.Unmarshal([]byte(r.out), &h); err != nil || r.code != 0 || h.Kind != "History" {
			t.Fatalf("%s: exit code %d, %v\n%s%s", args, r.code, err, r.out, r.err)
		}
		var got []string
		for _, w := range h.Waves {
			got = append(got, w.Wave+"@"+w.Context)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	if r := xcpauth(t, kubeconfig, "status", "--history"); r.code != 0 || !strings.Contains(r.out, "by eu-team, in eu: s") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// A team that has access to its own clusters alone sees these, and what it can do there.
func TestAnEdgeTeamSeesItsOwnClusters(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"eu": apifake.Start(apifake.Edge("eu")...), "us": apifake.Start(apifake.Edge("us")...)}, nil)
	r := xcpauth(t, kubeconfig, "status", "--no-hub", "-o", "json")
	var s struct {
		Members []struct{ Member, State, Effective string }
		Next    string
	}
	if err := json.Unmarshal([]byte(r.out), &s); err != nil || r.code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	if len(s.Members) != 2 || s.Members[0].Member != "eu" || s.Members[0].Effective != "mTLS" || s.Members[1].Member != "us" {
		t.Errorf("members are %+v, want eu and us alone", s.Members)
	}
	golden(t, "status-no-hub", strings.ReplaceAll(xcpauth(t, kubeconfig, "status", "--no-hub").out, kubeconfig, "FILE"))
}

// A second management plane has a row of its own, and is repeated in the commands that go on.
func TestTheStandbyHasARow(t *testing.T) {
	second := append(apifake.Hub(), apifake.KubeSystem("second"))
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "second": apifake.Start(second...), "eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	r := xcpauth(t, kubeconfig, "status", "--context", "hub", "--standby", "second")
	if r.code != 0 || !strings.Contains(r.out, "\nstandby ") || !strings.Contains(strings.Join(strings.Fields(r.out), " "), "--standby second") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}
