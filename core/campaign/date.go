package campaign

import (
	"fmt"
	"time"
)

// Date is a calendar day, in days since 1970-01-01, with no zone.
type Date int32

// The days that ParseDate reads.
const (
	yearFirst = 1900
	yearLast  = 2199
)

const (
	daySeconds  = 24 * 60 * 60
	hourMinutes = 60
	dayMinutes  = 24 * hourMinutes
)

// ParseDate reads a day written YYYY-MM-DD, from 1900-01-01 to 2199-12-31. A
// year alone, a year of 0000, spaces and days that no calendar has are errors:
// the birth date that decides who may book is never guessed.
func ParseDate(s string) (Date, error) {
	d, ok := parseDate(s)
	if !ok {
		return 0, fmt.Errorf("campaign: parse date %q: not a day of %d to %d as YYYY-MM-DD", clip(s), yearFirst, yearLast)
	}
	return d, nil
}

// parseDate is ParseDate for text of either kind, without allocation.
func parseDate[T string | []byte](s T) (Date, bool) {
	if len(s) != len("YYYY-MM-DD") || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	year, ok1 := digits(s[:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:])
	if !ok1 || !ok2 || !ok3 || year < yearFirst || year > yearLast {
		return 0, false
	}
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return dateOf(year, month, day), true
}

// digits reads a number of decimal digits and nothing else.
func digits[T string | []byte](s T) (n int, ok bool) {
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, len(s) > 0
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

func dateOf(year, month, day int) Date {
	return Date(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix() / daySeconds)
}

// utc is the midnight that begins d in UTC.
func (d Date) utc() time.Time { return time.Unix(int64(d)*daySeconds, 0).UTC() }

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday { return d.utc().Weekday() }

// String writes d as YYYY-MM-DD.
func (d Date) String() string { return string(d.Append(nil)) }

// civil returns the year, month and day of d in the Gregorian calendar. Years
// are counted from March here, so that the leap day comes last: then months of
// 30.6 days and years of 365.25, rounded down, fall where they should.
func (d Date) civil() (year, month, day int) {
	const (
		era      = 146097 // days of 400 years
		toMarch  = 719468 // days from 0000-03-01 to 1970-01-01
		fiveMons = 153    // days of five months from March or August
	)
	days := int(d) + toMarch
	eras := days / era
	if days < eras*era {
		eras-- // before the year 0
	}
	days -= eras * era
	years := (days - days/1460 + days/36524 - days/(era-1)) / 365
	days -= 365*years + years/4 - years/100
	fromMarch := (5*days + 2) / fiveMons
	day = days - (fiveMons*fromMarch+2)/5 + 1
	year = eras*400 + years
	if fromMarch >= 10 {
		return year + 1, fromMarch - 9, day
	}
	return year, fromMarch + 3, day
}

// Append writes d as YYYY-MM-DD at the end of dst. It allocates nothing where
// dst has ten bytes of room.
func (d Date) Append(dst []byte) []byte {
	year, month, day := d.civil()
	dst = append(dst, byte('0'+year/1000%10), byte('0'+year/100%10))
	dst = appendTwo(dst, year%100)
	dst = appendTwo(append(dst, '-'), month)
	return appendTwo(append(dst, '-'), day)
}

// appendTwo writes n, 0 to 99, as two digits.
func appendTwo(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// parseClock reads a time of day written HH:MM, from 00:00 to 24:00, in minutes.
func parseClock[T string | []byte](s T) (minutes int, ok bool) {
	if len(s) != len("HH:MM") || s[2] != ':' {
		return 0, false
	}
	hour, ok1 := digits(s[:2])
	minute, ok2 := digits(s[3:])
	minutes = hour*hourMinutes + minute
	if !ok1 || !ok2 || minute >= hourMinutes || minutes > dayMinutes {
		return 0, false
	}
	return minutes, true
}

// appendClock writes minutes as HH:MM.
func appendClock(dst []byte, minutes int) []byte {
	dst = appendTwo(dst, minutes/hourMinutes)
	return appendTwo(append(dst, ':'), minutes%hourMinutes)
}
