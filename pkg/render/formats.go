package render

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"
)

// Formats lists the output formats of -o that take nothing more, and TemplateFormats those that take a template after
// an equals sign; the latter are kubectl's.
var (
	Formats         = []string{"table", "wide", "json", "yaml", "name"}
	TemplateFormats = []string{"jsonpath", "jsonpath-as-json", "jsonpath-file", "go-template", "go-template-file",
		"custom-columns", "custom-columns-file"}
)

// Format is an output format.
type Format struct {
	Name     string
	Template string // of a format that takes one
	// NoHeaders leaves the headings of tables and of custom columns out.
	NoHeaders bool
}

// ParseFormat reads what was passed with -o, and with --template. A format that is not known, and a template that
// cannot be used, are refused before any work is done.
func ParseFormat(output, template string, noHeaders bool) (Format, error) {
	name, inline, given := strings.Cut(output, "=")
	if given && template != "" {
		return Format{}, fmt.Errorf("-o %s has a template already; pass it there or with --template", name)
	}
	f := Format{Name: name, Template: inline, NoHeaders: noHeaders}
	if !given {
		f.Template = template
	}
	if name == "template" || name == "templatefile" { // kubectl's older names
		f.Name = map[string]string{"template": "go-template", "templatefile": "go-template-file"}[name]
	}
	switch {
	case slices.Contains(Formats, f.Name) && !given && template == "":
		return f, nil
	case slices.Contains(Formats, f.Name):
		return Format{}, fmt.Errorf("-o %s takes no template", f.Name)
	case !slices.Contains(TemplateFormats, f.Name):
		return Format{}, fmt.Errorf("output format %q is not known; pass -o with one of: %s, %s=TEMPLATE", output,
			strings.Join(Formats, ", "), strings.Join(TemplateFormats, "=TEMPLATE, "))
	case f.Template == "":
		return Format{}, fmt.Errorf("-o %s needs a template: -o %s=TEMPLATE", f.Name, f.Name)
	}
	if kind, isFile := strings.CutSuffix(f.Name, "-file"); isFile {
		text, err := os.ReadFile(f.Template)
		if err != nil {
			return Format{}, fmt.Errorf("reading the template of -o %s: %w", f.Name, err)
		}
		f.Name, f.Template = kind, string(text)
		if kind == "custom-columns" {
			f.Template = columnsOfFile(f.Template)
		}
	}
	return f, f.print(io.Discard, Status{}, true)
}

// IsTable says whether it is for people, and not for programs.
func (f Format) IsTable() bool { return f.Name == "table" || f.Name == "wide" }

// columnsOfFile reads a template of two lines, as kubectl does: the headings, and below them the fields.
func columnsOfFile(text string) string {
	headings, fields, _ := strings.Cut(strings.TrimSpace(text), "\n")
	var columns []string
	paths := strings.Fields(fields)
	for i, heading := range strings.Fields(headings) {
		if i < len(paths) {
			columns = append(columns, heading+":"+paths[i])
		}
	}
	return strings.Join(columns, ",")
}

// Listed is a report that is a list: -o name prints the names of its items, and custom columns show them one by one.
type Listed interface {
	// Names are the names of the items, in their order; "" for an item that has none.
	Names() []string
	// Items is the key of the list in the report's JSON.
	Items() string
}

// print writes a report in a format that is not a table. Of a template that is only tried the result does not matter.
func (f Format) print(w io.Writer, r Report, tried bool) error {
	switch f.Name {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case "yaml":
		b, err := yaml.Marshal(r)
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	case "name":
		return printNames(w, r)
	case "custom-columns":
		return f.printColumns(w, r)
	}
	printer, err := f.printer()
	if err != nil {
		return fmt.Errorf("the template of -o %s cannot be used: %w", f.Name, err)
	}
	o, err := asObject(r)
	if err != nil {
		return err
	}
	if err := printer.PrintObj(&unstructured.Unstructured{Object: o}, w); err != nil && !tried {
		return fmt.Errorf("printing with -o %s: %w", f.Name, err)
	}
	return nil
}

// printer is the one of cli-runtime for a template.
func (f Format) printer() (printers.ResourcePrinter, error) {
	if f.Name == "go-template" {
		p, err := printers.NewGoTemplatePrinter([]byte(f.Template))
		if err == nil {
			p.AllowMissingKeys(true)
		}
		return p, err
	}
	p, err := printers.NewJSONPathPrinter(f.Template)
	if err != nil {
		return nil, err
	}
	p.AllowMissingKeys(true)
	p.EnableJSONOutput(f.Name == "jsonpath-as-json")
	return p, nil
}

// printNames prints the name of each item on a line of its own.
func printNames(w io.Writer, r Report) error {
	list, is := r.(Listed)
	if !is {
		return fmt.Errorf("-o name is for lists, and this report is none; pass -o json or -o jsonpath=TEMPLATE")
	}
	for _, name := range list.Names() {
		if name != "" {
			if _, err := fmt.Fprintln(w, clean(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// printColumns prints custom columns of each item of a list, or of a report that is none.
func (f Format) printColumns(w io.Writer, r Report) error {
	columns, err := columnsOf(f.Template)
	if err != nil {
		return err
	}
	o, err := asObject(r)
	if err != nil {
		return err
	}
	items := []any{o}
	if list, is := r.(Listed); is {
		items, _ = o[list.Items()].([]any)
	}
	var headings []string
	for _, c := range columns {
		headings = append(headings, c.heading)
	}
	rows := [][]string{}
	for _, item := range items {
		row := []string{}
		for _, c := range columns {
			row = append(row, c.of(item))
		}
		rows = append(rows, row)
	}
	Columns(&Page{Writer: w, NoHeaders: f.NoHeaders}, headings, rows)
	return nil
}

// asObject is a report as its JSON has it.
func asObject(r Report) (map[string]any, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding the report: %w", err)
	}
	var o map[string]any
	if err := utiljson.Unmarshal(b, &o); err != nil {
		return nil, fmt.Errorf("encoding the report: %w", err)
	}
	return o, nil
}

// column is one of custom-columns=HEADING:.path,HEADING:.path.
type column struct {
	heading string
	path    *jsonpath.JSONPath
}

func columnsOf(spec string) ([]column, error) {
	var all []column
	for _, part := range strings.Split(spec, ",") {
		heading, path, ok := strings.Cut(part, ":")
		if !ok || heading == "" || path == "" {
			return nil, fmt.Errorf("-o custom-columns: %q is not HEADING:.field", part)
		}
		path = strings.TrimSuffix(strings.TrimPrefix(path, "{"), "}")
		if !strings.HasPrefix(path, ".") {
			path = "." + path
		}
		c := column{heading, jsonpath.New(heading).AllowMissingKeys(true)}
		if err := c.path.Parse("{" + path + "}"); err != nil {
			return nil, fmt.Errorf("-o custom-columns: the field of %s: %w", heading, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// of is what an item has there, as kubectl shows it.
func (c column) of(item any) string {
	found, err := c.path.FindResults(item)
	if err != nil || len(found) == 0 || len(found[0]) == 0 {
		return "<none>"
	}
	var texts []string
	for _, v := range found[0] {
		texts = append(texts, fmt.Sprint(v.Interface()))
	}
	return strings.Join(texts, ",")
}
