package campaign

import (
	"testing"
	"time"
)

// TestLocalClockAgreesWithASearch compares with the obvious way: ask the zone
// at every quarter of an hour around which local time it shows.
func TestLocalClockAgreesWithASearch(t *testing.T) {
	for _, c := range []struct{ zone, from, to string }{
		{"America/New_York", "2021-03-12", "2021-03-16"},
		{"America/New_York", "2021-11-05", "2021-11-09"},
		{"Europe/Berlin", "2021-03-26", "2021-03-30"},
		{"Europe/Berlin", "2021-10-29", "2021-11-02"},
		{"Asia/Seoul", "1988-05-06", "1988-05-10"},
		{"Asia/Seoul", "1988-10-07", "1988-10-11"},
		{"Asia/Seoul", "2021-07-18", "2021-07-22"},
		{"Australia/Lord_Howe", "2021-04-02", "2021-04-06"},
		{"Pacific/Apia", "2011-12-28", "2012-01-02"},
		{"UTC", "2021-07-18", "2021-07-20"},
	} {
		location, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		shown := map[int64][]int64{} // wall seconds to the moments that show them
		from, to := wall(date(t, c.from), 0), wall(date(t, c.to), 0)
		for u := from - 2*daySeconds; u < to+2*daySeconds; u += 900 {
			_, offset := time.Unix(u, 0).In(location).Zone()
			shown[u+int64(offset)] = append(shown[u+int64(offset)], u)
		}
		clock := localClock{location: location}
		for w := from; w < to; w += 900 {
			at, count := clock.instant(w)
			if count != len(shown[w]) {
				t.Errorf("%s: %s is shown %d times, got %d", c.zone, time.Unix(w, 0).UTC(), len(shown[w]), count)
			} else if count == 1 && int64(at) != shown[w][0]*1000 {
				t.Errorf("%s: %s is %d, got %d", c.zone, time.Unix(w, 0).UTC(), shown[w][0], at)
			}
		}
	}
}

func TestAppendTime(t *testing.T) {
	seoul := spring(t)
	utc := springWith(t, "Asia/Seoul", "UTC")
	summer := springWith(t, "Asia/Seoul", "America/New_York")
	for _, c := range []struct {
		d        *Definition
		at, want string
	}{
		{seoul, "2021-07-19T11:00:00Z", "2021-07-19T20:00:00+09:00"},
		{seoul, "2021-07-19T11:00:00.007Z", "2021-07-19T20:00:00.007+09:00"},
		{seoul, "1988-07-19T11:00:00Z", "1988-07-19T21:00:00+10:00"},
		{utc, "2021-07-19T10:59:59.999Z", "2021-07-19T10:59:59.999Z"},
		{summer, "2021-11-07T05:59:59Z", "2021-11-07T01:59:59-04:00"},
		{summer, "2021-11-07T06:00:00Z", "2021-11-07T01:00:00-05:00"},
	} {
		if got := string(c.d.AppendTime(nil, ms(t, c.at))); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	room, at := make([]byte, 0, 29), ms(t, "2021-07-19T11:00:00.007Z")
	if n := testing.AllocsPerRun(100, func() { room = seoul.AppendTime(room[:0], at) }); n != 0 || len(room) != 29 {
		t.Errorf("%v allocations for %s", n, room)
	}
}
