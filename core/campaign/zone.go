package campaign

import (
	"time"
	_ "time/tzdata" // for machines without zone files of their own

	"weir/core/event"
)

// Time returns t as a time in the campaign's zone.
func (d *Definition) Time(t event.Time) time.Time {
	return time.UnixMilli(int64(t)).In(d.Location)
}

// AppendTime writes t at the end of dst as RFC 3339 with the campaign's offset,
// in whole seconds, or in milliseconds where they are not zero. It allocates
// nothing where dst has 29 bytes of room.
//
// Every answer has several times in it, nearly always from the same stretch of
// constant offset. So the stretch is remembered and the digits are written by
// hand. In a loop that is hardly faster than time.AppendFormat.
func (d *Definition) AppendTime(dst []byte, t event.Time) []byte {
	s := d.offset.Load()
	if s == nil || t < s.from || t >= s.until {
		s = newOffsetStretch(d.Time(t))
		d.offset.Store(s)
	}
	wall := int64(t) + s.millis
	day := wall / dayMillis
	if wall < day*dayMillis {
		day-- // before 1970
	}
	rest := int(wall - day*dayMillis)
	dst = append(Date(day).Append(dst), 'T')
	dst = appendTwo(dst, rest/3_600_000)
	dst = appendTwo(append(dst, ':'), rest/60_000%60)
	dst = appendTwo(append(dst, ':'), rest/1000%60)
	if millis := rest % 1000; millis != 0 {
		dst = appendTwo(append(dst, '.', byte('0'+millis/100)), millis%100)
	}
	return append(dst, s.text...)
}

const dayMillis = daySeconds * 1000

// offsetStretch is a time in which the zone's clocks keep one offset.
type offsetStretch struct {
	from, until event.Time
	millis      int64  // east of UTC
	text        string // as RFC 3339 writes it
}

func newOffsetStretch(t time.Time) *offsetStretch {
	from, until, offset := stretch(t)
	return &offsetStretch{
		from: event.Time(from * 1000), until: event.Time(until * 1000), millis: offset * 1000,
		text: t.Format("Z07:00"),
	}
}

// localClock turns local times into instants. It remembers the stretch of
// constant offset that it saw last, since a campaign's times lie close together
// and clocks change twice a year. It belongs to one goroutine.
type localClock struct {
	location    *time.Location
	from, until int64 // wall seconds between which the offset is beyond doubt
	offset      int64 // seconds, there
}

// wall is a local date and time in seconds, as if it were UTC.
func wall(day Date, seconds int) int64 { return int64(day)*daySeconds + int64(seconds) }

// instant returns the moment at which the zone's clocks show w, and how many
// such moments there are: one as a rule, none where clocks are put forward
// over it, two where they are put back.
func (c *localClock) instant(w int64) (at event.Time, count int) {
	if w >= c.from && w < c.until {
		return event.Time((w - c.offset) * 1000), 1
	}
	// An offset is a good guess of itself within a day; the stretches before
	// and after it are the only others in which clocks could show w.
	guess := time.Unix(w, 0).In(c.location)
	_, offset := guess.Zone()
	guess = guess.Add(-time.Duration(offset) * time.Second)
	start, end := guess.ZoneBounds()
	stretches := []time.Time{guess}
	if !start.IsZero() {
		stretches = append(stretches, start.Add(-time.Nanosecond))
	}
	if !end.IsZero() {
		stretches = append(stretches, end)
	}
	for _, in := range stretches {
		from, until, offset := stretch(in)
		if u := w - offset; u >= from && u < until {
			at, count = event.Time(u*1000), count+1
			c.remember(from, until, offset)
		}
	}
	return at, count
}

// stretch returns the Unix seconds between which t's zone keeps its offset.
func stretch(t time.Time) (from, until, offset int64) {
	start, end := t.ZoneBounds()
	_, seconds := t.Zone()
	const always = 1 << 40
	from, until = -always, always
	if !start.IsZero() {
		from = start.Unix()
	}
	if !end.IsZero() {
		until = end.Unix()
	}
	return from, until, int64(seconds)
}

// remember keeps what lies more than two days from either end of a stretch: no
// zone ever moved its clocks by more than one.
func (c *localClock) remember(from, until, offset int64) {
	const margin = 2 * daySeconds
	c.from, c.until, c.offset = from+offset+margin, until+offset-margin, offset
}
