package main

import (
	"encoding/xml"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// Every command of docs/report.md and of the help of report runs as it stands there, and changes nothing.
func TestTheCommandsOfTheReportPageRunAsShown(t *testing.T) {
	hub, edge := apifake.Start(apifake.Hub("edge-1")...), apifake.Start(apifake.Edge("edge-1")...)
	t.Setenv("KUBECONFIG", serve(t, map[string]*apifake.Server{"hub": hub, "edge-1": edge}, nil))
	text := xcpauth(t, "", "report", "--help").out
	for _, page := range pages(t) {
		text += page.text
	}
	t.Chdir(t.TempDir())
	ran := map[string]bool{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  # ")
		args, ours := strings.CutPrefix(line, "kubectl xcpauth report ")
		if !ours || ran[args] || strings.Contains(args, "[") {
			continue
		}
		ran[args] = true
		if r := xcpauth(t, "", append([]string{"report"}, strings.Fields(args)...)...); r.code != 0 {
			t.Errorf("%s: exit code %d\n%s", line, r.code, r.err)
		}
	}
	for _, file := range []string{"fleet.html", "xcpauth.xml", "edge-1.html"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", file, st.Mode(), err)
		}
		if !strings.Contains(string(text), "edge-1") {
			t.Errorf("%s does not name the edge", file)
		}
	}
	if len(ran) < 4 {
		t.Errorf("only %d commands were found", len(ran))
	}
	if writes := slices.DeleteFunc(slices.Concat(hub.Requests(), edge.Requests()), isRead); len(writes) > 0 {
		t.Errorf("the report changes something: %q", writes)
	}
}

// isRead says whether a request changes nothing: a read, a question about rights or the user, a connection to a pod's
// metrics.
func isRead(request string) bool {
	return slices.ContainsFunc([]string{"GET /", "POST /apis/authorization.k8s.io/", "POST /apis/authentication.k8s.io/"},
		func(begin string) bool { return strings.HasPrefix(request, begin) }) || strings.HasSuffix(request, "/portforward")
}

// The exit code is that of status, whatever the format.
func TestAReportEndsAsStatusDoes(t *testing.T) {
	gone := apifake.Gone()
	well := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...)}
	partly := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "eu": gone}
	zones, _ := meshFleet(t)
	edges := serve(t, map[string]*apifake.Server{"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	for name, tc := range map[string]struct {
		kubeconfig, flags string
		code              int
	}{
		"all is read":           {serve(t, well, nil), "", 0},
		"an edge does not open": {serve(t, partly, nil), "", exitPartial},
		"no hub":                {edges, "", 1},
		"none is wanted":        {edges, "--no-hub", 0},
		"zones":                 {zones, "", 0},
		"what TSB alone has":    {zones, "--no-hub", 1},
	} {
		for _, format := range reportFormats {
			r := xcpauth(t, tc.kubeconfig, append([]string{"report", "-o", format}, strings.Fields(tc.flags)...)...)
			status := xcpauth(t, tc.kubeconfig, append([]string{"status"}, strings.Fields(tc.flags)...)...)
			if nothing := name == "what TSB alone has"; r.code != tc.code || status.code != tc.code || (r.out == "") != nothing {
				t.Errorf("%s, %s: exit code %d, that of status %d, want %d\n%s", name, format, r.code, status.code, tc.code,
					r.err)
			}
			if format == "junit" && r.out != "" && xml.Unmarshal([]byte(r.out), new(struct{})) != nil {
				t.Errorf("%s: no XML: %s", name, r.out)
			}
		}
	}
}

func TestAPageIsNotForATerminal(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}, nil)
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer tty.Close()
	for args, want := range map[string]string{
		"report":            "a page is not for a terminal; name its file with --out fleet.html, or pass -o markdown",
		"report -o pdf":     `output format "pdf" is not known; pass -o with one of: html, markdown, junit`,
		"report --out /x/y": "writing the report: ",
		"report --bundle -": "--bundle - would be a file called -, since the archive does not go to stdout; name a file",
	} {
		var errOut printed
		code := run(append([]string{"--kubeconfig", kubeconfig}, strings.Fields(args)...),
			genericiooptions.IOStreams{In: strings.NewReader(""), Out: tty, ErrOut: &errOut}, nil)
		if !strings.Contains(errOut.String(), "error: "+want) || code != 1 {
			t.Errorf("%s: exit code %d, %s; want %s", args, code, errOut.String(), want)
		}
	}
}
