package campaign

import (
	"testing"
	"time"
)

func TestParseDateAgreesWithTheCalendar(t *testing.T) {
	day := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	previous := Date(0)
	for count := 0; day.Year() < 2200; count++ {
		text := day.Format(time.DateOnly)
		d, err := ParseDate(text)
		if err != nil || d.String() != text || int64(d)*86400 != day.Unix() || d.Weekday() != day.Weekday() {
			t.Fatalf("%s: got %d %v %v", text, d, d, err)
		}
		if count > 0 && d != previous+1 {
			t.Fatalf("%s: %d does not follow %d", text, d, previous)
		}
		previous = d
		day = day.AddDate(0, 0, 1)
	}
}

func TestParseDateRefuses(t *testing.T) {
	for _, text := range []string{
		"", "1967", "1967-01", "0000-01-01", "0000-07-19", "1899-12-31", "2200-01-01", "1967-00-01", "1967-13-01",
		"1967-01-00", "1967-01-32", "1967-02-29", "1900-02-29", "2021-04-31", " 1967-01-01", "1967-01-01 ", "1967- 1-01",
		"1967/01/01", "19670101", "1967-1-01", "+967-01-01", "-967-01-01", "1967-01-01T00:00", "１９６７-01-01", "1967-01-0a",
		"1967−01−01", "1967-01-01\x00",
	} {
		if d, err := ParseDate(text); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
}

func TestDateAppendAllocatesNothing(t *testing.T) {
	d, room := date(t, "2021-07-19"), make([]byte, 0, 10)
	if n := testing.AllocsPerRun(100, func() { room = d.Append(room[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseDate(f *testing.F) {
	for _, seed := range []string{"1967-01-01", "2000-02-29", "1900-02-29", "0000-12-31", "1967", "2021-07-19T20:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDate(text)
		if err != nil {
			return
		}
		if d.String() != text {
			t.Errorf("%q was read as %v", text, d)
		}
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			t.Errorf("%q is no day: %v", text, err)
		}
	})
}

// TestCivilAgreesWithTime goes through every day of 1600 to 2400.
func TestCivilAgreesWithTime(t *testing.T) {
	last := dateOf(2400, 12, 31)
	for d := dateOf(1600, 1, 1); d <= last; d++ {
		year, month, day := d.utc().Date()
		if y, m, dd := d.civil(); y != year || m != int(month) || dd != day {
			t.Fatalf("day %d is %d-%d-%d, not %d-%d-%d", d, year, month, day, y, m, dd)
		}
	}
}
