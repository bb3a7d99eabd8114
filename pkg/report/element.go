package report

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// node is a part of a page: an element, or text.
type node interface{ write(b *strings.Builder) }

// text is text: it is redacted, cleaned and escaped, whatever it holds. html/template would escape it too, but it has
// the linker keep every method of every type, which costs the plugin 3 MB.
type text string

func (t text) write(b *strings.Builder) { b.WriteString(html.EscapeString(shown(string(t)))) }

// lines is text whose lines stay apart.
type lines string

func (l lines) write(b *strings.Builder) {
	for i, line := range shownLines(string(l)) {
		if i > 0 {
			b.WriteString("\n")
		}
		text(line).write(b)
	}
}

// own is a text of ours that is written as it is: the style sheet.
type own string

func (o own) write(b *strings.Builder) { b.WriteString(string(o)) }

// element is an element. Its tag and the names of its attributes are ours, never a cluster's.
type element struct {
	tag        string
	attributes [][2]string
	children   []node
}

// void are the elements that have no end.
const void = " meta br hr "

func (e *element) write(b *strings.Builder) {
	b.WriteString("<" + e.tag)
	for _, a := range e.attributes {
		b.WriteString(" " + a[0] + `="`)
		text(a[1]).write(b)
		b.WriteString(`"`)
	}
	b.WriteString(">")
	if strings.Contains(void, " "+e.tag+" ") {
		return
	}
	for _, c := range e.children {
		c.write(b)
	}
	b.WriteString("</" + e.tag + ">")
}

// cell is a cell that knows its heading: a narrow page shows it next to the value.
func cell(heading string, children ...node) *element {
	return el("td", el("div", children...)).set("data-label", heading)
}

// small is a second line, nothing where there is no text.
func small(s string) node {
	if s == "" {
		return text("")
	}
	return el("small", text(s))
}

// list is a list of texts, nothing where there is none.
func list(tag string, all []string) node {
	if len(all) == 0 {
		return text("")
	}
	l := el(tag)
	for _, s := range all {
		l.add(el("li", text(s)))
	}
	return l
}

// manyNames is from how many names on a list of them is folded.
const manyNames = 12

// named is a labelled list of names.
func named(label string, names []string) node {
	switch {
	case len(names) == 0:
		return text("")
	case len(names) <= manyNames:
		return el("p", el("span.label", text(label+": ")), text(strings.Join(names, ", ")))
	}
	return el("details", el("summary", text(fmt.Sprintf("%s: %d", label, len(names)))),
		el("p", text(strings.Join(names, ", "))))
}

// el makes an element. A dot in tag gives it a class: "td.state".
func el(tag string, children ...node) *element {
	tag, class, classed := strings.Cut(tag, ".")
	e := &element{tag: tag, children: children}
	if classed {
		e.set("class", strings.ReplaceAll(class, ".", " "))
	}
	return e
}

// set gives an element an attribute.
func (e *element) set(name, value string) *element {
	e.attributes = append(e.attributes, [2]string{name, value})
	return e
}

// add adds children.
func (e *element) add(children ...node) *element {
	e.children = append(e.children, children...)
	return e
}

// writeTo writes a page.
func writeTo(w io.Writer, root *element) error {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n")
	root.write(&b)
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}
