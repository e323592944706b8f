package campaign

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/core/event"
)

// spring parses the sound definition of testdata.
func spring(t testing.TB) *Definition {
	t.Helper()
	return parse(t, springFiles(t))
}

func parse(t testing.TB, content map[string]string) *Definition {
	t.Helper()
	d, err := Parse("campaign.yaml", []byte(content["campaign.yaml"]), opener(content))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// springWith parses the sound definition with one text of it replaced.
func springWith(t testing.TB, before, after string) *Definition {
	t.Helper()
	content := springFiles(t)
	if !strings.Contains(content["campaign.yaml"], before) {
		t.Fatalf("the definition has no %q", before)
	}
	content["campaign.yaml"] = strings.Replace(content["campaign.yaml"], before, after, 1)
	return parse(t, content)
}

// ms is the moment that RFC 3339 text names.
func ms(t testing.TB, text string) event.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return event.Time(at.UnixMilli())
}

func date(t testing.TB, text string) Date {
	t.Helper()
	d, err := ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseReadsEveryField(t *testing.T) {
	d := spring(t)
	got := fmt.Sprintf("%s %v %s\n%v\n%v\n%+v\n%v\n%+v\n%+v", d.ID, d.Name, d.TimeZone, d.Cohorts, d.Windows, d.Line, d.Products, d.Sites, d.Bookings)
	want := fmt.Sprintf("spring {봄 접종 Spring} Asia/Seoul\n%v\n%v\n%+v\n%v\n%+v\n%+v",
		[]Cohort{
			{"old", date(t, "1950-01-01"), date(t, "1959-12-31")},
			{"young", date(t, "1960-01-01"), date(t, "1969-12-31")},
		},
		[]Window{
			{[]int{0}, ms(t, "2021-03-01T20:00:00+09:00"), ms(t, "2021-03-02T18:00:00+09:00")},
			{[]int{0, 1}, ms(t, "2021-03-03T20:00:00+09:00"), ms(t, "2021-03-05T18:00:00+09:00")},
		},
		Line{Enabled: true, OpensBefore: 30 * time.Minute, Order: Draw},
		[]Product{{"red", Text{"빨강", "Red"}}, {"blue", Text{"Blue", "Blue"}}},
		[]Site{
			{"north", "북쪽 의원", "KR-11", "1, First street", 37.6, 127, 1},
			{"south", "South clinic", "KR-26", "", 35.1, 129.04, 0.5},
		},
		Bookings{Hold: 5 * time.Minute, CancelBefore: 24 * time.Hour, ChangeBefore: 12 * time.Hour, PerPerson: 2})
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if len(d.Warnings()) != 0 {
		t.Errorf("warnings: %q", d.Warnings())
	}
}

func TestParseDefaults(t *testing.T) {
	content := springFiles(t)
	lines := strings.SplitAfter(content["campaign.yaml"], "\n")
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, "line:") && !strings.HasPrefix(line, "bookings:") {
			kept = append(kept, line)
		}
	}
	content["campaign.yaml"] = strings.Join(kept, "")
	d := parse(t, content)
	if want := (Bookings{Hold: 5 * time.Minute, PerPerson: 1}); d.Bookings != want {
		t.Errorf("bookings: got %+v, want %+v", d.Bookings, want)
	}
	if d.Line.Enabled {
		t.Error("a line that the file does not name is on")
	}
}

// TestParseTakesFilesAsPeopleSaveThem: byte order marks, carriage returns,
// block style, comments and inline sites change nothing.
func TestParseTakesFilesAsPeopleSaveThem(t *testing.T) {
	plain := spring(t)
	marked := springFiles(t)
	for name, content := range marked {
		marked[name] = "\ufeff" + strings.ReplaceAll(content, "\n", "\r\n")
	}
	block := springFiles(t)
	block["campaign.yaml"] = strings.NewReplacer(
		"campaign: spring", "# spring\n---\ncampaign: spring # the id",
		"line: {enabled: true, opens_before: 30m, order: draw}", "line:\n  enabled: true\n  opens_before: 30m",
		"except: [wed]", "except: [2021-03-17]",
		"sites: [north], dates: [2021-03-15, 2021-03-16]", "sites: [north], dates: 2021-03-15..2021-03-16",
		"sites: {file: sites.csv}", `sites:
  - {id: north, name: 북쪽 의원, region: KR-11, address: "1, First street", lat: 37.6, lon: 127}
  - {id: south, name: South clinic, region: KR-26, address: "", lat: 35.1, lon: 129.04, capacity_factor: 0.5}`,
	).Replace(block["campaign.yaml"])
	for name, content := range map[string]map[string]string{"marked": marked, "block": block} {
		d := parse(t, content)
		if !d.SameSlots(plain) || d.Places() != plain.Places() {
			t.Errorf("%s: other slots", name)
		}
		if d.Line != plain.Line || fmt.Sprint(d.Sites) != fmt.Sprint(plain.Sites) || fmt.Sprint(d.Windows) != fmt.Sprint(plain.Windows) {
			t.Errorf("%s: %+v %v %v", name, d.Line, d.Sites, d.Windows)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	content := springFiles(t)
	content["sites.csv"] = "id,name,region,address,lat,lon\n" + strings.Repeat("a b,N,R,A,1,1\n", 60)
	_, err := Parse("campaign.yaml", []byte(content["campaign.yaml"]), opener(content))
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.List) != 50 || problems.Omitted != 10 {
		t.Fatalf("got %v", err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 51 || lines[0] != `sites.csv:2:1: site id "a b" is not well-formed` || lines[50] != "and 10 more" {
		t.Errorf("got %q", lines)
	}
}

func TestWarnings(t *testing.T) {
	content := springFiles(t)
	content["campaign.yaml"] = strings.NewReplacer(
		"windows:", "  - {id: unborn, born: 2020-01-01}\nwindows:",
		"sites: all", "sites: [north]", "[wed]", "[sun]", "2021-03-15..2021-03-20", "2021-03-01..2021-03-06",
	).Replace(content["campaign.yaml"])
	d := parse(t, content)
	want := []string{
		`campaign.yaml:7:10: no window is for cohort "unborn": nobody can book by it`,
		`campaign.yaml:17:5: its first slot begins before the first window opens: nobody can book it`,
		`campaign.yaml:17:62: except takes no day away`,
		`sites.csv:4:1: site "south" has no slots`,
	}
	if got := strings.Join(d.Warnings(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	if got := d.Decide(date(t, "2020-01-01"), ms(t, "2021-03-04T00:00:00+09:00")); got.Reason != NotInAnyCohort {
		t.Errorf("a cohort without a window gives %v", got)
	}
}

// TestParseIsBounded feeds what would take the library's stack, or minutes.
func TestParseIsBounded(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{strings.Repeat("[", 1<<19), "c.yaml:1:9: nested too deep"},
		{strings.Repeat("{a: ", 1<<17), "c.yaml:1:33: nested too deep"},
		{strings.Repeat("- ", 1<<18), "c.yaml:1:201: nested too deep"},
		{strings.Repeat("a: b\n", 10_001), "c.yaml:10001:2: the file has more than 10000 entries"},
		{strings.Repeat("- \n", 10_001), "c.yaml:10001:1: the file has more than 10000 entries"},
		{strings.Repeat("#", 1<<20+1), "c.yaml:1:1: the file has 1048577 bytes, 1048576 are the most"},
	} {
		if _, err := Parse("c.yaml", []byte(c.yaml), nil); err == nil || err.Error() != c.want {
			t.Errorf("%.10s…: got %v, want %s", c.yaml, err, c.want)
		}
	}
	content := springFiles(t)
	for name, sites := range map[string]string{
		"sites.csv has 33554433 bytes, 33554432 are the most": strings.Repeat("#", 32<<20+1),
		"there are more than 100000 sites": "id,name,region,address,lat,lon\n" + func() string {
			var rows strings.Builder
			for i := range sitesMax + 2 {
				fmt.Fprintf(&rows, "s%d,N,R,,1,1\n", i)
			}
			return rows.String()
		}(),
	} {
		content["sites.csv"] = sites
		if _, err := Parse("c.yaml", []byte(content["campaign.yaml"]), opener(content)); err == nil || !strings.HasSuffix(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
