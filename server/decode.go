package server

import (
	"unicode/utf16"
	"unicode/utf8"
)

// wish is the body of a booking, a hold or a change: one JSON object with one
// string. Its bytes belong to the request or to the exchange's scratch.
type wish struct {
	slot, hold       []byte
	hasSlot, hasHold bool
}

// decodeWish reads body strictly: an object of the fields "slot" and, where
// holds says so, "hold", exactly one of them, once, a string, and nothing
// before or behind it but white space. No value that is not a string can be
// right, so the decoder knows objects and strings alone. Text that needs
// unescaping is appended to scratch, which is returned for the next time.
func decodeWish(body, scratch []byte, holds bool) (wish, []byte, error) {
	var w wish
	d := decoder{src: body, text: scratch[:0]}
	if !utf8.Valid(body) || !d.open() {
		return w, d.text, faultBody
	}
	for first := true; !d.closed(); first = false {
		if !first && !d.take(',') {
			return w, d.text, faultBody
		}
		key, ok := d.string()
		if !ok || !d.take(':') {
			return w, d.text, faultBody
		}
		value, ok := d.string()
		if !ok || !w.set(string(key), value, holds) {
			return w, d.text, faultBody
		}
	}
	if !d.ended() || w.hasSlot == w.hasHold {
		return w, d.text, faultBody
	}
	return w, d.text, nil
}

// set keeps one field, and refuses unknown and repeated ones.
func (w *wish) set(key string, value []byte, holds bool) bool {
	switch {
	case key == "slot" && !w.hasSlot:
		w.slot, w.hasSlot = value, true
	case key == "hold" && !w.hasHold && holds:
		w.hold, w.hasHold = value, true
	default:
		return false
	}
	return true
}

// decoder walks over one JSON text of valid UTF-8.
type decoder struct {
	src  []byte
	at   int
	text []byte // unescaped strings
}

func (d *decoder) space() {
	for d.at < len(d.src) {
		switch d.src[d.at] {
		case ' ', '\t', '\r', '\n':
			d.at++
		default:
			return
		}
	}
}

// take skips white space and one expected byte.
func (d *decoder) take(c byte) bool {
	d.space()
	if d.at < len(d.src) && d.src[d.at] == c {
		d.at++
		return true
	}
	return false
}

func (d *decoder) open() bool   { return d.take('{') }
func (d *decoder) closed() bool { return d.take('}') }

// ended tells whether nothing but white space is left.
func (d *decoder) ended() bool {
	d.space()
	return d.at == len(d.src)
}

// string reads one string. Without escapes the result is part of the source.
func (d *decoder) string() ([]byte, bool) {
	if !d.take('"') {
		return nil, false
	}
	from := d.at
	for ; d.at < len(d.src); d.at++ {
		switch c := d.src[d.at]; {
		case c == '"':
			d.at++
			return d.src[from : d.at-1], true
		case c == '\\':
			return d.escaped(from)
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escaped goes on with a string at its first escape.
func (d *decoder) escaped(from int) ([]byte, bool) {
	start := len(d.text)
	d.text = append(d.text, d.src[from:d.at]...)
	for d.at < len(d.src) {
		c := d.src[d.at]
		d.at++
		switch {
		case c == '"':
			return d.text[start:len(d.text):len(d.text)], true
		case c < ' ':
			return nil, false
		case c != '\\':
			d.text = append(d.text, c)
		case !d.escape():
			return nil, false
		}
	}
	return nil, false
}

// escape reads what follows a backslash.
func (d *decoder) escape() bool {
	if d.at == len(d.src) {
		return false
	}
	c := d.src[d.at]
	d.at++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return d.unicode()
	default:
		return false
	}
	d.text = append(d.text, c)
	return true
}

// unicode reads the digits of \uXXXX, and the second half of a surrogate pair.
// Half a pair is no character and is refused.
func (d *decoder) unicode() bool {
	r, ok := d.hex4()
	if !ok {
		return false
	}
	if utf16.IsSurrogate(r) {
		if d.at+2 > len(d.src) || d.src[d.at] != '\\' || d.src[d.at+1] != 'u' {
			return false
		}
		d.at += 2
		low, ok := d.hex4()
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return false
		}
	}
	d.text = utf8.AppendRune(d.text, r)
	return true
}

func (d *decoder) hex4() (r rune, ok bool) {
	if d.at+4 > len(d.src) {
		return 0, false
	}
	for range 4 {
		digit := unhex(d.src[d.at])
		if digit < 0 {
			return 0, false
		}
		r = r<<4 | rune(digit)
		d.at++
	}
	return r, true
}
