package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// How Grafana lays a dashboard out: 24 columns, a unit of height of 30 pixels, and 8 between panels.
const (
	dashboardWidth = 1200.0
	gridColumns    = 24
	gridHeight     = 30.0
	gridGap        = 8.0
)

const panelStyle = `text{font:13px Inter,Helvetica,Arial,sans-serif;fill:#24292e}
.bg{fill:#f4f5f5}.p{fill:#fff;stroke:#e0e0e3}
.t{font-weight:600}.m{fill:#6e7079;font-size:11px}.g{stroke:#e4e5e7;fill:none}
.v{font-size:28px;font-weight:600;fill:#fff}
.l{fill:none;stroke-width:1.5}
@media (prefers-color-scheme: dark) {text{fill:#ccccdc}.bg{fill:#111217}.p{fill:#181b1f;stroke:#2c3035}.m{fill:#9a9ba3}
.g{stroke:#2c3035}.v{fill:#fff}}`

// colours are those of thresholds; palette is that of lines. White text is read on each of the former.
var (
	colours = map[string]string{"red": "#c4162a", "orange": "#c25208", "green": "#37872d"}
	palette = []string{"#56a64b", "#e0b400", "#3274d9", "#e02f44", "#a352cc", "#ff780a"}
)

// box is where a panel is in the picture.
type box struct{ x, y, w, h float64 }

func (p panel) box() box {
	column := (dashboardWidth - gridGap*(gridColumns+1)) / gridColumns
	at := func(n int, size float64) float64 { return gridGap + float64(n)*(size+gridGap) }
	of := func(n int, size float64) float64 { return float64(n)*(size+gridGap) - gridGap }
	return box{at(p.GridPos.X, column), at(p.GridPos.Y, gridHeight), of(p.GridPos.W, column), of(p.GridPos.H, gridHeight)}
}

// drawn is the dashboard as an SVG that follows the reader's colour scheme.
func drawn(panels []panel, alt string) string {
	height := 0.0
	for _, p := range panels {
		height = max(height, p.box().y+p.box().h+gridGap)
	}
	c := &canvas{}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%.0f" height="%.0f" viewBox="0 0 %[1]g %[2]g">`,
		dashboardWidth, height)
	c.add("<title>%s</title>\n<desc>%[1]s</desc>\n<style>%s</style>", html.EscapeString(alt), panelStyle)
	c.add(`<rect class="bg" width="%.0f" height="%.0f"/>`, dashboardWidth, height)
	for _, p := range panels {
		c.panel(p)
	}
	c.add("</svg>")
	return c.String()
}

// canvas is a picture that is being drawn.
type canvas struct{ strings.Builder }

func (c *canvas) add(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

// text writes a text that is cut off where it takes more than a width.
func (c *canvas) text(x, y, width float64, class, anchor, text string) {
	letter := 7.0 // what one takes, about
	if class == "m" {
		letter = 6.5
	}
	if fits := max(int(width/letter), 1); len([]rune(text)) > fits {
		text = string([]rune(text)[:fits-1]) + "…"
	}
	c.add(`<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, html.EscapeString(text))
}

func (c *canvas) panel(p panel) {
	b := p.box()
	if p.Type == "row" {
		c.text(b.x+gridGap, b.y+20, b.w, "t", "start", "⌄ "+p.Title)
		return
	}
	c.add(`<rect class="p" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"/>`, b.x, b.y, b.w, b.h)
	switch p.Type {
	case "stat":
		c.stat(p, b)
	case "table":
		c.table(p, b)
	default:
		c.series(p, b)
	}
}

// heading is the title of a panel, above what it shows.
func (c *canvas) heading(p panel, b box) { c.text(b.x+8, b.y+20, b.w-16, "t", "start", p.Title) }

func (c *canvas) stat(p panel, b box) {
	ls := p.lines[0]
	if len(ls) == 0 || len(ls[0].Points) == 0 {
		c.heading(p, b)
		c.text(b.x+b.w/2, b.y+b.h/2+10, b.w, "m", "middle", "No data")
		return
	}
	value := ls[0].Points[len(ls[0].Points)-1].Value
	c.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" fill="%s"/>`, b.x, b.y, b.w, b.h,
		colours[p.colour(value)])
	c.add(`<text class="t" style="fill:#fff" x="%.1f" y="%.1f">%s</text>`, b.x+8, b.y+20, html.EscapeString(p.Title))
	c.add(`<text class="v" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, b.x+b.w/2, b.y+b.h/2+20,
		html.EscapeString(p.shown(value)))
}

// colour is that of the last threshold that a value reaches.
func (p panel) colour(value float64) (is string) {
	for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
		if s.Value == nil || *s.Value <= value {
			is = s.Color
		}
	}
	return is
}

// shown is a value in the unit of a panel.
func (p panel) shown(value float64) string {
	d := p.FieldConfig.Defaults
	for _, m := range d.Mappings {
		if o, ok := m.Options[strconv.FormatFloat(value, 'f', -1, 64)]; ok {
			return o.Text
		}
	}
	if d.Decimals != nil {
		return strconv.FormatFloat(value, 'f', *d.Decimals, 64)
	}
	return inUnit(d.Unit, value)
}

// scale is from which value on a unit is used.
type scale struct {
	from float64
	word string
}

var scales = map[string][]scale{
	"s":     {{604800, "weeks"}, {86400, "days"}, {3600, "hours"}, {60, "mins"}, {1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}},
	"bytes": {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}},
}

func inUnit(unit string, value float64) string {
	round := func(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }
	for _, s := range scales[unit] {
		if value >= s.from {
			return round(value/s.from) + " " + s.word
		}
	}
	return round(value)
}

// legend is a line with its name and colour.
type legend struct {
	line
	name, colour string
}

func (p panel) legends() (all []legend) {
	for i, ls := range p.lines {
		for _, l := range ls {
			all = append(all, legend{line: l, name: named(p.Targets[i].LegendFormat, l.Labels)})
		}
	}
	slices.SortStableFunc(all, func(a, b legend) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		all[i].colour = palette[i%len(palette)]
	}
	return all
}

// axis is what a panel's lines span.
type axis struct {
	from, to int64
	top      float64
}

func axisOf(all []legend) axis {
	a := axis{from: math.MaxInt64}
	for _, l := range all {
		for _, p := range l.Points {
			a.from, a.to, a.top = min(a.from, p.At), max(a.to, p.At), max(a.top, p.Value)
		}
	}
	if a.top == 0 {
		a.top = 1
	}
	return a
}

func (c *canvas) series(p panel, b box) {
	c.heading(p, b)
	all := p.legends()
	a := axisOf(all)
	in := box{b.x + 64, b.y + 34, b.w - 76, b.h - 84}
	if a.to == 0 {
		c.text(b.x+b.w/2, b.y+b.h/2, b.w, "m", "middle", "No data")
		return
	}
	const rows = 4
	for i := range rows + 1 {
		y := in.y + in.h*(1-float64(i)/rows)
		c.add(`<path class="g" d="M%.1f %.1fH%.1f"/>`, in.x, y, in.x+in.w)
		c.text(in.x-6, y+4, 60, "m", "end", p.shown(a.top*float64(i)/rows))
	}
	for _, at := range []int64{a.from, (a.from + a.to) / 2, a.to} {
		x := in.x + in.w*float64(at-a.from)/float64(max(a.to-a.from, 1))
		c.text(min(x, in.x+in.w-18), in.y+in.h+16, 80, "m", "middle", time.UnixMilli(at).UTC().Format("15:04:05"))
	}
	x := b.x + 12
	for _, l := range all {
		c.curve(l, a, in)
		c.add(`<rect x="%.1f" y="%.1f" width="12" height="3" fill="%s"/>`, x, b.y+b.h-18, l.colour)
		c.text(x+16, b.y+b.h-13, b.x+b.w-x-16, "m", "start", l.name)
		x += 28 + 6.2*float64(len(l.name))
	}
}

// curve draws a line.
func (c *canvas) curve(l legend, a axis, in box) {
	var d strings.Builder
	move := "M"
	for _, p := range l.Points {
		fmt.Fprintf(&d, "%s%.1f %.1f", move, in.x+in.w*float64(p.At-a.from)/float64(max(a.to-a.from, 1)),
			in.y+in.h*(1-p.Value/a.top))
		move = "L"
	}
	c.add(`<path class="l" stroke="%s" d="%s"/>`, l.colour, d.String())
}

// table draws the last values, in the order of columns that the dashboard says.
func (c *canvas) table(p panel, b box) {
	c.heading(p, b)
	order := p.Transformations[0].Options.IndexByName
	columns := make([]string, 0, len(order))
	for name := range order {
		columns = append(columns, name)
	}
	sort.Slice(columns, func(i, k int) bool { return order[columns[i]] < order[columns[k]] })
	cell := func(row, column int, class, text string) {
		width := (b.w - 16) / float64(len(columns))
		c.text(b.x+8+float64(column)*width, b.y+48+26*float64(row), width-8, class, "start", text)
	}
	for i, name := range columns {
		cell(0, i, "t", strings.ReplaceAll(name, "Value", "seen"))
	}
	for row, l := range p.lines[0] {
		for i, name := range columns {
			text := l.Labels[name]
			if name == "Value" {
				text = time.UnixMilli(int64(l.Points[len(l.Points)-1].Value)).UTC().Format("2006-01-02 15:04:05")
			}
			cell(row+1, i, "", text)
		}
	}
}
