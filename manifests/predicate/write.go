package main

import (
	"fmt"
	"strings"
)

// spelledAsDocumented says that no key of an object is one of these in another spelling, but for what unless says of
// the key k.
func spelledAsDocumented(fields, unless string, keys ...string) string {
	var plains []string
	for _, k := range keys {
		plains = append(plains, strings.ToLower(k))
	}
	terms := []string{fmt.Sprintf("!(%s in %s)", plain("k"), list(plains...)), fmt.Sprintf("k in %s", list(keys...))}
	if unless != "" {
		terms = append(terms, unless)
	}
	return fmt.Sprintf("%s.all(k, %s)", fields, or(terms...))
}

// kept says that a key k of an object has the value that it had in another one.
func kept(fields, old string) string {
	return and(fmt.Sprintf("k in %s", old), fmt.Sprintf("%s[k] == %s[k]", old, fields))
}

// fenceSpellings lets no other spelling of a key on the way to the mode come.
func fenceSpellings() string {
	return or("!variables.fenced", and(
		spelledAsDocumented("object", and("oldObject != null", kept("object", "oldObject")), "spec"),
		spelledAsDocumented("variables.spec", kept("variables.spec", "variables.oldSpec"), "components"),
		spelledAsDocumented("variables.components", kept("variables.components", "variables.oldComponents"), "xcp"),
		spelledAsDocumented("variables.xcp", kept("variables.xcp", "variables.oldXcp"), "centralAuthMode", "kubeSpec")))
}

// fenceKubeSpec lets nothing come below kubeSpec that reaches authentication; what was there stays, wherever it is in
// its list.
func fenceKubeSpec() string {
	const fields, old = "variables.kubeSpecFields", "variables.oldKubeSpecFields"
	const deployment, oldDeployment = "variables.deploymentFields", "variables.oldDeploymentFields"
	// The same patch was there, of an overlay with the same header.
	header := "['apiVersion', 'kind', 'name'].all(k, (k in o) == (k in w) && (!(k in o) || o[k] == w[k]))"
	there := fmt.Sprintf("variables.oldOverlays.exists(w, %s)", and(documented("w"), header, not(isNull("w", "patches")),
		"p in w['patches']"))
	one := fmt.Sprintf("%s ? %s : o in variables.oldOverlays", documented("o"), or(elsewhere("o"), patches("o", "p",
		or(there, ofOverlay("o", "p")))))
	return or("!variables.fenced", "variables.kubeSpec == variables.oldKubeSpec", and(
		or(isMap("variables.kubeSpec"), "variables.kubeSpec == null"),
		fmt.Sprintf("%s.all(k, %s)", fields, or("k in ['deployment', 'overlays']", fmt.Sprintf("!(%s in %s)", plain("k"),
			list(contents...)), kept(fields, old))),
		or(isNull(fields, "deployment"), isMap(fields+"['deployment']"), and("'deployment' in "+old,
			fmt.Sprintf("%s['deployment'] == %s['deployment']", fields, old))),
		fmt.Sprintf("%s.all(k, %s)", deployment, or("k == 'env'", fmt.Sprintf("!(%s in %s)", plain("k"), list(contents...)),
			kept(deployment, oldDeployment))),
		or(isNull(deployment, "env"),
			and("'env' in "+oldDeployment, fmt.Sprintf("%s['env'] == %s['env']", deployment, oldDeployment)),
			and(isList(deployment+"['env']"), fmt.Sprintf("%s['env'].all(e, %s)", deployment, or(harmlessVariable("e"),
				"e in variables.oldEnv")))),
		or(isNull(fields, "overlays"),
			and("'overlays' in "+old, fmt.Sprintf("%s['overlays'] == %s['overlays']", fields, old)),
			and(isList(fields+"['overlays']"), fmt.Sprintf("%s['overlays'].all(o, %s)", fields, one)))))
}

const xcp = "object.spec.components.xcp"

// levels says of an object that every level down to spec.components.xcp is a map.
func levels(object string) string {
	return and("has("+object+".spec)", isMap(object+".spec"), "has("+object+".spec.components)",
		isMap(object+".spec.components"),
		"has("+object+".spec.components.xcp)", isMap(object+".spec.components.xcp"))
}

// surelyBoth says that the new object accepts both modes, whatever anybody presents: the stanza is exactly that, and
// nothing behind it reaches authentication. It does not say so of an edit that changes owners, or of more overlays than
// the API server can judge within its budget.
func surelyBoth() string {
	kubeSpec := xcp + ".kubeSpec"
	owners := func(object string) string { return object + ".metadata.ownerReferences" }
	has := func(object string) string { return "has(" + owners(object) + ")" }
	return and(levels("object"),
		"'centralAuthModes' in "+xcp, xcp+".centralAuthModes == {'jwt': true, 'mutualTls': true}",
		spelledAsDocumented("object", "", "spec"), spelledAsDocumented("object.spec", "", "components"),
		spelledAsDocumented("object.spec.components", "", "xcp"), spelledAsDocumented(xcp, "", "centralAuthModes",
			"kubeSpec"),
		fmt.Sprintf("(oldObject == null || !%s ? !%s : %s && %s == %s)", has("oldObject"), has("object"), has("object"),
			owners("object"), owners("oldObject")),
		or(isNull(xcp, "kubeSpec"), and(isMap(kubeSpec), keysOfKubeSpec(kubeSpec),
			or(isNull(kubeSpec, "deployment"), harmlessDeployment(kubeSpec+"['deployment']")),
			or(isNull(kubeSpec, "overlays"), and(isList(kubeSpec+"['overlays']"), fmt.Sprintf("size(%s['overlays']) <= 20",
				kubeSpec),
				fmt.Sprintf("%s['overlays'].all(o, %s)", kubeSpec, and(documented("o"), or(elsewhere("o"),
					and(or(isNull("o", "patches"), "size(o['patches']) <= 20"), patches("o", "p", ofOverlay("o", "p")))))))))))
}

// changes says that what the webhook reads of an object is not as it was.
func changes() string {
	other := func(a, b, level, key string) string {
		return fmt.Sprintf("%s%s.exists(k, k != '%s' && %s == '%s' && (!(k in %s%s) || %s%s[k] != %s%s[k]))", a, level, key,
			plain("k"), key, b, level, b, level, a, level)
	}
	either := func(level, key string) string {
		return or(other("object", "oldObject", level, key), other("oldObject", "object", level, key))
	}
	differs := func(level string) string { // as they are: one of them is no map
		return fmt.Sprintf("(has(object%[1]s) != has(oldObject%[1]s) || has(object%[1]s) && object%[1]s != oldObject%[1]s)",
			level)
	}
	maps := func(level string) string {
		return and("has(object"+level+")", "has(oldObject"+level+")", isMap("object"+level), isMap("oldObject"+level))
	}
	return or("request.operation != 'UPDATE'", either("", "spec"), fmt.Sprintf("(%s ? %s : %s)", maps(".spec"),
		or(either(".spec", "components"), fmt.Sprintf("(%s ? %s : %s)", maps(".spec.components"),
			or(either(".spec.components", "xcp"), differs(".spec.components.xcp")), differs(".spec.components"))),
		differs(".spec")))
}

// shipped lists the expressions of each file, by the name in the comment above them. Paths are those from the
// manifests.
func shipped() map[string]map[string]string {
	return map[string]map[string]string{
		"fence/policy.yaml":                           {"spellings": fenceSpellings(), "kubeSpec": fenceKubeSpec()},
		"guard/validating-webhook-configuration.yaml": {"changes": changes(), "surely-both": not(surelyBoth())},
	}
}

// marker begins the comment above an expression that is written here; the expression is the block after the next line.
const marker = "# Written by manifests/predicate: "

// rewrite puts expressions into a manifest.
func rewrite(text []byte, expressions map[string]string) ([]byte, error) {
	lines := strings.Split(string(text), "\n")
	var out []string
	written := 0
	for i := 0; i < len(lines); i++ {
		out = append(out, lines[i])
		_, what, marked := strings.Cut(lines[i], marker)
		if !marked {
			continue
		}
		expression, ok := expressions[what]
		if i++; !ok || i == len(lines) || !strings.HasSuffix(lines[i], "expression: >-") {
			return nil, fmt.Errorf("line %d: %q is no expression that is written here, or no block follows it", i, what)
		}
		out, written = append(out, lines[i]), written+1
		indent := strings.Repeat(" ", len(lines[i])-len(strings.TrimLeft(lines[i], " -"))+2)
		out = append(out, wrap(expression, indent)...)
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], indent) {
			i++
		}
	}
	if written != len(expressions) {
		return nil, fmt.Errorf("%d of %d expressions have a place", written, len(expressions))
	}
	return []byte(strings.Join(out, "\n")), nil
}

// wrap breaks an expression into lines after operators: a folded block puts one space for each break.
func wrap(expression, indent string) []string {
	var lines []string
	line := indent
	breaks := strings.NewReplacer(" || ", " ||\n", " && ", " &&\n")
	for _, term := range strings.Split(breaks.Replace(expression), "\n") {
		if line != indent && len(line)+1+len(term) > 120 {
			lines, line = append(lines, line), indent
		}
		if line != indent {
			line += " "
		}
		line += term
	}
	return append(lines, line)
}
