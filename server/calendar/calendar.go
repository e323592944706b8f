// Package calendar writes one booking as an iCalendar object (RFC 5545), which
// the calendars of phones and computers take in.
//
// A booking keeps its UID through every change, and SEQUENCE rises with each,
// so that a calendar that takes the object in again moves or strikes out its
// event and adds no second one.
//
// What it does not protect against: a calendar that took the object in once
// does not hear of later changes by itself. The object names the campaign, so
// whoever can read the calendar knows what the booking is for; it says nothing
// else of the person.
package calendar

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	ics "github.com/arran4/golang-ical"

	"weir/core/campaign"
	"weir/core/event"
)

// Language is the language of the texts.
type Language uint8

// The languages.
const (
	Korean Language = iota
	English
)

// Event is what the calendar is to know of a booking.
type Event struct {
	Language Language
	Stamp    event.Time // when the object is made

	Campaign     string        // id
	CampaignName campaign.Text //
	Code         string        // the booking's
	Made, Last   event.Seq     // the records that made and last changed the booking; Last >= Made
	Cancelled    bool

	Starts, Ends event.Time
	Product      campaign.Text
	Site         string // name
	Address      string
	Lat, Lon     float64 // degrees, WGS 84
}

const productID = "-//weir//booking//EN"

// alarmBefore is when the reminder comes, as an ISO 8601 duration.
const alarmBefore = "-P1D"

// Render returns the object as UTF-8, its lines folded at 75 bytes between
// characters and ended by CRLF. It is a pure function of e.
func Render(e *Event) []byte {
	words := &texts[min(e.Language, English)]
	cal := ics.NewCalendar()
	cal.SetProductId(productID)
	cal.SetCalscale("GREGORIAN")

	item := cal.AddEvent(e.Code + "." + clean(e.Campaign) + "@weir")
	item.SetDtStampTime(moment(e.Stamp))
	item.SetSequence(e.revision())
	item.SetStartAt(moment(e.Starts))
	item.SetEndAt(moment(e.Ends))
	item.SetSummary(clean(words.summary(e)))
	item.SetLocation(clean(joined(", ", e.Site, e.Address)))
	item.SetGeo(degrees(e.Lat), degrees(e.Lon))
	item.SetDescription(clean(words.description(e)))
	item.SetClass(ics.ClassificationPrivate)
	if e.Cancelled {
		item.SetStatus(ics.ObjectStatusCancelled)
		return []byte(cal.Serialize(ics.WithNewLineWindows))
	}
	item.SetStatus(ics.ObjectStatusConfirmed)
	alarm := item.AddAlarm()
	alarm.SetAction(ics.ActionDisplay)
	alarm.SetTrigger(alarmBefore)
	alarm.SetDescription(clean(words.summary(e)))
	return []byte(cal.Serialize(ics.WithNewLineWindows))
}

// revision is 0 for a booking that was never changed and rises with every
// change. The format ends at 31 bits.
func (e *Event) revision() int {
	return int(min(e.Last-e.Made, math.MaxInt32))
}

func moment(t event.Time) time.Time { return time.UnixMilli(int64(t)).UTC() }

// degrees writes an angle to a tenth of a metre, never with an exponent.
func degrees(angle float64) string { return strconv.FormatFloat(angle, 'f', 6, 64) }

// clean leaves out what a text of the format cannot carry: broken UTF-8, and
// control characters other than the line's end.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || !unicode.IsControl(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, text)
}

// joined puts between the parts that there are.
func joined(between string, parts ...string) string {
	var there []string
	for _, part := range parts {
		if part != "" {
			there = append(there, part)
		}
	}
	return strings.Join(there, between)
}
