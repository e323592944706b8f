//go:build linux

package overload

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

const dashLength = 5

// pixels is a canvas of pixels, scale of them for each of the drawing's.
type pixels struct {
	image *image.RGBA
	scale float64
	font  *opentype.Font
}

func newPixels(width, height int, scale float64) (*pixels, error) {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("draw picture: %w", err)
	}
	p := &pixels{
		image: image.NewRGBA(image.Rect(0, 0, int(float64(width)*scale), int(float64(height)*scale))),
		scale: scale, font: parsed,
	}
	draw.Draw(p.image, p.image.Bounds(), image.White, image.Point{}, draw.Src)
	return p, nil
}

func (p *pixels) line(s stroke, points ...point) {
	begun := 0.0 // of the pattern of dashes
	for i := 1; i < len(points); i++ {
		if s.dashed {
			begun = p.dashes(s, points[i-1], points[i], begun)
			continue
		}
		p.segment(s, points[i-1], points[i])
		p.dot(s.colour, points[i], s.width/2) // joins it with the next
	}
}

// dashes draws a line whose pattern began a length before it, and returns how
// long before its end the pattern began anew.
func (p *pixels) dashes(s stroke, from, to point, begun float64) (begunAtEnd float64) {
	const pattern = 2 * dashLength
	length := math.Hypot(to.x-from.x, to.y-from.y)
	along := func(at float64) point {
		share := min(max(at/length, 0), 1)
		return point{from.x + share*(to.x-from.x), from.y + share*(to.y-from.y)}
	}
	at := -begun
	for ; at < length; at += pattern {
		p.segment(s, along(at), along(at+dashLength))
	}
	return length - (at - pattern)
}

// segment fills the rectangle that a straight line of the stroke's width is.
func (p *pixels) segment(s stroke, from, to point) {
	length := math.Hypot(to.x-from.x, to.y-from.y)
	if length == 0 {
		return
	}
	acrossX, acrossY := -(to.y-from.y)/length*s.width/2, (to.x-from.x)/length*s.width/2
	p.fill(s.colour, []point{
		{from.x + acrossX, from.y + acrossY},
		{to.x + acrossX, to.y + acrossY},
		{to.x - acrossX, to.y - acrossY},
		{from.x - acrossX, from.y - acrossY},
	})
}

// dot fills a polygon that nobody can tell from a circle at this size.
func (p *pixels) dot(c colour, at point, radius float64) {
	const corners = 24
	outline := make([]point, corners)
	for i := range outline {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		outline[i] = point{at.x + radius*cos, at.y + radius*sin}
	}
	p.fill(c, outline)
}

func (p *pixels) fill(c colour, outline []point) {
	size := p.image.Bounds().Size()
	r := vector.NewRasterizer(size.X, size.Y)
	for i, at := range outline {
		x, y := float32(at.x*p.scale), float32(at.y*p.scale)
		if i == 0 {
			r.MoveTo(x, y)
		} else {
			r.LineTo(x, y)
		}
	}
	r.ClosePath()
	r.Draw(p.image, p.image.Bounds(), image.NewUniform(c), image.Point{})
}

func (p *pixels) text(at point, from anchor, size float64, c colour, text string) {
	const pointsPerInch = 72 // so that a point of the font is a pixel
	face, err := opentype.NewFace(p.font, &opentype.FaceOptions{Size: size * p.scale, DPI: pointsPerInch, Hinting: font.HintingNone})
	if err != nil {
		return // the font is built in and the sizes are constants
	}
	defer func() { _ = face.Close() }()
	d := font.Drawer{Dst: p.image, Src: image.NewUniform(c), Face: face}
	x := fixed.Int26_6(at.x * p.scale * 64)
	switch width := d.MeasureString(text); from {
	case middle:
		x -= width / 2
	case right:
		x -= width
	}
	d.Dot = fixed.Point26_6{X: x, Y: fixed.Int26_6(at.y * p.scale * 64)}
	d.DrawString(text)
}

func (p *pixels) write(w io.Writer) error {
	if err := png.Encode(w, p.image); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}

// RGBA makes a colour one of package image.
func (c colour) RGBA() (r, g, b, a uint32) {
	return color.RGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: 0xff}.RGBA()
}
