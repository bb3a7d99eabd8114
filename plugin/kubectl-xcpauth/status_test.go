package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// journal is the ConfigMap of a home in which waves were carried out.
func journal(t *testing.T, past ...plan.WaveRecord) apifake.Object {
	t.Helper()
	b, err := json.Marshal(past)
	if err != nil {
		t.Fatal(err)
	}
	return apifake.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": apifake.Object{"name": api.JournalName,
		"namespace": api.Namespace, "uid": "uid-journal"},
		"data": apifake.Object{api.HistoryKey: string(b)}}
}

func TestTheHistoryIsOfTheHubAndOfEachEdgesOwnJournal(t *testing.T) {
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	past := func(minute int, wave, by string) plan.WaveRecord {
		began := at.Add(time.Duration(minute) * time.Minute)
		return plan.WaveRecord{Wave: wave, Began: began, Ended: began.Add(time.Minute), By: by, Goal: "dual",
			Result: "proved", Steps: []string{"s"}}
	}
	kubeconfig := serve(t, map[string]*apifake.Server{
		"hub": apifake.Start(append(apifake.Hub("eu", "us"), journal(t, past(0, "both modes on", "hub-team"),
			past(9, "mTLS off", "hub-team")))...),
		"eu": apifake.Start(append(apifake.Edge("eu"), journal(t, past(5, "canary", "eu-team")))...),
		"us": apifake.Start(apifake.Edge("us")...),
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
	if r := xcpauth(t, kubeconfig, "status", "--history"); r.code != 0 ||
		!strings.Contains(r.out, "by eu-team, journal in eu") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// A team that has access to its own clusters alone sees these, and what it can do there.
func TestAnEdgeTeamSeesItsOwnClusters(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"eu": apifake.Start(apifake.Edge("eu")...),
		"us": apifake.Start(apifake.Edge("us")...)}, nil)
	r := xcpauth(t, kubeconfig, "status", "--no-hub", "-o", "json")
	var s struct {
		Members []struct{ Member, State, Effective string }
		Next    string
	}
	if err := json.Unmarshal([]byte(r.out), &s); err != nil || r.code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	if len(s.Members) != 2 || s.Members[0].Member != "eu" || s.Members[0].Effective != "mTLS" ||
		s.Members[1].Member != "us" {
		t.Errorf("members are %+v, want eu and us alone", s.Members)
	}
	golden(t, "status-no-hub", strings.ReplaceAll(xcpauth(t, kubeconfig, "status", "--no-hub").out, kubeconfig, "FILE"))
}

// A second management plane has a row of its own, and is repeated in the commands that go on.
func TestTheStandbyHasARow(t *testing.T) {
	second := append(apifake.Hub(), apifake.KubeSystem("second"))
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"second": apifake.Start(second...), "eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	r := xcpauth(t, kubeconfig, "status", "--context", "hub", "--standby", "second")
	if r.code != 0 || !strings.Contains(r.out, "\nstandby ") || !strings.Contains(strings.Join(strings.Fields(r.out), " "),
		"--standby second") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// A secret that is missing, one that may not be read and one that the API server fails to read are three answers.
func TestMissingForbiddenAndUnreadableAreThreeAnswers(t *testing.T) {
	const cert, token = "xcp-central-cert", "xcp-edge-central-auth-token"
	for name, tc := range map[string]struct {
		code       int // what the API server answers about both secrets
		hub, edge  string
		says       string // of each
		unreadable bool
	}{
		"missing":    {404, "no certificate", "no token", "is not there", false},
		"forbidden":  {403, "forbidden", "forbidden", "could not be read: forbidden (403)", true},
		"unreadable": {500, "unreadable", "unknown", "could not be read: the API server failed (500)", true},
	} {
		t.Run(name, func(t *testing.T) {
			servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
				"eu": apifake.Start(apifake.Edge("eu")...)}
			reasons := map[int]string{404: "NotFound", 403: "Forbidden", 500: "InternalError"}
			for _, s := range servers {
				s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.HasSuffix(r.URL.Path, "/secrets/"+cert) && !strings.HasSuffix(r.URL.Path, "/secrets/"+token) {
						return false
					}
					apifake.Status(w, tc.code, reasons[tc.code], "it is so")
					return true
				}
			}
			rows := status(t, serve(t, servers, nil), 0)
			for context, want := range map[string]string{"hub": tc.hub, "eu": tc.edge} {
				row := rows[context]
				if why := strings.Join(row.Why, " "); row.Credential != want || !strings.Contains(why, tc.says) ||
					strings.Contains(why, "could not be read") != tc.unreadable {
					t.Errorf("%s: %q, want %q and %q: %+v", context, row.Credential, want, tc.says, row)
				}
			}
		})
	}
}

// What a context is refused for is told by the reason that its API server gives, not by its words.
func TestAContextThatMayNotBeLookedAtWasReached(t *testing.T) {
	for reason, want := range map[string]string{"Forbidden": "auth can-i --list", "InternalError": "version"} {
		code := map[string]int{"Forbidden": 403, "InternalError": 500}[reason]
		down := apifake.Start()
		down.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			apifake.Status(w, code, reason, "forbidden (403): so it says")
			return true
		}
		kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
			"eu": apifake.Start(apifake.Edge("eu")...), "down": down}, nil)
		r := xcpauth(t, kubeconfig, "check", "-o", "json")
		var report struct {
			Members  []struct{ Context, State string }
			Findings []struct{ Rule, Context, Command string }
		}
		if err := json.Unmarshal([]byte(r.out), &report); err != nil {
			t.Fatalf("%v\n%s%s", err, r.out, r.err)
		}
		n := 0
		for _, f := range report.Findings {
			if f.Context == "down" && f.Rule == "XA001" {
				if n++; !strings.HasSuffix(f.Command, "--context down "+want) {
					t.Errorf("%s: %q, want %q", reason, f.Command, want)
				}
			}
		}
		if n != 1 {
			t.Errorf("%s: %d findings\n%s", reason, n, r.out)
		}
		state := map[string]string{"Forbidden": "forbidden", "InternalError": "unreachable"}[reason]
		if got := status(t, kubeconfig, 4)["down"].State; got != state {
			t.Errorf("%s: status says %s, want %s", reason, got, state)
		}
		for _, m := range report.Members {
			if m.Context == "down" && m.State != state {
				t.Errorf("%s: check says %s, want %s", reason, m.State, state)
			}
		}
	}
}

// However many contexts cannot be reached, what is said of them for people is bounded; JSON has each with its reason.
func TestManyUnreachableContextsAreSaidOnce(t *testing.T) {
	t.Parallel()
	gone := apifake.Gone()
	servers := map[string]*apifake.Server{}
	const n = 300
	for i := range n {
		servers[fmt.Sprintf("edge-%03d", i)] = gone
	}
	path, err := apifake.Kubeconfig(t.TempDir(), servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	const refused = "the API server refused the connection"
	for _, verb := range []string{"status", "status --history", "check", "plan", "migrate -y", "token list",
		"certificate show"} {
		r := xcpauth(t, path, strings.Fields(verb)...)
		for line := range strings.Lines(r.out + r.err) {
			if len(line) > 400 {
				t.Errorf("%s: a line of %d bytes: %.100s", verb, len(line), line)
			}
		}
		if said := strings.Join(strings.Fields(r.out+r.err), " "); strings.Count(said, refused) > 4 ||
			!strings.Contains(said, "edge-004 and 295 more") {
			t.Errorf("%s says %d times that %s", verb, strings.Count(said, refused), refused)
		}
	}
	wide := strings.Join(strings.Fields(xcpauth(t, path, "status", "-o", "wide").out), " ")
	if _, names, _ := strings.Cut(wide, "edge-000, edge-001"); !strings.Contains(names, "edge-298, edge-299: "+refused) {
		t.Errorf("wide does not name all of them")
	}
	rows := status(t, path, 1)
	for name := range servers {
		if r := rows[name]; r.State != "unreachable" || strings.Join(r.Why, "") != refused {
			t.Errorf("JSON has of %s %+v", name, r)
		}
	}
}
