package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
)

// image is what a checkout names, and where the chart's values stand.
const image = "ghcr.io/xcpauth/xcpauth-webhook:devel"

// namespaces are the release's in place of those that a checkout names.
var namespaces = strings.NewReplacer(api.Namespace, "{{ .Release.Namespace }}",
	api.EdgesNamespace(api.Namespace), `{{ include "xcpauth.edgesNamespace" . }}`)

// head begins each template that is written here.
const head = "{{- /* Written by manifests/chart from the manifests that kustomize renders: make generate. */}}\n"

var (
	kindOf = regexp.MustCompile(`(?m)^kind: (\w+)$`)
	nameOf = regexp.MustCompile(`(?m)^  name: (\S+)$`) // the first: of the metadata
)

// templates returns the templates by their path in the chart. Each object is a file of its own.
func templates(selfSigned, certManager string) (map[string]string, error) {
	first, order, err := objects(selfSigned)
	if err != nil {
		return nil, err
	}
	second, more, err := objects(certManager)
	if err != nil {
		return nil, err
	}
	for _, key := range more {
		if _, both := first[key]; !both {
			order = append(order, key)
		}
	}
	files := map[string]string{}
	for _, key := range order {
		if key == "namespace-xcpauth-system" { // of the release: helm makes it
			continue
		}
		a, inFirst := first[key]
		b, inSecond := second[key]
		text := ""
		switch {
		case !inSecond:
			text = when(`eq .Values.certificates "self-signed"`, a)
		case !inFirst:
			text = when(`eq .Values.certificates "cert-manager"`, b)
		default:
			text = merged(strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n"))
		}
		if text, err = valued(key, text); err != nil {
			return nil, err
		}
		text = namespaces.Replace(text)
		files[filepath.Join("templates", key+".yaml")] = head + text
	}
	return files, nil
}

// objects splits a manifest into its documents, by kind and name, with the namespace where it is not the release's.
func objects(text string) (byKey map[string]string, order []string, err error) {
	byKey = map[string]string{}
	for doc := range strings.SplitSeq(text, "\n---\n") {
		kind, name := kindOf.FindStringSubmatch(doc), nameOf.FindStringSubmatch(doc)
		if kind == nil || name == nil {
			return nil, nil, fmt.Errorf("a document has no kind and name: %.80q", doc)
		}
		key := strings.ToLower(kind[1]) + "-" + name[1]
		if strings.Contains(doc+"\n", "\n  namespace: xcpauth-edges\n") {
			key += "-edges"
		}
		if _, twice := byKey[key]; twice {
			return nil, nil, fmt.Errorf("two objects are called %s", key)
		}
		byKey[key] = strings.TrimSuffix(doc, "\n") + "\n"
		order = append(order, key)
	}
	return byKey, order, nil
}

func when(condition, text string) string {
	return "{{- if " + condition + " }}\n" + text + "{{- end }}\n"
}

// merged is one text of two, with what one alone has behind a condition.
func merged(a, b []string) string {
	common := longestCommon(a, b)
	var out strings.Builder
	i, j := 0, 0
	for _, pair := range append(common, [2]int{len(a), len(b)}) {
		if i < pair[0] {
			out.WriteString(when(`eq .Values.certificates "self-signed"`, strings.Join(a[i:pair[0]], "")))
		}
		if j < pair[1] {
			out.WriteString(when(`eq .Values.certificates "cert-manager"`, strings.Join(b[j:pair[1]], "")))
		}
		if pair[0] < len(a) {
			out.WriteString(a[pair[0]])
		}
		i, j = pair[0]+1, pair[1]+1
	}
	return out.String()
}

// longestCommon are the places of the lines of a longest common subsequence.
func longestCommon(a, b []string) (pairs [][2]int) {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			length[i][j] = max(length[i+1][j], length[i][j+1])
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// insertion says what stands in place of lines of one object, or after one.
type insertion struct {
	after   string // a line, without the end
	until   string // what follows is left out up to this line; "" = nothing is
	add     string
	replace string // what stands in place of the line itself; "" = the line
}

// podValues are what the values add to the pods of a program.
func podValues(program string) []insertion {
	return []insertion{
		{after: "      serviceAccountName: xcpauth-" + program,
			add: "{{- with (include \"xcpauth.pod\" .) }}\n{{ . | nindent 6 }}\n{{- end }}\n"},
		{after: "        - --namespace=$(POD_NAMESPACE)",
			add: "{{- range .Values." + program + ".extraArgs }}\n        - {{ . | quote }}\n{{- end }}\n"},
		{after: "          value: 200MiB", replace: "          value: {{ .Values." + program + ".goMemLimit }}"},
		{after: "        resources:", until: "        securityContext:",
			add: "{{- toYaml .Values." + program + ".resources | nindent 10 }}\n"},
		{after: "        image: " + image, replace: "        image: {{ include \"xcpauth.image\" . }}",
			add: "        imagePullPolicy: {{ .Values.image.pullPolicy }}\n"},
	}
}

// byValue says what of each object the values change.
var byValue = map[string][]insertion{
	"deployment-xcpauth-webhook": append(podValues("webhook"),
		insertion{after: "  replicas: 2", replace: "  replicas: {{ .Values.webhook.replicas }}"}),
	"deployment-xcpauth-auditor": podValues("auditor"),
	"customresourcedefinition-edgeclusters.xcpauth.io": {
		{after: "  annotations:", add: "    helm.sh/resource-policy: keep\n{{- include \"xcpauth.namespace\" . }}\n"}},
	"namespace-xcpauth-edges": {{after: "metadata:", add: "  annotations:\n    helm.sh/resource-policy: keep\n"}},
}

// conditions say which objects a value leaves out.
var conditions = []struct{ prefix, condition string }{
	{"networkpolicy-", ".Values.networkPolicy.enabled"},
	{"deployment-xcpauth-auditor", ".Values.auditor.enabled"},
	{"poddisruptionbudget-", "gt (int .Values.webhook.replicas) 1"},
}

// valued puts the values into an object. A line that is not there is an error: then the chart would say something that
// it does not do.
func valued(key, text string) (string, error) {
	for _, in := range byValue[key] {
		lines := strings.SplitAfter(text, "\n")
		at := slices.Index(lines, in.after+"\n")
		if at < 0 {
			return "", fmt.Errorf("%s has no line %q", key, in.after)
		}
		end := at + 1
		if in.until != "" {
			for end < len(lines) && lines[end] != in.until+"\n" {
				end++
			}
		}
		line := lines[at]
		if in.replace != "" {
			line = in.replace + "\n"
		}
		text = strings.Join(lines[:at], "") + line + in.add + strings.Join(lines[end:], "")
	}
	for _, c := range conditions {
		if strings.HasPrefix(key, c.prefix) {
			text = when(c.condition, text)
		}
	}
	return text, nil
}
