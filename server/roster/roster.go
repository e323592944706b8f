// Package roster writes out who has booked what, as NDJSON or CSV: one line for
// every booking that stands and for the newest cancelled ones of each person,
// three at most, in no particular order. Older cancelled ones are in the log
// alone.
//
// A person is the keyed hash that the log has: who that is only the issuer of
// identities and the holder of the person key can find out together.
//
// What it does not protect against: while people book, the roster is no picture
// of one moment. Each line was true when it was read.
package roster

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"weir/core"
	"weir/core/event"
)

// Format is the form of a roster.
type Format string

// The formats.
const (
	NDJSON Format = "ndjson"
	CSV    Format = "csv"
)

// Row is one line.
type Row struct {
	Campaign string        `json:"campaign"`
	Person   string        `json:"person"` // hex
	Code     string        `json:"code"`
	Slot     string        `json:"slot"`
	Site     string        `json:"site"`
	StartsAt string        `json:"starts_at"`
	State    string        `json:"state"`
	BookedAt string        `json:"booked_at"`
	Sequence event.Seq     `json:"sequence"`        // of the record that changed it last, as everywhere
	Booked   event.Seq     `json:"booked_sequence"` // of the record that made it
	Cohort   string        `json:"cohort"`
	Version  event.Version `json:"version"` // of the definition that allowed it
}

// Header names the fields of a Row, as CSV has them.
var Header = []string{
	"campaign", "person", "code", "slot", "site", "starts_at", "state", "booked_at",
	"sequence", "booked_sequence", "cohort", "version",
}

// Fields are the fields of a line of CSV, in the order of Header.
func (r *Row) Fields() []string {
	return []string{
		r.Campaign, r.Person, r.Code, r.Slot, r.Site, r.StartsAt, r.State, r.BookedAt,
		strconv.FormatUint(uint64(r.Sequence), 10), strconv.FormatUint(uint64(r.Booked), 10),
		r.Cohort, strconv.FormatUint(uint64(r.Version), 10),
	}
}

// Write writes the bookings of the campaigns.
func Write(w io.Writer, format Format, campaigns ...*core.Campaign) error {
	buffered := bufio.NewWriterSize(w, 1<<16)
	put, flush := ndjsonRows(buffered)
	if format == CSV {
		put, flush = csvRows(buffered)
	}
	for _, c := range campaigns {
		if err := each(c, put); err != nil {
			return fmt.Errorf("write the roster: %w", err)
		}
	}
	if err := errors.Join(flush(), buffered.Flush()); err != nil {
		return fmt.Errorf("write the roster: %w", err)
	}
	return nil
}

func ndjsonRows(w io.Writer) (put func(*Row) error, flush func() error) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return func(r *Row) error { return encoder.Encode(r) }, func() error { return nil }
}

// csvRows writes the header at once: a table without a line still has one. Its
// errors stick, so the header's comes out of flush at the latest.
func csvRows(w io.Writer) (put func(*Row) error, flush func() error) {
	table := csv.NewWriter(w)
	first := table.Write(Header)
	return func(r *Row) error { return table.Write(r.Fields()) },
		func() error {
			table.Flush()
			return errors.Join(first, table.Error())
		}
}

// each hands every booking of a campaign to put until put fails.
func each(c *core.Campaign, put func(*Row) error) (failed error) {
	d, _ := c.Definition()
	c.EachBooking(func(person event.PersonKey, b core.Booking) bool {
		slot := d.Slot(b.Slot)
		failed = put(&Row{
			Campaign: d.ID,
			Person:   hex.EncodeToString(person[:]),
			Code:     string(core.AppendCode(nil, b.Seq)),
			Slot:     string(d.AppendSlotID(nil, b.Slot)),
			Site:     d.Sites[slot.Site].ID,
			StartsAt: string(d.AppendTime(nil, slot.Starts)),
			State:    b.State.String(),
			BookedAt: string(d.AppendTime(nil, b.BookedAt)),
			Sequence: b.Last,
			Booked:   b.Seq,
			Cohort:   c.CohortID(b.Cohort),
			Version:  b.Version,
		})
		return failed == nil
	})
	return failed
}
