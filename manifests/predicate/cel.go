package main

import (
	"fmt"
	"strings"
)

// The predicate of pkg/overlay as CEL. CEL has no functions of one's own and matchConditions have no variables, so the
// text is put together here and written out in full. Each function returns an expression over the expressions that it
// is given; each is total for any value.

// plain is overlay.Plain.
func plain(key string) string {
	return key + `.replace('_', '').replace('-', '').replace('\u017f', 's').replace('\u212a', 'k').lowerAscii()`
}

// with names a value, so that it is computed once.
func with(name, value, body string) string { return fmt.Sprintf("[%s].all(%s, %s)", value, name, body) }

func and(terms ...string) string { return "(" + strings.Join(terms, " && ") + ")" }
func or(terms ...string) string  { return "(" + strings.Join(terms, " || ") + ")" }
func not(term string) string     { return "!" + term }

// list is a list of texts.
func list(texts ...string) string { return "['" + strings.Join(texts, "', '") + "']" }

func matches(value, form string) string { return fmt.Sprintf("%s.matches(r'%s')", value, form) }

const (
	word = `[\w-]+`
	// grammar is a path with a dot before it: names, in which a dot is escaped and a slash stands between two other
	// characters, and selectors.
	grammar = `^(?:\.(?:[\w-]|\\\.)+(?:/(?:[\w-]|\\\.)+)*|\[(?:-?\d+|[\w-]+[:=](?:[\w/-]+|"[\w/-]+"|\x27[\w/-]+\x27))\])+$`

	end        = `(?:[.\[]|$)`
	labels     = `^metadata\.(?:labels|annotations)` + end
	kubeSpec   = `^spec\.components\.[a-z0-9]+\.kubespec`
	podSpec    = `^spec\.template\.spec`
	container  = podSpec + `\.containers\[[^\]]*\]`
	variable   = `^[A-Za-z_][A-Za-z0-9_.-]*$`
	deployment = `^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
)

// contents are the reserved names of pkg/overlay.
var contents = []string{"args", "command", "containers", "deployment", "env", "envfrom", "image", "overlays", "podspec",
	"template", "volumemounts", "volumes"}

// field says that a path goes on from a prefix with a field that is none of these.
func field(path, prefix string, but ...string) string {
	return and(matches(path, prefix+`\.[a-z0-9]+`+end), not(matches(path, prefix+`\.(?:`+strings.Join(but, "|")+`)`+end)))
}

// isNull says that a key is absent or null.
func isNull(fields, key string) string {
	return or(fmt.Sprintf("!('%s' in %s)", key, fields), fmt.Sprintf("%s['%s'] == null", fields, key))
}

func isList(v string) string { return fmt.Sprintf("type(%s) == list", v) }
func isMap(v string) string  { return fmt.Sprintf("type(%s) == map", v) }
func isText(v string) string { return fmt.Sprintf("type(%s) == string", v) }

func harmlessName(v string) string {
	return and(matches(v, variable), not(plain(v)+".contains('centralauth')"))
}

// harmlessVariable judges an item of an env list.
func harmlessVariable(v string) string {
	return and(isMap(v), fmt.Sprintf("%s.all(k, k in ['name', 'value', 'valueFrom'])", v), fmt.Sprintf("'name' in %s", v),
		isText(v+"['name']"), harmlessName(v+"['name']"))
}

func harmlessVariables(v string) string {
	return and(isList(v), fmt.Sprintf("%s.all(e, %s)", v, harmlessVariable("e")))
}

// harmlessEnv judges a patch of an env list below a prefix, or of a part of it; written is the prefix without regard to
// spelling.
func harmlessEnv(prefix, written, s, q, v string) string {
	byName := prefix + `\.env\[name[:=][^\]]*\]`
	named := fmt.Sprintf(`%s.split('.env[name')[1].substring(1).split(']')[0].replace('"', '').replace("'", '')`, s)
	return or(
		and(matches(q, prefix+`\.env$`), harmlessVariables(v)),
		and(matches(q, prefix+`\.env\[\d+\]$`), harmlessVariable(v)),
		and(matches(q, byName+`(?:$|\.value(?:from)?`+end+`)`), matches(s, written+`\.env\[name[:=]`), with("n", named,
			harmlessName("n")),
			or(matches(q, byName+`\.`), harmlessVariable(v))))
}

// ofDeployment judges a patch of a Deployment: its path s, that path in plain spelling q, its value v.
func ofDeployment(s, q, v string) string {
	return or(
		matches(q, labels),
		field(q, `^spec`, "template"),
		field(q, `^spec\.template`, "spec"),
		field(q, podSpec, "containers", "volumes"),
		field(q, container, "args", "command", "env", "envfrom", "image", "volumemounts"),
		harmlessEnv(container, `^`+word+`\.`+word+`\.`+word+`\.`+word+`\[[^\]]*\]`, s, q, v))
}

// harmlessPatch judges a patch of a kind in small letters, by a function of its path, that path in plain spelling, and
// its value.
func harmlessPatch(p string, judge func(path, s, q, v string) string) string {
	path, v := p+"['path']", p+"['value']"
	return and(isMap(p), fmt.Sprintf("size(%s) == 2", p), fmt.Sprintf("'path' in %s", p), fmt.Sprintf("'value' in %s", p),
		isText(path), v+" != null",
		with("s", path+".replace('.[', '[')", and(matches("('.' + s)", grammar), with("q", plain("s"), judge(path, "s", "q",
			v)))))
}

// documented says that an overlay has only the documented keys.
func documented(o string) string {
	return and(isMap(o), fmt.Sprintf("%s.all(k, k in ['apiVersion', 'kind', 'name', 'patches'])", o),
		fmt.Sprintf("'kind' in %s", o), isText(o+"['kind']"),
		matches(o+"['kind']", `^[A-Za-z][A-Za-z0-9]*$`), or(isNull(o, "patches"), isList(o+"['patches']")))
}

func kind(o string) string { return o + "['kind'].lowerAscii()" }

// elsewhere says that the target of a documented overlay takes no part in authentication.
func elsewhere(o string) string {
	return or(fmt.Sprintf("!(%s in ['edgexcp', 'centralxcp', 'deployment'])", kind(o)),
		and(kind(o)+" == 'deployment'", fmt.Sprintf("'name' in %s", o), isText(o+"['name']"), matches(o+"['name']",
			deployment),
			fmt.Sprintf("!(%s['name'] in ['central', 'edge', 'xcp-central', 'xcp-edge'])", o)))
}

// patches says something of each patch of a documented overlay.
func patches(o, p, body string) string {
	return or(isNull(o, "patches"), fmt.Sprintf("%s['patches'].all(%s, %s)", o, p, body))
}

// nestedOverlays judges overlays within an overlay.
func nestedOverlays(v string) string {
	patch := harmlessPatch("r", func(_, s, q, v string) string { return ofDeployment(s, q, v) })
	return and(isList(v), fmt.Sprintf("%s.all(w, %s)", v, and(documented("w"), or(elsewhere("w"),
		and(kind("w")+" == 'deployment'", patches("w", "r", patch))))))
}

// harmlessDeployment judges the typed fields of a Deployment.
func harmlessDeployment(v string) string {
	return and(isMap(v), fmt.Sprintf("%s.all(k, k == 'env' || !(%s in %s))", v, plain("k"), list(contents...)),
		or(isNull(v, "env"), harmlessVariables(v+"['env']")))
}

// harmlessKubeSpec judges a patch at or below the kubeSpec of a component.
func harmlessKubeSpec(s, q, v string) string {
	return or(
		field(q, kubeSpec, contents...),
		field(q, kubeSpec+`\.deployment`, contents...),
		harmlessEnv(kubeSpec+`\.deployment`, `^`+word+`\.`+word+`\.`+word+`\.`+word+`\.`+word, s, q, v),
		and(matches(q, kubeSpec+`\.deployment$`), harmlessDeployment(v)),
		// a whole kubeSpec, its overlays or one of them
		with("l", fmt.Sprintf("%s ? %s : %s ? dyn({'overlays': %s}) : %s ? dyn({'overlays': [%s]}) : dyn(false)",
			matches(q, kubeSpec+`$`), v, matches(q, kubeSpec+`\.overlays$`), v, matches(q, kubeSpec+`\.overlays\[\d+\]$`), v),
			and(isMap("l"), keysOfKubeSpec("l"), or(isNull("l", "deployment"), harmlessDeployment("l['deployment']")),
				or(isNull("l", "overlays"), nestedOverlays("l['overlays']")))))
}

func keysOfKubeSpec(v string) string {
	return fmt.Sprintf("%s.all(k, k in ['deployment', 'overlays'] || !(%s in %s))", v, plain("k"), list(contents...))
}

// ofXCP judges a patch of EdgeXcp or CentralXcp.
func ofXCP(o, path, s, q, v string) string {
	return or(
		matches(q, labels),
		and(matches(q, `^spec\.[a-z0-9]+`+end), not(matches(q, `^spec\.(?:[a-z0-9]*(?:auth|jwt|tls)|components`+end+`)`))),
		and(kind(o)+" == 'edgexcp'",
			fmt.Sprintf("%s in ['spec.centralAuthJwt.centralSni', 'spec.centralAuthJwt.centralCaSecret']", path), isText(v)),
		and(matches(q, kubeSpec+end), harmlessKubeSpec(s, q, v)))
}

// ofOverlay judges a patch p of a documented overlay o that is not elsewhere.
func ofOverlay(o, p string) string {
	return harmlessPatch(p, func(path, s, q, v string) string {
		return or(and(kind(o)+" == 'deployment'", ofDeployment(s, q, v)), and(kind(o)+" != 'deployment'", ofXCP(o, path, s, q,
			v)))
	})
}
