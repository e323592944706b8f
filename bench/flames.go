//go:build linux

package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A flame graph (Brendan Gregg): every function of a stack is a bar on top of
// the one that called it, as wide as the time that it took with all it called.
// Bars beside each other stand in the order of their names, not of time.
const (
	flamesWidth  = 1600.0
	flamesMargin = 10.0
	barHeight    = 17.0
	legendHeight = 44.0
	legendStep   = 260.0
	legendLine   = 6 // stages a line
	letterWidth  = 6.6
	barLeast     = 0.4 // narrower bars are left out, with all on top of them
	lettersLeast = 3
)

// flame is a function in the place where it was called.
type flame struct {
	name  string
	stage stage // of what it does itself
	took  time.Duration
	calls map[string]*flame
}

// stageColours tell the stages apart.
var stageColours = map[stage]string{
	network: "#8ecae6", httpParse: "#a8dadc", admitting: "#ffd166", identifying: "#f4a261", decoding: "#e9c46a",
	engine: "#90be6d", journaling: "#cdb4db", syncing: "#b388eb", answering: "#ffafcc",
	serverRest: "#dddddd", background: "#d4a373", goRuntime: "#bbbbbb",
}

// flame builds the tree of all stacks.
func (s stacks) flame() *flame {
	root := &flame{name: "all", stage: serverRest}
	for stack, took := range s {
		at, end := root, 0
		at.took += took
		for name := range strings.SplitSeq(stack, ";") {
			end += len(name)
			next := at.calls[name]
			if next == nil {
				next = &flame{name: name, stage: stageOfStack(stack[:end])}
				if at.calls == nil {
					at.calls = map[string]*flame{}
				}
				at.calls[name] = next
			}
			next.took += took
			at = next
			end++ // the semicolon
		}
	}
	return root
}

// depth is how many bars stand on top of each other at most.
func (f *flame) depth() int {
	most := 0
	for _, call := range f.calls {
		most = max(most, call.depth())
	}
	return most + 1
}

// flames draws the stacks as a picture (SVG), coloured by stage. Whoever points
// at a bar reads its function and its part of the time.
func (s stacks) flames() []byte {
	root := s.flame()
	height := float64(root.depth())*barHeight + legendHeight + 2*flamesMargin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g" font-family="monospace" font-size="11">`+"\n",
		flamesWidth, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="#ffffff"/>`+"\n", flamesWidth, height)
	drawLegend(&b, s.shares())
	p := flamePicture{out: &b, total: root.took, scale: (flamesWidth - 2*flamesMargin) / max(1, float64(root.took))}
	p.draw(root, flamesMargin, height-flamesMargin-barHeight)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// drawLegend names the stages, the largest first.
func drawLegend(b *bytes.Buffer, shares map[stage]float64) {
	for i, st := range slices.SortedFunc(maps.Keys(shares), func(a, b stage) int { return cmp.Compare(shares[b], shares[a]) }) {
		x := flamesMargin + float64(i%legendLine)*legendStep
		y := flamesMargin + float64(i/legendLine)*barHeight
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="12" height="12" fill="%s"/>`, x, y, stageColours[st])
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s %.1f %%</text>`+"\n", x+18, y+10, st, 100*shares[st])
	}
}

// flamePicture is a picture that is being drawn.
type flamePicture struct {
	out   *bytes.Buffer
	total time.Duration
	scale float64 // pixels a nanosecond
}

// draw draws f with its lower left corner's bar at x, y, and what it calls on
// top.
func (p *flamePicture) draw(f *flame, x, y float64) {
	width := float64(f.took) * p.scale
	if width < barLeast {
		return
	}
	p.out.WriteString("<g><title>")
	_ = xml.EscapeText(p.out, []byte(f.name)) // a buffer takes everything
	fmt.Fprintf(p.out, ", %v, %.2f %%</title>", f.took, 100*float64(f.took)/float64(p.total))
	fmt.Fprintf(p.out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" stroke="#ffffff" stroke-width="0.5"/>`,
		x, y, width, barHeight-1, stageColours[f.stage])
	if letters := int(width / letterWidth); letters >= lettersLeast {
		fmt.Fprintf(p.out, `<text x="%.1f" y="%.1f">`, x+2, y+barHeight-5)
		_ = xml.EscapeText(p.out, []byte(shortened(f.name, letters)))
		p.out.WriteString("</text>")
	}
	p.out.WriteString("</g>\n")
	for _, name := range slices.Sorted(maps.Keys(f.calls)) {
		call := f.calls[name]
		p.draw(call, x, y-barHeight)
		x += float64(call.took) * p.scale
	}
}

// shortened is the end of a function's name, without the path of its package, in
// so many letters.
func shortened(name string, letters int) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	if len(name) <= letters {
		return name
	}
	return name[:letters-1] + "~"
}
