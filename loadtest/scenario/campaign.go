package scenario

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir/core/campaign"
	"weir/core/campaign/sample"
)

// CampaignID is the campaign that a scenario's people book in.
const CampaignID = "opening"

// Who may book in the window that opens, and who comes all the same: their
// window opens a day later.
const (
	EligibleBorn = "1967-01-01..1968-12-31"
	OthersBorn   = "1969-01-01..1971-12-31"
)

const definition = `campaign: %s
name: {ko: 부하 시험, en: Load test}
time_zone: Asia/Seoul
cohorts:
  - {id: eligible, born: %s}
  - {id: others, born: %s}
windows:
  - {cohorts: [eligible], opens: %s, closes: %s}
  - {cohorts: [others], opens: %s, closes: %s}
line: {enabled: %v, opens_before: %s, order: %s}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites: {file: sites.csv}
slots:
  - {sites: all, dates: %s..%s, times: 09:00..17:00, every: 30m, capacity: %d, product: moderna}
bookings: {hold: %s, cancel_before: 24h, change_before: 24h}
`

// SlotsPerDay is how many slots a site has on a day.
const SlotsPerDay = 16

// Definition returns the files of the campaign that opens then: the definition
// and the sites that it names.
func (s *Scenario) Definition(opens time.Time) (yaml, sites []byte, err error) {
	seoul, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		return nil, nil, fmt.Errorf("make campaign: %w", err)
	}
	opens = opens.Truncate(time.Second).In(seoul)
	moment := func(after time.Duration) string { return opens.Add(after).Format("2006-01-02T15:04:05") }
	first := opens.AddDate(0, 0, 28)
	order := s.Campaign.Line.Order
	if order == "" {
		order = "arrival"
	}
	yaml = fmt.Appendf(nil, definition, CampaignID, EligibleBorn, OthersBorn,
		moment(0), moment(22*time.Hour), moment(24*time.Hour), moment(46*time.Hour),
		s.Campaign.Line.Enabled, s.Campaign.Line.OpensBefore.Of().Round(time.Second), order,
		first.Format(time.DateOnly), first.AddDate(0, 0, s.Campaign.Days-1).Format(time.DateOnly),
		s.Campaign.Capacity, s.Campaign.Hold.Of())
	sites, err = someSites(s.Campaign.Sites)
	return yaml, sites, err
}

// someSites are n of the sample's sites, from all over the country.
func someSites(n int) ([]byte, error) {
	all, err := sample.Open("sites.csv")
	if err != nil {
		return nil, fmt.Errorf("make campaign: %w", err)
	}
	var lines [][]byte
	for line := range bytes.Lines(all) {
		if !bytes.HasPrefix(line, []byte("#")) {
			lines = append(lines, line)
		}
	}
	header, lines := lines[0], lines[1:]
	some := bytes.Clone(header)
	for i := range n {
		some = append(some, lines[i*len(lines)/n]...)
	}
	return some, nil
}

// Write writes the campaign's files into dir and returns the definition's name
// and what it says.
func (s *Scenario) Write(dir string, opens time.Time) (name string, d *campaign.Definition, err error) {
	yaml, sites, err := s.Definition(opens)
	if err != nil {
		return "", nil, err
	}
	name = filepath.Join(dir, "campaign.yaml")
	for file, content := range map[string][]byte{name: yaml, filepath.Join(dir, "sites.csv"): sites} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return "", nil, fmt.Errorf("write campaign: %w", err)
		}
	}
	d, err = campaign.Parse(name, yaml, func(string) ([]byte, error) { return sites, nil })
	if err != nil {
		return "", nil, fmt.Errorf("make campaign: %w", err)
	}
	return name, d, nil
}
