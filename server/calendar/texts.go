package calendar

import "weir/core/campaign"

// words are the texts of one language.
type words struct {
	language  Language
	cancelled string // before the summary
	code      string // these four before a value
	site      string
	address   string
	product   string
	note      string // at the end, where the booking stands
	noteGone  string // where it is cancelled
}

var texts = [...]words{
	Korean: {
		language:  Korean,
		cancelled: "[예약 취소] ",
		code:      "예약번호: ",
		site:      "장소: ",
		address:   "주소: ",
		product:   "종류: ",
		note:      "예약을 바꾸거나 취소하시려면 예약하신 곳에서 예약번호로 찾아 주세요.",
		noteGone:  "취소된 예약입니다.",
	},
	English: {
		language:  English,
		cancelled: "[Cancelled] ",
		code:      "Booking code: ",
		site:      "Place: ",
		address:   "Address: ",
		product:   "Kind: ",
		note:      "To change or cancel, look your booking up by its code where you made it.",
		noteGone:  "This booking was cancelled.",
	},
}

// in picks the text of the language, and the other where it is missing.
func (w *words) in(t campaign.Text) string {
	first, second := t.KO, t.EN
	if w.language == English {
		first, second = second, first
	}
	if first == "" {
		return second
	}
	return first
}

func (w *words) summary(e *Event) string {
	text := w.in(e.CampaignName)
	if product := w.in(e.Product); product != "" {
		text += " (" + product + ")"
	}
	if e.Cancelled {
		return w.cancelled + text
	}
	return text
}

func (w *words) description(e *Event) string {
	note := w.note
	if e.Cancelled {
		note = w.noteGone
	}
	return joined("\n",
		labelled(w.code, e.Code), labelled(w.site, e.Site), labelled(w.address, e.Address),
		labelled(w.product, w.in(e.Product)), note)
}

func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + value
}
