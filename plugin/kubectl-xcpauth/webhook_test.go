package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// guardedHub is a hub with the webhook as it is shipped; answer answers the dry run, and gets what was patched.
func guardedHub(t *testing.T, change func(conf apifake.Object), answer func(w http.ResponseWriter, query,
	patch string)) string {
	t.Helper()
	var conf apifake.Object
	if err := yaml.Unmarshal(manifests.WebhookConfiguration, &conf); err != nil {
		t.Fatal(err)
	}
	objects := append(apifake.Hub("eu"),
		apifake.Object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": apifake.Object{"name": "xcpauth-webhook",
			"namespace": "xcpauth-system"}, "spec": apifake.Object{"replicas": 2}, "status": apifake.Object{"readyReplicas": 2}})
	ca, _ := pair(t, "xcpauth-webhook-ca")
	for _, w := range conf["webhooks"].([]any) {
		w.(apifake.Object)["clientConfig"].(apifake.Object)["caBundle"] = ca
	}
	if change == nil {
		objects = append(objects, conf)
	} else if change(conf); conf != nil && conf["webhooks"] != nil {
		objects = append(objects, conf)
	}
	hub := apifake.Start(objects...)
	hub.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/endpointslices"):
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"items":[{"endpoints":[{"conditions":{"ready":true}},{"conditions":{"ready":true}}]}]}`)
		case r.Method == http.MethodPatch:
			body, _ := io.ReadAll(r.Body)
			answer(w, r.URL.RawQuery, string(body))
		default:
			return false
		}
		return true
	}
	return serve(t, map[string]*apifake.Server{"hub": hub}, nil)
}

func warn(w http.ResponseWriter) {
	w.Header().Add("Warning", `299 - "xcpauth-webhook v0.3.0 was asked"`)
}

func admits(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, "{}")
}

func TestWebhookStatusShowsWhetherItIsAsked(t *testing.T) {
	admitted := func(w http.ResponseWriter, query, patch string) {
		if !strings.Contains(query, "dryRun=All") ||
			patch != `{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":false}}}}}` {
			t.Errorf("not the dry run of an edit that withdraws nothing: %s %s", query, patch)
		}
		warn(w)
		admits(w)
	}
	refused := func(code int, message string, asked bool) func(http.ResponseWriter, string, string) {
		return func(w http.ResponseWriter, _, _ string) {
			if asked {
				warn(w)
			}
			apifake.Status(w, code, "", message)
		}
	}
	silent := func(w http.ResponseWriter, _, _ string) { admits(w) }
	const byName = `admission webhook "managementplanes.webhook.xcpauth.io" denied the request: edge-1: mtls`
	for _, tc := range []struct {
		name             string
		change           func(apifake.Object)
		answer           func(http.ResponseWriter, string, string)
		code             int
		is, decision     string
		version, problem string
		says             string // of the table
	}{
		{"asked and allowed", nil, admitted, 0, "asked", "allowed", "v0.3.0", "",
			"asked, and it allowed the edit; its version is v0.3.0"},
		{"asked and denied", nil, refused(403, byName, true), 0, "asked", "denied", "v0.3.0", "", "it denied the edit"},
		{"asked by an older version", nil, refused(403, byName, false), 0, "asked", "denied", "", "", "it denied the edit"},
		{"not installed", func(c apifake.Object) { delete(c, "webhooks") }, silent, 5, "not asked", "", "",
			"nothing denies dangerous edits", "kubectl xcpauth install webhook --apply --wait --context hub"},
		{"not ready yet", func(c apifake.Object) { c["webhooks"] = []any{} }, silent, 5, "not asked", "", "",
			"has no entry: nothing denies dangerous edits before a pod is ready", "look again: kubectl xcpauth webhook status"},
		{"it fails open", func(c apifake.Object) { c["webhooks"].([]any)[0].(apifake.Object)["failurePolicy"] = "Ignore" },
			silent, 5, "not asked", "", "", "failurePolicy is Ignore instead of Fail", "NOT ASKED"},
		{"a condition was edited", func(c apifake.Object) {
			c["webhooks"].([]any)[0].(apifake.Object)["matchConditions"].([]any)[0].(apifake.Object)["expression"] = "false"
		}, silent, 5, "not asked", "", "", "matchConditions", "NOT ASKED"},
		{"not taken over yet", nil, silent, 5, "not asked", "", "", "",
			"look again: kubectl xcpauth webhook status --context hub"},
		{"nobody answers", nil, refused(500,
			`failed calling webhook "managementplanes.webhook.xcpauth.io": connection refused`, false), 5, "failed", "", "", "",
			"kubectl get pods -n xcpauth-system --context hub"},
		{"not allowed to patch", nil, refused(403, `managementplanes "managementplane" is forbidden: User "bob" cannot patch`,
			false), 1, "unknown", "", "", "", `User "bob" cannot patch`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kubeconfig := guardedHub(t, tc.change, tc.answer)
			for format, decode := range map[string]func([]byte, any) error{"json": json.Unmarshal,
				"yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) }} {
				var report struct {
					Answer, Decision, Version, Says string
					Problems                        []string
				}
				r := xcpauth(t, kubeconfig, "webhook", "status", "--context", "hub", "-o", format)
				if err := decode([]byte(r.out), &report); err != nil {
					t.Fatalf("%v\n%s%s", err, r.out, r.err)
				}
				if r.code != tc.code || report.Answer != tc.is || report.Decision != tc.decision || report.Version != tc.version {
					t.Errorf("%s: exit code %d, %+v", format, r.code, report)
				}
				if problems := strings.Join(report.Problems, "\n"); !strings.Contains(problems, tc.problem) || tc.problem == "" &&
					problems != "" {
					t.Errorf("%s: problems %q, want %q", format, problems, tc.problem)
				}
			}
			r := xcpauth(t, kubeconfig, "webhook", "status", "--context", "hub")
			if says := strings.Join(strings.Fields(r.out), " "); r.code != tc.code ||
				!strings.Contains(strings.ReplaceAll(says, " --kubeconfig "+kubeconfig, ""), tc.says) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", r.code, tc.code, tc.says, r.out, r.err)
			}
		})
	}
}

func TestWebhookStatusReadsWell(t *testing.T) {
	kubeconfig := guardedHub(t, func(c apifake.Object) { c["webhooks"].([]any)[0].(apifake.Object)["failurePolicy"] = "Ignore" }, func(w http.ResponseWriter, _, _ string) {
		warn(w)
		apifake.Status(w, 403, "Forbidden",
			`admission webhook "managementplanes.webhook.xcpauth.io" denied the request: ManagementPlane tsb/managementplane would stop accepting mtls, which 1 member may still present:
- eu: mtls (nothing is verified about it)`)
	})
	t.Setenv("KUBECONFIG", kubeconfig)
	r := xcpauth(t, "", "webhook", "status")
	stamps := regexp.MustCompile(`[0-9-]{10}T[0-9:]{8}Z`) // of a certificate that is made for this run
	golden(t, "webhook-status", fmt.Sprintf("exit code %d\n%s", r.code, stamps.ReplaceAllString(r.out,
		"2026-01-02T12:00:00Z")))
}
