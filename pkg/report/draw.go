package report

import (
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// The drawing is made for two widths: that of a page, and that of a telephone. The style sheet shows one of them.
const (
	wide   = 960
	narrow = 344
)

// From how many members on each is no card of its own, and a group no tiles with names.
const (
	manyMembers = 12
	manyOfMark  = 60
)

// The measures of a drawing, in its units: a pixel at full size.
const (
	hubWidth, hubHeight   = 300, 64
	cardWidth, cardHeight = 222, 64
	tileWidth, tileHeight = 150, 28
	dot                   = 16
	gap                   = 14
	rail                  = 22 // the place for the line that leads down from the hub
)

// draw is the hub and its members as a picture of a width: cards of few members, else tiles or dots by their mark.
func draw(m Model, width int) node {
	var all []Member
	for _, r := range m.Members {
		if r.IsMember() {
			all = append(all, r)
		}
	}
	p := &picture{width: width, svg: el("svg")}
	p.hub(m)
	if len(all) <= manyMembers {
		p.cards(all)
	} else {
		p.groups(all)
	}
	class := map[int]string{wide: "fleet wide", narrow: "fleet narrow"}[width]
	return p.svg.set("class", class).set("viewBox", fmt.Sprintf("0 0 %d %d", width, p.bottom+4)).set("role", "img").
		set("aria-label", fmt.Sprintf("The hub and %s; the table has the same facts", check.Count(len(all), m.Noun)))
}

// picture is a drawing as far as it was drawn.
type picture struct {
	width, bottom int
	svg           *element
}

func (p *picture) hub(m Model) {
	w := min(hubWidth, p.width-4)
	name, state := "hub", Unknown
	for _, r := range m.Members {
		if r.Role == roleHub {
			state = r.Mark
			break
		}
	}
	if m.Context != "" && m.Context != name {
		name += " in " + m.Context
	}
	p.box(2, 2, w, hubHeight, state, name, []string{name, m.Hub, m.product()})
	p.bottom = 2 + hubHeight
}

// cards draws a card for each member, in rows below a line from the hub.
func (p *picture) cards(all []Member) {
	perRow := max(1, (p.width-rail+gap)/(cardWidth+gap))
	w := cardWidth
	if perRow == 1 {
		w = p.width - rail - 4
	}
	for i, r := range all {
		x := rail + i%perRow*(w+gap)
		if i%perRow == 0 {
			p.bottom += 2 * gap
			p.trunk(p.bottom - gap)
			last := min(perRow, len(all)-i) - 1
			if perRow > 1 {
				p.line(rail/2, p.bottom-gap, rail+last*(w+gap)+w/2, p.bottom-gap, "wire")
			}
		}
		y := p.bottom
		wire := "wire " + map[guard.Tri]string{guard.Yes: "yes", guard.No: "no"}[r.Connected]
		if perRow > 1 {
			p.line(x+w/2, y-gap, x+w/2, y, wire)
		} else {
			p.trunk(y + cardHeight/2)
			p.line(rail/2, y+cardHeight/2, x, y+cardHeight/2, wire)
		}
		p.box(x, y, w, cardHeight, r.Mark, r.tip(), []string{r.Name, r.Effective + ", " + r.Credential, r.label()})
		if i%perRow == perRow-1 || i == len(all)-1 {
			p.bottom += cardHeight
		}
	}
}

// groups draws the members by their mark, the worst first.
func (p *picture) groups(all []Member) {
	for _, mark := range Marks {
		var of []Member
		for _, r := range all {
			if r.Mark == mark {
				of = append(of, r)
			}
		}
		if len(of) == 0 {
			continue
		}
		p.bottom += 2*gap + 4
		p.trunk(p.bottom - 5)
		p.line(rail/2, p.bottom-5, rail, p.bottom-5, "wire")
		p.say(rail+6, p.bottom, "group", fmt.Sprintf("%d %s", len(of), mark))
		p.bottom += gap - 4
		if len(of) <= manyOfMark {
			p.tiles(of)
		} else {
			p.dots(of)
		}
	}
}

func (p *picture) tiles(of []Member) {
	perRow := max(1, (p.width-rail)/(tileWidth+6))
	for row := range slices.Chunk(of, perRow) {
		for i, r := range row {
			x := rail + 6 + i*(tileWidth+6)
			g := el("g."+r.Mark.class(), el("title", text(r.tip())), rect(x, p.bottom, tileWidth, tileHeight, "tile"),
				rect(x, p.bottom, 5, tileHeight, "bar"))
			p.svg.add(g)
			p.say(x+12, p.bottom+18, "small", short(r.Name, 19))
		}
		p.bottom += tileHeight + 6
	}
	p.bottom -= 6
}

func (p *picture) dots(of []Member) {
	perRow := max(1, (p.width-rail-6)/(dot+4))
	for row := range slices.Chunk(of, perRow) {
		for i, r := range row {
			p.svg.add(el("g."+r.Mark.class(), el("title", text(r.tip())), rect(rail+6+i*(dot+4), p.bottom, dot, dot, "dot")))
		}
		p.bottom += dot + 4
	}
}

// box is a card with up to three lines of text.
func (p *picture) box(x, y, w, h int, mark Mark, tip string, said []string) {
	p.svg.add(el("g."+mark.class(), el("title", text(tip)), rect(x, y, w, h, "tile"), rect(x, y, 6, h, "bar")))
	for i, line := range said {
		class, columns := "small", (w-24)*10/70
		if i == 0 {
			class, columns = "name", (w-24)/8
		}
		p.say(x+16, y+19+i*17, class, short(line, columns))
	}
}

// trunk leads the line from the hub down to a height.
func (p *picture) trunk(y int) { p.line(rail/2, 2+hubHeight, rail/2, y, "wire") }

func (p *picture) line(x1, y1, x2, y2 int, class string) {
	p.svg.add(el("path").set("class", class).set("d", fmt.Sprintf("M%d %dL%d %d", x1, y1, x2, y2)))
}

func (p *picture) say(x, y int, class, s string) {
	p.svg.add(el("text", text(s)).set("x", fmt.Sprint(x)).set("y", fmt.Sprint(y)).set("class", class))
}

func rect(x, y, w, h int, class string) *element {
	return el("rect").set("x", fmt.Sprint(x)).set("y", fmt.Sprint(y)).set("width", fmt.Sprint(w)).
		set("height", fmt.Sprint(h)).set("rx", "4").set("class", class)
}

// label is what a card says of its member's state.
func (r Member) label() string {
	if r.Next != "" && r.Next != "-" && r.Next != r.State {
		return fmt.Sprintf("%s, next: %s", r.Mark, r.Next)
	}
	return string(r.Mark)
}

// tip is what is shown of a member when it is pointed at.
func (r Member) tip() string {
	return fmt.Sprintf("%s: %s; effective %s, credential %s", r.Name, r.label(), r.Effective, r.Credential)
}

// short is a text of at most so many runes.
func short(s string, columns int) string {
	if all := []rune(s); len(all) > columns {
		return string(all[:max(columns-1, 0)]) + "…"
	}
	return s
}
