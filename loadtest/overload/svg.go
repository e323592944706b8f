//go:build linux

package overload

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
)

// svg is a canvas that writes down what is drawn.
type svg struct {
	body bytes.Buffer
}

func newSVG(width, height int) *svg {
	s := &svg{}
	fmt.Fprintf(&s.body, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif">`+"\n", width, height)
	fmt.Fprintf(&s.body, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	return s
}

func (s *svg) line(style stroke, points ...point) {
	s.body.WriteString(`<polyline points="`)
	for _, p := range points {
		fmt.Fprintf(&s.body, "%.1f,%.1f ", p.x, p.y)
	}
	dashes := ""
	if style.dashed {
		dashes = fmt.Sprintf(` stroke-dasharray="%d %d"`, dashLength, dashLength)
	}
	fmt.Fprintf(&s.body, `" fill="none" stroke="#%06x" stroke-width="%.1f"%s/>`+"\n", style.colour, style.width, dashes)
}

func (s *svg) dot(c colour, at point, radius float64) {
	fmt.Fprintf(&s.body, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="#%06x"/>`+"\n", at.x, at.y, radius, c)
}

func (s *svg) text(at point, from anchor, size float64, c colour, text string) {
	names := [...]string{left: "start", middle: "middle", right: "end"}
	fmt.Fprintf(&s.body, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%.0f" fill="#%06x">`, at.x, at.y, names[from], size, c)
	_ = xml.EscapeText(&s.body, []byte(text)) // a buffer takes everything
	s.body.WriteString("</text>\n")
}

func (s *svg) write(w io.Writer) error {
	s.body.WriteString("</svg>\n")
	if _, err := s.body.WriteTo(w); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}
