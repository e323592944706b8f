// Package sample is the campaign of July 2021 as data: the definition of the
// COVID-19 vaccination for people in their fifties, with 2,500 invented sites
// and 2,880,000 places. It is what the demo shows and what the tests and the
// load test book against.
//
// Nothing of it is a real site; the places behind the sites are from GeoNames
// (geonames.org), CC BY 4.0. It does not protect against being taken for real:
// every site says that it is a sample.
package sample

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"sync"
	"time"

	"weir/core/campaign"
)

//go:generate go run ./gen kr-places.csv sites.csv

// Name is the name of the definition's file in Files.
const Name = "kr-2021-50s.yaml"

//go:embed kr-2021-50s.yaml sites.csv
var files embed.FS

// Files returns the definition and the file of sites that it names.
func Files() fs.FS { return files }

// Open returns the content of one of the files. It serves campaign.Parse.
func Open(name string) ([]byte, error) { return files.ReadFile(name) }

var parsed = sync.OnceValues(func() (*campaign.Definition, error) {
	source, err := files.ReadFile(Name)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	return campaign.Parse(Name, source, Open)
})

// Definition returns the campaign as it was. It is read once; all callers share
// the result.
func Definition() (*campaign.Definition, error) { return parsed() }

// What Shifted replaces in the file.
var (
	momentPattern  = regexp.MustCompile(`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}`)
	visitsPattern  = regexp.MustCompile(`dates: \d{4}-\d{2}-\d{2}\.\.\d{4}-\d{2}-\d{2}`)
	cohortsPattern = regexp.MustCompile(`(?m)^  - \{cohorts: \[[^]]*\]`)
)

// The campaign as it was, which the file says and a test holds it to.
const (
	visitDays   = 12                   // Sundays apart
	everyCohort = "y1967-68, y1969-71" // as the file names them
)

var (
	seoul       = time.FixedZone("KST", 9*60*60) // no summer time since 1988
	firstOpened = time.Date(2021, 7, 19, 20, 0, 0, 0, seoul)
	firstVisit  = time.Date(2021, 8, 16, 0, 0, 0, 0, seoul)
)

// Shifted returns the definition moved so that its first window opens at the
// given instant, rounded up to a whole second. The other windows move by as
// much, the visits by as many days as the first opening's date: still twelve of
// them, still without Sundays. Every window is for every cohort, so that nobody
// of the campaign has to wait for theirs. Parse it with Open.
func Shifted(opens time.Time) (yaml []byte) {
	if whole := opens.Truncate(time.Second); whole.Before(opens) {
		opens = whole.Add(time.Second)
	}
	opens = opens.In(seoul)
	by := opens.Sub(firstOpened)
	source, err := files.ReadFile(Name)
	if err != nil {
		panic("sample: " + err.Error()) // it is embedded
	}
	text := momentPattern.ReplaceAllStringFunc(string(source), func(moment string) string {
		t, err := time.ParseInLocation("2006-01-02T15:04", moment, seoul)
		if err != nil {
			return moment
		}
		return t.Add(by).Format("2006-01-02T15:04:05")
	})
	first, last := visits(opens)
	text = visitsPattern.ReplaceAllString(text, "dates: "+first.Format(time.DateOnly)+".."+last.Format(time.DateOnly))
	text = cohortsPattern.ReplaceAllString(text, "  - {cohorts: ["+everyCohort+"]")
	note := "# Moved: the first window opens at " + opens.Format(time.RFC3339) + ", every window is for every cohort.\n#\n"
	return []byte(note + text)
}

// visits returns the first and the last day of the visits of a campaign that
// opens then.
func visits(opens time.Time) (first, last time.Time) {
	midnight := time.Date(opens.Year(), opens.Month(), opens.Day(), 0, 0, 0, 0, seoul)
	before := time.Date(firstOpened.Year(), firstOpened.Month(), firstOpened.Day(), 0, 0, 0, 0, seoul)
	day := midnight.Add(firstVisit.Sub(before))
	for open := 0; open < visitDays; day = day.AddDate(0, 0, 1) {
		if day.Weekday() == time.Sunday {
			continue
		}
		if open == 0 {
			first = day
		}
		last = day
		open++
	}
	return first, last
}
