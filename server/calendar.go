package server

import (
	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/event"
	"weir/server/calendar"
)

// calendar answers with one booking as an iCalendar object, in the language of
// the one who asks.
func (x *exchange) calendar() error {
	seq, err := x.named()
	if err != nil {
		return err
	}
	p := x.own()
	b := findBooking(p.Bookings, seq)
	if b == nil {
		return faultNotFound
	}
	slot := x.rules.Slot(b.Slot)
	site := &x.rules.Sites[slot.Site]
	x.word = core.AppendCode(x.word[:0], b.Seq)
	e := calendar.Event{
		Language: calendar.English, Stamp: x.now,
		Campaign: x.rules.ID, CampaignName: x.rules.Name,
		Code: string(x.word), Made: b.Seq, Last: b.Last, Cancelled: b.State == core.Cancelled,
		Starts: slot.Starts, Ends: slot.Ends, Product: x.rules.Products[slot.Product].Name,
		Site: site.Name, Address: site.Address, Lat: site.Lat, Lon: site.Lon,
	}
	if x.s.language.match(x.fields.acceptLanguage) == korean {
		e.Language = calendar.Korean
	}
	h := &x.ctx.Response.Header
	h.SetContentType("text/calendar; charset=utf-8")
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	h.Set(fasthttp.HeaderContentDisposition, `attachment; filename="booking.ics"`)
	h.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptLanguage)
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	x.ctx.Response.SetBodyRaw(calendar.Render(&e))
	return nil
}

func findBooking(bookings []core.Booking, seq event.Seq) *core.Booking {
	for i := range bookings {
		if bookings[i].Seq == seq {
			return &bookings[i]
		}
	}
	return nil
}
