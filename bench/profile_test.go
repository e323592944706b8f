//go:build linux

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// traces is as pprof writes it: a head, labels, functions that were made for
// types, and functions that were inlined.
const traces = `File: weir
Type: cpu
Duration: 8.11s, Total samples = 2130ms (26.26%)
-----------+-------------------------------------------------------
    1500ms   internal/runtime/syscall/linux.Syscall6
             syscall.RawSyscall
             weir/server/reactor.rawWrite (inline)
             weir/server/reactor.(*loop[go.shape.struct { weir/server.route int; weir/server.status int }]).send
             weir/server/reactor.(*loop[go.shape.struct { weir/server.route int; weir/server.status int }]).run
-----------+-------------------------------------------------------
     510ms   runtime.memmove
             weir/core.(*Engine).Do
             weir/server.(*exchange).book
-----------+-------------------------------------------------------
    pebble:  compact
      40ms   runtime.memmove
             github.com/cockroachdb/pebble/v2.(*DB).compact1
-----------+-------------------------------------------------------
      80ms   weir/server.(*exchange).book
-----------+-------------------------------------------------------
`

func TestTracesAreFolded(t *testing.T) {
	got, err := foldTraces([]byte(traces))
	if err != nil {
		t.Fatal(err)
	}
	const want = `github.com/cockroachdb/pebble/v2.(*DB).compact1;runtime.memmove 40
weir/server.(*exchange).book 80
weir/server.(*exchange).book;weir/core.(*Engine).Do;runtime.memmove 510
weir/server/reactor.(*loop).run;weir/server/reactor.(*loop).send;weir/server/reactor.rawWrite;syscall.RawSyscall;internal/runtime/syscall/linux.Syscall6 1500
`
	if text := string(got.folded()); text != want {
		t.Errorf("folded\n%s\nwant\n%s", text, want)
	}
	got.merge(got)
	if sum := got.total(); sum != 2*2130*time.Millisecond {
		t.Errorf("twice the profile is %v", sum)
	}
}

func TestNoTraces(t *testing.T) {
	for _, text := range []string{"", "no profile\n", tracesRule + "\n     a lot   main.main\n"} {
		if got, err := foldTraces([]byte(text)); !errors.Is(err, errTraces) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	empty, err := foldTraces([]byte(tracesRule + "\n"))
	if err != nil || len(empty) > 0 || len(empty.shares()) > 0 {
		t.Errorf("a profile without samples: %v, %v", empty, err)
	}
}

func TestStages(t *testing.T) {
	const loop = "weir/server/reactor.(*loop).run;github.com/valyala/fasthttp.(*Server).serveConnCounted;"
	const book = loop + "weir/server.(*exchange).serve;weir/server.(*exchange).book;"
	for stack, want := range map[string]stage{
		loop + "bufio.(*Reader).fill;weir/server/reactor.(*Lane).Read;syscall.RawSyscall":                 network,
		loop + "github.com/valyala/fasthttp.(*RequestHeader).parse;bytes.IndexByte":                       httpParse,
		loop + "weir/server/reactor.(*loop).take;weir/server/reactor.(*loop).admit;time.Now":              admitting,
		loop + "weir/server.(*exchange).authenticate;weir/server.(*Server).tooMany":                       admitting,
		loop + "weir/server.(*exchange).authenticate;weir/server/token.(*Ring).Open;crypto/aes.x":         identifying,
		book + "weir/server.(*exchange).wish;weir/server.decodeWish;unicode/utf8.Valid":                   decoding,
		book + "weir/server.(*exchange).decide;weir/core.(*Engine).Do;weir/core/people.(*Shard).Find":     engine,
		book + "weir/core.(*Engine).Do;weir/persist/wal.(*Log).Append;weir/core/event.Append":             journaling,
		book + "weir/server.(*encoder).time;weir/core/campaign.(*Definition).AppendTime":                  answering,
		book + "weir/server.(*tally).commanded":                                                           serverRest,
		"weir/persist/wal.(*Log).commitLoop;github.com/tidwall/wal.(*Log).Sync;syscall.Fsync;a":           syncing,
		"weir/persist/wal.(*Log).commitLoop;github.com/klauspost/compress/s2.Encode":                      journaling,
		"weir/server.(*Server).refresh;weir/server/availability.newSnapshot;weir/core/inventory.(*T).Row": background,
		"runtime.gcBgMarkWorker;runtime.gcDrain":                                                          goRuntime,
		"":                                                                                                goRuntime,
	} {
		if got := stageOfStack(stack); got != want {
			t.Errorf("%q is of stage %q, want %q", stack, got, want)
		}
		if stageColours[want] == "" {
			t.Errorf("stage %q has no colour", want)
		}
	}
}

func TestSharesAddUp(t *testing.T) {
	got, err := foldTraces([]byte(traces))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, share := range got.shares() {
		sum += share
	}
	if shares := got.shares(); math.Abs(sum-1) > 1e-9 || math.Abs(shares[network]-1500.0/2130) > 1e-9 {
		t.Errorf("shares %v, %v in all", shares, sum)
	}
}

// TestFlames reads the picture back: it is well formed, and has one bar for every
// function in the place where it was called.
func TestFlames(t *testing.T) {
	got, err := foldTraces([]byte(traces))
	if err != nil {
		t.Fatal(err)
	}
	picture := got.flames()
	decoder, titles := xml.NewDecoder(bytes.NewReader(picture)), 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, picture)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "title" {
			titles++
		}
	}
	const bars = 1 + 5 + 3 + 2 // all, the socket, the engine, the compaction
	if titles != bars || !strings.Contains(string(picture), "weir/core.(*Engine).Do, 510ms, 23.94 %") {
		t.Errorf("%d bars, want %d\n%s", titles, bars, picture)
	}
	if empty := (stacks{}).flames(); xml.Unmarshal(empty, new(struct{})) != nil {
		t.Errorf("without samples: %s", empty)
	}
}
