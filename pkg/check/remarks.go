package check

import "strings"

// remarkRules are what a product's dialect finds by itself, which has words of its own for each.
var remarkRules = []Rule{
	{ID: "XA080", Title: "a zone's token, a key or a setting of the mesh is refused, or breaks something", Severity: Error, find: remarks(Error),
		Remedy: "Do what the finding says; its object begins with the name by which it is known, such as `token-expired`."},
	{ID: "XA081", Title: "a zone's token, a key or a setting of the mesh works, and should not be left so", Severity: Warning, find: remarks(Warning),
		Remedy: "Do what the finding says, before it is refused."},
	{ID: "XA082", Title: "something about a zone's token, a key or a setting of the mesh is worth knowing", Severity: Info, find: remarks(Info),
		Remedy: "Nothing needs to be done."},
}

// remarks reports the remarks of one severity.
func remarks(severity Severity) func(*run) {
	return func(l *run) {
		for _, p := range l.subjects() {
			for _, r := range p.in.Remarks {
				if r.Severity != string(severity) {
					continue
				}
				x := l.of(p)
				x.Object, x.Found, x.Remedy = strings.TrimSuffix(r.ID+" of "+r.Where, " of "), r.Found, r.Remedy
			}
		}
	}
}
