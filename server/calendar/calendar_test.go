package calendar

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	ics "github.com/arran4/golang-ical"
	"pgregory.net/rapid"

	"weir/core/campaign"
	"weir/core/event"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func testEvent() Event {
	return Event{
		Language:     Korean,
		Stamp:        1_626_692_403_214, // 2021-07-19T20:00:03.214+09:00
		Campaign:     "kr-2021-50s",
		CampaignName: campaign.Text{KO: "50대 코로나19 예방접종", EN: "COVID-19 vaccination for people in their 50s"},
		Code:         "7K2QF-93TMD",
		Made:         184_467,
		Last:         184_467,
		Starts:       1_629_073_800_000, // 2021-08-16T09:30+09:00
		Ends:         1_629_075_600_000,
		Product:      campaign.Text{KO: "모더나", EN: "Moderna"},
		Site:         "한빛의원; 본관, 2층",
		Address:      `서울특별시 중구 세종대로 110 (태평로1가), 서울특별시청 옆 백로빌딩 2층 예방접종실 \ 엘리베이터 이용`,
		Lat:          37.5665,
		Lon:          126.978,
	}
}

func TestGolden(t *testing.T) {
	for name, change := range map[string]func(*Event){
		"korean":  func(*Event) {},
		"english": func(e *Event) { e.Language = English },
		"changed": func(e *Event) { e.Last += 70; e.Starts += 3_600_000; e.Ends += 3_600_000 },
		"cancelled": func(e *Event) {
			e.Last += 99
			e.Cancelled = true
		},
		"cancelled_english": func(e *Event) { e.Last, e.Cancelled, e.Language = e.Last+99, true, English },
		"bare":              func(e *Event) { e.Product, e.Address, e.CampaignName.KO = campaign.Text{}, "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			e := testEvent()
			change(&e)
			got := Render(&e)
			path := filepath.Join("testdata", name+".ics")
			if *rewrite {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant (rewrite with -rewrite)\n%s", got, want)
			}
			checkLines(t, got)
		})
	}
}

// checkLines holds the text against the rules of the format for lines.
func checkLines(t interface {
	Helper()
	Errorf(string, ...any)
}, text []byte,
) {
	t.Helper()
	body, ended := strings.CutSuffix(string(text), "\r\n")
	if !ended {
		t.Errorf("the last line has no end: %q", text)
	}
	for i, line := range strings.Split(body, "\r\n") {
		if len(line) > 75 || line == "" || strings.ContainsAny(line, "\r\n") || !utf8.ValidString(line) {
			t.Errorf("line %d of %d bytes breaks the format: %q", i+1, len(line), line)
		}
	}
}

func unfold(text []byte) string { return strings.ReplaceAll(string(text), "\r\n ", "") }

// Whatever a campaign file says, the object keeps the format's lines, and
// whoever reads it gets the same texts back.
func TestAnyTextSurvives(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringOfN(rapid.RuneFrom([]rune("가나다힣 ,;:\\\"n\n<>🙂é-")), 0, 120, -1),
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		e := testEvent()
		e.Site = text.Draw(t, "site")
		e.Address = text.Draw(t, "address")
		e.CampaignName = campaign.Text{KO: text.Draw(t, "ko"), EN: text.Draw(t, "en")}
		e.Language = rapid.SampledFrom([]Language{Korean, English}).Draw(t, "language")
		e.Cancelled = rapid.Bool().Draw(t, "cancelled")
		made := Render(&e)
		checkLines(t, made)
		cal, err := ics.ParseCalendar(bytes.NewReader(made))
		if err != nil {
			t.Fatalf("%v in\n%s", err, made)
		}
		item := cal.Events()[0]
		if got, want := item.GetProperty(ics.ComponentPropertyLocation), clean(joined(", ", e.Site, e.Address)); got == nil || got.Value != want {
			t.Fatalf("the location came back as %+v, want %q", got, want)
		}
		if got, want := item.GetProperty(ics.ComponentPropertyDescription), clean(texts[e.Language].description(&e)); got.Value != want {
			t.Fatalf("the description came back as %q, want %q", got.Value, want)
		}
		if n := strings.Count(string(made), "\nBEGIN:VALARM"); (n == 1) == e.Cancelled {
			t.Fatalf("%d reminders, cancelled %v", n, e.Cancelled)
		}
	})
}

func TestNothingCanBePutBetweenTheLines(t *testing.T) {
	e := testEvent()
	e.Site = "곳\r\nATTENDEE:mailto:x@example.com\rX-A:1\x00\u0085X-B:2"
	for _, line := range strings.Split(unfold(Render(&e)), "\r\n") {
		if strings.HasPrefix(line, "ATTENDEE") || strings.HasPrefix(line, "X-") {
			t.Errorf("a line of its own: %q", line)
		}
	}
}

func TestSequenceRisesWithEveryChangeAndStaysInRange(t *testing.T) {
	for last, want := range map[event.Seq]string{
		184_467:         "SEQUENCE:0\r\n",
		184_468:         "SEQUENCE:1\r\n",
		184_467 + 1<<31: "SEQUENCE:2147483647\r\n",
	} {
		e := testEvent()
		e.Last = last
		if made := Render(&e); !bytes.Contains(made, []byte(want)) {
			t.Errorf("last changed by %d: no %q in\n%s", last, want, made)
		}
	}
}

func ExampleRender() {
	e := testEvent()
	e.Language = English
	for line := range strings.Lines(unfold(Render(&e))) {
		if strings.HasPrefix(line, "DTSTART") || strings.HasPrefix(line, "SUMMARY") {
			_, _ = os.Stdout.WriteString(strings.TrimRight(line, "\r\n") + "\n")
		}
	}
	// Output:
	// DTSTART:20210816T003000Z
	// SUMMARY:COVID-19 vaccination for people in their 50s (Moderna)
}
