// Package lint holds the rules that linters at hand cannot express: who may import whom, directly and through others,
// and what the sources may not say. Each rule is a row with its reason; what go list and the parser report is judged
// by it. It must not know what any package does. (depguard judges direct imports alone; most of these rules are about
// all of them.)
package lint
