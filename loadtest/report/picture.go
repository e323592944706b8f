package report

import (
	"fmt"
	"html"
	"io"
	"strings"
)

const (
	pictureCharts = 3  // of those of the page: the first ones say most
	headRoom      = 34 // above each chart, for its title
)

const pictureStyle = `<style>
text { font: 11px system-ui, sans-serif; fill: #333; } .y { text-anchor: end; } .x { text-anchor: middle; } .unit { fill: #777; }
.title { font: 600 15px system-ui, sans-serif; } .grid { stroke: #ddd; stroke-width: 1; } rect.mark { fill: #b02020; opacity: .25; } text.mark { fill: #b02020; }
</style>`

// Picture writes the first charts of the page, one below the other, as one SVG
// that needs nothing else.
func (r *Report) Picture(to io.Writer) error {
	charts := r.charts()[:pictureCharts]
	var b strings.Builder
	total := float64(len(charts)) * (height + headRoom)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">%s<rect width="100%%" height="100%%" fill="#fff"/>`,
		width, total, html.EscapeString(r.Scenario+": "+r.About), pictureStyle)
	for i, c := range charts {
		top := float64(i) * (height + headRoom)
		fmt.Fprintf(&b, "\n"+`<text class="title" x="10" y="%g">%s</text>`, top+headRoom-12, html.EscapeString(c.Title))
		fmt.Fprintf(&b, "\n"+`<g transform="translate(0 %g)">%s</g>`, top+headRoom, c.draw())
	}
	b.WriteString("\n</svg>\n")
	if _, err := io.WriteString(to, b.String()); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}
