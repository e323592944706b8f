//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weir/core/campaign"
	"weir/core/event"
)

const (
	campaignID   = "bench"
	lineID       = "bench-line"
	bornOn       = "1968-03-01"
	bornTooLate  = "2021-03-01" // for any campaign of the bench
	visitDays    = 12
	slotsPerDay  = 16
	slotsPerSite = visitDays * slotsPerDay
)

// plan is a campaign of the bench: everybody of a cohort may book, each site
// has the same slots as those of a large campaign would.
type plan struct {
	slots    int // at least
	capacity int // of each slot
	line     bool
}

func (p plan) id() string {
	if p.line {
		return lineID
	}
	return campaignID
}

func (p plan) sites() int { return (p.slots + slotsPerSite - 1) / slotsPerSite }

func (p plan) yaml() []byte {
	return fmt.Appendf(nil, `campaign: %[1]s
name: {ko: 성능 시험, en: Benchmark}
time_zone: Asia/Seoul
cohorts:
  - {id: everyone, born: 1900-01-01..2020-12-31}
windows:
  - {cohorts: [everyone], opens: 2021-07-19T20:00, closes: 2098-07-20T18:00}
line: {enabled: %[2]t}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites: {file: %[1]s.csv}
slots:
  - {sites: all, dates: 2099-08-17..2099-08-28, times: 09:00..17:00, every: 30m, capacity: %[3]d, product: moderna}
bookings: {hold: 5m, cancel_before: 24h, change_before: 24h}
`, p.id(), p.line, p.capacity)
}

func (p plan) csv() []byte {
	var b strings.Builder
	b.WriteString("id,name,region,address,lat,lon\n")
	for i := range p.sites() {
		fmt.Fprintf(&b, "s%05d,Site %d,KR-11,Street %d,37.5,127.0\n", i, i, i)
	}
	return []byte(b.String())
}

func (p plan) definition() (*campaign.Definition, error) {
	sites := p.csv()
	d, err := campaign.Parse("bench.yaml", p.yaml(), func(string) ([]byte, error) { return sites, nil })
	if err != nil {
		return nil, fmt.Errorf("make campaign: %w", err)
	}
	return d, nil
}

// save writes the files of the definition and returns the name of the first.
func (p plan) save(dir string) (name string, err error) {
	name = filepath.Join(dir, p.id()+".yaml")
	if err := os.WriteFile(name, p.yaml(), 0o644); err != nil {
		return "", fmt.Errorf("save campaign: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, p.id()+".csv"), p.csv(), 0o644); err != nil {
		return "", fmt.Errorf("save campaign: %w", err)
	}
	return name, nil
}

// scatter is a permutation of the 64-bit numbers that leaves no order in them
// (the finalizer of SplitMix64, public domain, Sebastiano Vigna).
func scatter(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// person is the nth person: another key for every n, spread as hashes are.
func person(n uint64) (key event.PersonKey) {
	for i, half := range [2]uint64{scatter(n), scatter(^n)} {
		for b := range 8 {
			key[8*i+b] = byte(half >> (8 * b))
		}
	}
	return key
}
