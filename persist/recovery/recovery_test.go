package recovery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"weir/core"
	"weir/core/event"
	"weir/persist/recovery"
	"weir/persist/wal"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	if task := os.Getenv(taskVariable); task != "" {
		if err := runErrand(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// list is a state that keeps every record as it is handed over. No snapshots are
// restored into it.
type list struct {
	core.Engine
	records []event.Record
}

func (l *list) Apply(_ event.Seq, r *event.Record) error {
	l.records = append(l.records, *r)
	return nil
}

func (l *list) Settle() {}

// history is one record of every kind.
func history() []event.Record {
	person := event.PersonKey{1, 2, 3, 0xFF}
	at := event.Time(1626692400000)
	return []event.Record{
		{Kind: event.Defined, Version: 1, At: at, Definition: []byte("campaign: first")},
		{Kind: event.Joined, Version: 1, At: at + 1, Person: person, Number: 1, Cohort: 2},
		{Kind: event.Held, Version: 1, At: at + 2, Person: person, Slot: 7, From: event.NoSlot, Until: at + 300002, Cohort: 2},
		{Kind: event.Booked, Version: 1, At: at + 3, Person: person, Slot: 7, From: 7, Ref: 3, Request: 0xABCD, Cohort: 2},
		{Kind: event.Changed, Version: 1, At: at + 4, Person: person, Slot: 8, From: 7, Ref: 4},
		{Kind: event.Cancelled, Version: 1, At: at + 5, Person: person, Slot: 8, Ref: 4},
		{Kind: event.Held, Version: 1, At: at + 6, Person: person, Slot: 9, From: event.NoSlot, Until: at + 300006, Cohort: 2},
		{Kind: event.Released, Version: 1, At: at + 7, Person: person, Slot: 9, Ref: 7},
		{Kind: event.Expired, Version: 1, At: at + 8, Person: person, Slot: 9, Ref: 7},
		{Kind: event.Left, Version: 1, At: at + 9, Person: person, Number: 1},
		{Kind: event.Defined, Campaign: 1, Version: 1, At: at + 10, Definition: bytes.Repeat([]byte("second "), 1000)},
		{Kind: event.DrawOpened, Version: 1, At: at + 11, Draw: 1, Until: at + 20, Cohort: 2, Payload: bytes.Repeat([]byte{0xC0}, event.SecretSize)},
		{Kind: event.Entered, Version: 1, At: at + 12, Person: person, Draw: 1, Index: 1, Cohort: 2},
		{Kind: event.Left, Version: 1, At: at + 13, Person: person},
		{Kind: event.Drawn, Version: 1, At: at + 20, Draw: 1, Payload: bytes.Repeat([]byte{0x5E}, event.SecretSize)},
		{Kind: event.Served, Version: 1, At: at + 21, Number: 3000},
		{Kind: event.Paused, Version: 1, At: at + 22, Payload: []byte("서버를 \"늘립니다\"")},
		{Kind: event.Resumed, Version: 1, At: at + 23},
	}
}

// write makes a data directory that holds records.
func write(t *testing.T, records []event.Record) string {
	t.Helper()
	dir := t.TempDir()
	l, _, err := recovery.Open(context.Background(), dir, wal.Options{}, &list{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := l.Reserve(records[i].Size()); err != nil {
			t.Fatal(err)
		}
		if err := l.Wait(l.Append(&records[i])); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpenAndReplayAgree(t *testing.T) {
	records := history()
	dir := write(t, records)
	var opened, replayed list
	report, err := recovery.Replay(context.Background(), dir, &replayed, nil)
	if err != nil || report.Records != uint64(len(records)) {
		t.Fatalf("%+v, %v", report, err)
	}
	l, report, err := recovery.Open(context.Background(), dir, wal.Options{}, &opened, nil)
	if err != nil || report.LastSeq != event.Seq(len(records)) {
		t.Fatalf("%+v, %v", report, err)
	}
	if _, err := recovery.Replay(context.Background(), dir, &list{}, nil); !errors.Is(err, wal.ErrLocked) {
		t.Errorf("replay beside a server: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		for name, got := range map[string][]event.Record{"open": opened.records, "replay": replayed.records} {
			// Definitions are kept without a copy: they must not change behind
			// the state's back when the next envelope is read.
			if !bytes.Equal(got[i].Definition, records[i].Definition) || !bytes.Equal(got[i].Payload, records[i].Payload) || got[i].Person != records[i].Person || got[i].Kind != records[i].Kind {
				t.Errorf("%s: record %d is %+v, want %+v", name, i+1, got[i], records[i])
			}
		}
	}
}

type refusing struct {
	core.Engine
	at event.Seq
}

var errRefused = errors.New("refused")

func (s *refusing) Apply(seq event.Seq, _ *event.Record) error {
	if seq == s.at {
		return errRefused
	}
	return nil
}

func TestARefusedRecordEndsRecovery(t *testing.T) {
	dir := write(t, history())
	if _, _, err := recovery.Open(context.Background(), dir, wal.Options{}, &refusing{at: 4}, nil); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "record 4") {
		t.Errorf("open: %v", err)
	}
	if _, err := recovery.Replay(context.Background(), dir, &refusing{at: 5}, nil); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "record 5") {
		t.Errorf("replay: %v", err)
	}
}

func TestDumpGolden(t *testing.T) {
	dir := write(t, history())
	for name, format := range map[string]recovery.Format{"json": recovery.JSON, "text": recovery.Text} {
		parsed, err := recovery.ParseFormat(name)
		if err != nil || parsed != format {
			t.Fatalf("format %s: %v, %v", name, parsed, err)
		}
		var out bytes.Buffer
		if _, err := recovery.Dump(&out, dir, format, 0, 0); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "dump."+name)
		if *rewrite {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(golden) {
			t.Errorf("%s:\n%s\nwant\n%s", name, &out, golden)
		}
	}
	if _, err := recovery.ParseFormat("xml"); err == nil {
		t.Error("format xml is accepted")
	}
}

func TestDumpRange(t *testing.T) {
	dir := write(t, history())
	var out bytes.Buffer
	if _, err := recovery.Dump(&out, dir, recovery.JSON, 3, 5); err != nil {
		t.Fatal(err)
	}
	var got []float64
	for line := range strings.Lines(out.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, record["seq"].(float64))
	}
	if len(got) != 3 || got[0] != 3 || got[2] != 5 {
		t.Errorf("records 3 to 5 gave %v", got)
	}
}
