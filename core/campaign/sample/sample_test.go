package sample

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/core/campaign"
	"weir/core/event"
)

func definition(t *testing.T) *campaign.Definition {
	t.Helper()
	d, err := Definition()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTotals(t *testing.T) {
	d := definition(t)
	if d.ID != "kr-2021-50s" || len(d.Sites) != 2500 || d.SlotCount() != 480_000 || d.Places() != 2_880_000 {
		t.Errorf("%s: %d sites, %d slots, %d places", d.ID, len(d.Sites), d.SlotCount(), d.Places())
	}
	if len(d.Warnings()) > 0 {
		t.Errorf("warnings: %q", d.Warnings())
	}
	if l := d.Line; !l.Enabled || l.OpensBefore != 30*time.Minute || l.Order != campaign.Draw {
		t.Errorf("line: %+v", l)
	}
	want := "2021-07-19T20:00:00+09:00 2021-07-20T18:00:00+09:00 [0]; 2021-07-20T20:00:00+09:00 2021-07-21T18:00:00+09:00 [1]; " +
		"2021-07-21T20:00:00+09:00 2021-07-24T18:00:00+09:00 [0 1]"
	if got := windows(d); got != want {
		t.Errorf("windows: got %s, want %s", got, want)
	}
	for s, want := range map[event.SlotID]string{0: "KR-11-001/2021-08-16/09:00/moderna", 191: "KR-11-001/2021-08-28/16:30/moderna"} {
		if got := string(d.AppendSlotID(nil, s)); got != want {
			t.Errorf("slot %d: got %s, want %s", s, got, want)
		}
	}
}

func windows(d *campaign.Definition) string {
	var parts []string
	for _, w := range d.Windows {
		parts = append(parts, fmt.Sprintf("%s %s %v", d.AppendTime(nil, w.Opens), d.AppendTime(nil, w.Closes), w.Cohorts))
	}
	return strings.Join(parts, "; ")
}

// TestSitesSayThatTheyAreSamples in both languages, and lie in the country.
func TestSitesSayThatTheyAreSamples(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range definition(t).Sites {
		if !strings.Contains(s.Name, "표본") || !strings.Contains(s.Name, "Sample") {
			t.Errorf("%s: %s", s.ID, s.Name)
		}
		if !strings.Contains(s.Address, "표본") || !strings.Contains(s.Address, "sample") {
			t.Errorf("%s: %s", s.ID, s.Address)
		}
		if s.Lat < 33 || s.Lat > 38.7 || s.Lon < 124.5 || s.Lon > 131 || !strings.HasPrefix(s.ID, s.Region+"-") || !strings.HasPrefix(s.Region, "KR-") {
			t.Errorf("%+v", s)
		}
		if seen[s.Name] {
			t.Errorf("two sites are called %s", s.Name)
		}
		seen[s.Name] = true
	}
}

func TestFilesKeepTheAttribution(t *testing.T) {
	for _, name := range []string{Name, "sites.csv"} {
		content, err := fs.ReadFile(Files(), name)
		if err != nil || !strings.Contains(string(content), "# Places: GeoNames (geonames.org), CC BY 4.0") {
			t.Errorf("%s does not name its source: %v", name, err)
		}
	}
}

// TestShifted moves the opening over every weekday and odd instants.
func TestShifted(t *testing.T) {
	original := definition(t)
	start := time.Date(2026, 11, 20, 14, 59, 58, 0, time.UTC)
	for i := range 10 {
		opens := start.Add(time.Duration(i) * (23*time.Hour + 7*time.Minute + 1234567*time.Microsecond))
		d, err := campaign.Parse(Name, Shifted(opens), Open)
		if err != nil {
			t.Fatalf("%v: %v", opens, err)
		}
		first := time.UnixMilli(int64(d.Windows[0].Opens))
		if early := first.Sub(opens); early < 0 || early >= time.Second || first.Nanosecond() != 0 {
			t.Errorf("asked for %v, opens at %v", opens, first)
		}
		by := d.Windows[0].Opens - original.Windows[0].Opens
		for j, w := range d.Windows {
			if w.Opens-by != original.Windows[j].Opens || w.Closes-by != original.Windows[j].Closes || !slices.Equal(w.Cohorts, []int{0, 1}) {
				t.Errorf("window %d: %+v", j, w)
			}
		}
		if d.SlotCount() != original.SlotCount() || d.Places() != original.Places() || len(d.Warnings()) > 0 {
			t.Errorf("%v: %d slots, %d places, %q", opens, d.SlotCount(), d.Places(), d.Warnings())
		}
		checkVisits(t, d, d.Time(d.Windows[0].Opens))
	}
}

// checkVisits: twelve days without Sundays, the first four weeks after the
// opening's date, or a day later where that is a Sunday.
func checkVisits(t *testing.T, d *campaign.Definition, opens time.Time) {
	t.Helper()
	days := map[string]bool{}
	_, end := d.SiteSlots(0)
	for s := range end {
		days[d.Slot(s).Date.String()] = true
	}
	if len(days) != 12 {
		t.Errorf("opens %v: visits on %d days", opens, len(days))
	}
	for day := opens.AddDate(0, 0, 28); len(days) > 0; day = day.AddDate(0, 0, 1) {
		if want := day.Weekday() != time.Sunday; days[day.Format(time.DateOnly)] != want {
			t.Errorf("opens %v: visits on %s is not %v; left: %v", opens, day.Format("Mon 2006-01-02"), want, days)
			return
		}
		delete(days, day.Format(time.DateOnly))
	}
}

// TestShiftedByNothing leaves all as it was but the cohorts.
func TestShiftedByNothing(t *testing.T) {
	d, err := campaign.Parse(Name, Shifted(time.Date(2021, 7, 19, 11, 0, 0, 0, time.UTC)), Open)
	if err != nil {
		t.Fatal(err)
	}
	if !d.SameSlots(definition(t)) {
		t.Error("other slots")
	}
}
