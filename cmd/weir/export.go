package main

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"weir/core"
	"weir/core/event"
)

// exportedBooking is one line of `weir export bookings`. The person is the
// keyed hash that the log has: who that is only the issuer of identities and
// the holder of person.key can find out together.
type exportedBooking struct {
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

var exportHeader = []string{
	"campaign", "person", "code", "slot", "site", "starts_at", "state", "booked_at",
	"sequence", "booked_sequence", "cohort", "version",
}

func (b *exportedBooking) fields() []string {
	return []string{
		b.Campaign, b.Person, b.Code, b.Slot, b.Site, b.StartsAt, b.State, b.BookedAt,
		strconv.FormatUint(uint64(b.Sequence), 10), strconv.FormatUint(uint64(b.Booked), 10),
		b.Cohort, strconv.FormatUint(uint64(b.Version), 10),
	}
}

func exportBookingsCommand() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "bookings",
		Short: "Write out the bookings",
		Long: `Reads the data directory, changes nothing in it and writes a line for every
booking that stands and for the newest cancelled ones of each person, three at
most, in no particular order. Older cancelled ones are in the log alone: weir
wal dump prints them.

sequence is the record that changed the booking last, booked_sequence the one
that made it. With --out the file appears whole or not at all.`,
		Example: "  weir export bookings --data weir-data --format csv --out bookings.csv\n  weir export bookings --data weir-data --format ndjson | jq -c 'select(.state == \"booked\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "csv" && format != "ndjson" {
				return usagef("--format: %q is none of csv, ndjson", format)
			}
			return exportBookings(cmd, format, out)
		},
	}
	addSettingFlags(cmd, "data")
	cmd.Flags().StringVar(&format, "format", "ndjson", "`form`: csv or ndjson")
	cmd.Flags().StringVar(&out, "out", "", "`file` to write instead of standard output")
	return cmd
}

func exportBookings(cmd *cobra.Command, format, out string) error {
	c, _, err := loadConfig(cmd, environment())
	if err != nil {
		return err
	}
	state := core.New()
	if _, err := replayInto(cmd, c.data, state); err != nil {
		return err
	}
	write := func(w io.Writer) error { return writeBookings(w, format, state) }
	if out == "" {
		return write(cmd.OutOrStdout())
	}
	return writeAtomically(out, write)
}

func writeBookings(w io.Writer, format string, state *core.Engine) error {
	buffered := bufio.NewWriterSize(w, 1<<16)
	put, flush := ndjsonRows(buffered)
	if format == "csv" {
		put, flush = csvRows(buffered)
	}
	if err := eachBooking(state, put); err != nil {
		return fmt.Errorf("export bookings: %w", err)
	}
	if err := errors.Join(flush(), buffered.Flush()); err != nil {
		return fmt.Errorf("export bookings: %w", err)
	}
	return nil
}

func ndjsonRows(w io.Writer) (put func(*exportedBooking) error, flush func() error) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return func(b *exportedBooking) error { return encoder.Encode(b) }, func() error { return nil }
}

// csvRows writes the header at once: a table without a line still has one. Its
// errors stick, so the header's comes out of flush at the latest.
func csvRows(w io.Writer) (put func(*exportedBooking) error, flush func() error) {
	table := csv.NewWriter(w)
	header := table.Write(exportHeader)
	return func(b *exportedBooking) error { return table.Write(b.fields()) },
		func() error {
			table.Flush()
			return errors.Join(header, table.Error())
		}
}

// eachBooking hands every booking to put until put fails.
func eachBooking(state *core.Engine, put func(*exportedBooking) error) error {
	for _, c := range state.Campaigns() {
		d, _ := c.Definition()
		var failed error
		c.EachBooking(func(person event.PersonKey, b core.Booking) bool {
			slot := d.Slot(b.Slot)
			failed = put(&exportedBooking{
				Campaign: d.ID,
				Person:   hex.EncodeToString(person[:]),
				Code:     string(core.AppendCode(nil, b.Seq)),
				Slot:     string(d.AppendSlotID(nil, b.Slot)),
				Site:     d.Sites[slot.Site].ID,
				StartsAt: localTime(d, slot.Starts),
				State:    b.State.String(),
				BookedAt: localTime(d, b.BookedAt),
				Sequence: b.Last,
				Booked:   b.Seq,
				Cohort:   c.CohortID(b.Cohort),
				Version:  b.Version,
			})
			return failed == nil
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}
