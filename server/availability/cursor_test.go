package availability

import (
	"errors"
	"testing"

	"weir/core/campaign"
)

func TestCursorBelongsToItsQuery(t *testing.T) {
	p := New(newWorld(t, someSites(10), oneRule), 0)
	date, _ := campaign.ParseDate("2021-08-17")
	given := SitesQuery{Product: -1, Limit: 2, Near: true, Lat: 37, Lon: 127, RadiusKM: 1000, Date: date, HasDate: true, Region: "KR-11"}
	doc, err := p.Sites(noon, &given, Identity)
	if err != nil {
		t.Fatal(err)
	}
	given.Cursor = decode[sitesJSON](t, doc.Body).Next
	if given.Cursor == "" {
		t.Fatal("no next page")
	}
	same := given
	same.Limit = 1
	if _, err := p.Sites(noon, &same, Identity); err != nil {
		t.Errorf("with another limit: %v", err)
	}
	for name, change := range map[string]func(*SitesQuery){
		"region":    func(q *SitesQuery) { q.Region = "" },
		"near":      func(q *SitesQuery) { q.Near = false },
		"lat":       func(q *SitesQuery) { q.Lat++ },
		"lon":       func(q *SitesQuery) { q.Lon++ },
		"radius":    func(q *SitesQuery) { q.RadiusKM++ },
		"date":      func(q *SitesQuery) { q.Date++ },
		"no date":   func(q *SitesQuery) { q.HasDate = false },
		"product":   func(q *SitesQuery) { q.Product = 1 },
		"available": func(q *SitesQuery) { q.OnlyAvailable = true },
		"cut":       func(q *SitesQuery) { q.Cursor = q.Cursor[:len(q.Cursor)-1] },
		"longer":    func(q *SitesQuery) { q.Cursor += "A" },
		"changed":   func(q *SitesQuery) { q.Cursor = "B" + q.Cursor[1:] },
	} {
		q := given
		change(&q)
		if _, err := p.Sites(noon, &q, Identity); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	elsewhere := New(newWorld(t, someSites(1), oneRule), 0)
	if _, err := elsewhere.Sites(noon, &given, Identity); !errors.Is(err, ErrCursor) {
		t.Errorf("in a campaign without the site: %v", err)
	}
}

// FuzzCursor checks that a cursor is refused, or is the one that the site it
// names gets.
func FuzzCursor(f *testing.F) {
	w := newWorld(f, someSites(10), oneRule)
	p := New(w, 0)
	q := &SitesQuery{Product: -1, Limit: 3}
	p.Refresh(noon)
	s := p.current.Load()
	f.Add(string(s.appendCursor(nil, q, 0)))
	f.Add(string(s.appendCursor(nil, q, 9)))
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		asked := *q
		asked.Cursor = cursor
		site, ok := s.cursorSite(&asked)
		if ok && string(s.appendCursor(nil, q, site)) != cursor {
			t.Errorf("%q read as site %d", cursor, site)
		}
		_, err := p.Sites(noon, &asked, Identity)
		if want := !ok && cursor != ""; errors.Is(err, ErrCursor) != want {
			t.Errorf("%q: %v", cursor, err)
		}
	})
}
