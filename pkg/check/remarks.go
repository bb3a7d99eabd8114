package check

import "strings"

// remarkRules are what a product's dialect finds by itself, which has words of its own for each.
var remarkRules = []Rule{
	{ID: "XA080", Title: "a zone's token, a key or a setting of the mesh is refused, or breaks something", Severity: Error, find: remarks(Error),
		Mend: "Do what the finding says; its object begins with the name by which it is known, such as `token-expired`."},
	{ID: "XA081", Title: "a zone's token, a key or a setting of the mesh works, and should not be left so", Severity: Warning, find: remarks(Warning),
		Mend: "Do what the finding says, before it is refused."},
	{ID: "XA082", Title: "something about a zone's token, a key or a setting of the mesh is worth knowing", Severity: Info, find: remarks(Info),
		Mend: "Nothing needs to be done."},
}

// remarks reports the remarks of one severity.
func remarks(severity Severity) func(*look) {
	return func(l *look) {
		for _, p := range l.parties() {
			for _, r := range p.in.Remarks {
				if r.Severity != string(severity) {
					continue
				}
				x := l.of(p)
				x.Object, x.Saw, x.Remedy = strings.TrimSuffix(r.ID+" of "+r.Where, " of "), r.Saw, r.Remedy
			}
		}
	}
}
