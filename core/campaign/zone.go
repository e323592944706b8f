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
func (d *Definition) AppendTime(dst []byte, t event.Time) []byte {
	layout := "2006-01-02T15:04:05Z07:00"
	if t%1000 != 0 {
		layout = "2006-01-02T15:04:05.000Z07:00"
	}
	return d.Time(t).AppendFormat(dst, layout)
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
