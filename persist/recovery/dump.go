package recovery

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"weir/core/event"
	"weir/persist/wal"
)

// Format is how Dump writes a record.
type Format uint8

// The formats: one JSON object a line, or words for people.
const (
	JSON Format = iota
	Text
)

// ParseFormat reads "json" or "text".
func ParseFormat(name string) (Format, error) {
	switch name {
	case "json":
		return JSON, nil
	case "text":
		return Text, nil
	}
	return JSON, fmt.Errorf("unknown format %q: json or text", name)
}

// errEnough ends a dump that has reached its last record.
var errEnough = errors.New("enough")

// Dump writes the records from to to, both included, of the log of dir to w, a
// line each; a to of 0 stands for the end. Persons appear as the hex of their
// keys, definitions by size and digest. It changes nothing, refuses while a
// server has the directory open, and verifies only as far as it reads.
func Dump(w io.Writer, dir string, format Format, from, to event.Seq) (wal.Report, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	report, err := wal.Scan(dir, wal.ScanOptions{Base: whole}, func(seq event.Seq, r *event.Record) error {
		if seq < from {
			return nil
		}
		if to != 0 && seq > to {
			return errEnough
		}
		line = appendLine(line[:0], format, seq, r)
		_, err := out.Write(line)
		return err
	}, nil)
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return report, fmt.Errorf("dump: %w", err)
	}
	return report, nil
}

// line builds one line of either format, field by field.
type line struct {
	format Format
	b      []byte
}

func appendLine(dst []byte, format Format, seq event.Seq, r *event.Record) []byte {
	l := line{format, dst}
	l.begin(seq, r)
	if r.Kind.OfPerson() {
		l.ofPerson(r)
	} else {
		l.ofCampaign(r)
	}
	return l.end()
}

func (l *line) ofCampaign(r *event.Record) {
	switch r.Kind {
	case event.Defined:
		sum := sha256.Sum256(r.Definition)
		l.number("definition_bytes", uint64(len(r.Definition)))
		l.word("definition_sha256", hex.EncodeToString(sum[:]))
	case event.DrawOpened:
		l.number("draw", uint64(r.Draw))
		l.word("opens", moment(r.Until))
		l.word("commitment", hex.EncodeToString(r.Payload))
		l.number("cohort", uint64(r.Cohort))
	case event.Drawn:
		l.number("draw", uint64(r.Draw))
		l.word("seed", hex.EncodeToString(r.Payload))
	case event.Served:
		l.number("number", uint64(r.Number))
	case event.Paused:
		l.text("reason", string(r.Payload))
	}
}

func (l *line) ofPerson(r *event.Record) {
	l.word("person", hex.EncodeToString(r.Person[:]))
	switch r.Kind {
	case event.Joined:
		l.number("number", uint64(r.Number))
	case event.Left:
		if r.Number != 0 {
			l.number("number", uint64(r.Number))
		}
	case event.Entered:
		l.number("draw", uint64(r.Draw))
		l.number("index", uint64(r.Index))
	default:
		l.number("slot", uint64(r.Slot))
	}
	switch r.Kind {
	case event.Held, event.Booked, event.Changed:
		if r.From != event.NoSlot {
			l.number("from", uint64(r.From))
		}
	}
	if r.Ref != 0 {
		l.number("ref", uint64(r.Ref))
	}
	switch r.Kind {
	case event.Held:
		l.word("until", moment(r.Until))
	case event.Booked:
		if r.Request != 0 {
			l.word("request", fmt.Sprintf("%016x", r.Request))
		}
	}
	switch r.Kind {
	case event.Joined, event.Entered, event.Held, event.Booked:
		l.number("cohort", uint64(r.Cohort))
	}
}

func (l *line) begin(seq event.Seq, r *event.Record) {
	if l.format == JSON {
		l.b = append(l.b, '{')
	}
	l.number("seq", uint64(seq))
	l.word("at", moment(r.At))
	l.word("kind", r.Kind.String())
	l.number("campaign", uint64(r.Campaign))
	l.number("version", uint64(r.Version))
}

func (l *line) end() []byte {
	if l.format == JSON {
		l.b = append(l.b, '}')
	}
	return append(l.b, '\n')
}

func (l *line) name(name string) {
	if n := len(l.b); n > 0 && l.b[n-1] != '{' {
		l.b = append(l.b, map[Format]byte{JSON: ',', Text: ' '}[l.format])
	}
	if l.format == JSON {
		l.b = strconv.AppendQuote(l.b, name)
		l.b = append(l.b, ':')
		return
	}
	l.b = append(append(l.b, name...), '=')
}

func (l *line) number(name string, v uint64) {
	l.name(name)
	l.b = strconv.AppendUint(l.b, v, 10)
}

// word writes a value that needs no escaping.
func (l *line) word(name, v string) {
	l.name(name)
	if l.format == JSON {
		l.b = append(append(append(l.b, '"'), v...), '"')
		return
	}
	l.b = append(l.b, v...)
}

// text writes a value that people wrote.
func (l *line) text(name, v string) {
	l.name(name)
	quoted, _ := json.Marshal(v) // of a string, which never fails
	l.b = append(l.b, quoted...)
}

// moment writes a time to the millisecond, in UTC.
func moment(t event.Time) string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
