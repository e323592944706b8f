package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCampaignCheckSound(t *testing.T) {
	weir(t, "campaign", "check", "sample:kr-2021-50s").want(t, exitDone,
		"2021-07-19T20:00:00+09:00 to 2021-07-20T18:00:00+09:00 (UTC 2021-07-19T11:00:00Z to 2021-07-20T09:00:00Z): y1967-68",
		"2880000 in 480000 slots at 2500 sites", "sound")
	a := weir(t, "campaign", "check", "--json", "testdata/campaign/small.yaml").want(t, exitDone)
	var report checkReport
	if err := json.Unmarshal([]byte(a.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if !report.OK || report.Campaign.Sites != 2 || report.Campaign.Slots != 16 || report.Campaign.Places != 32 {
		t.Errorf("%s", a.stdout)
	}
}

// TestCampaignCheckWrong: every problem at once, with its place and remedy.
func TestCampaignCheckWrong(t *testing.T) {
	a := weir(t, "campaign", "check", "testdata/campaign/wrong.yaml").want(t, exitWrong,
		"testdata/campaign/wrong.yaml:7:", "testdata/campaign/wrong.yaml:13:", "everyone", "\n    ")
	if strings.Count(a.stdout, "wrong.yaml:") < 3 {
		t.Errorf("not every problem is there:\n%s", a.stdout)
	}
	a = weir(t, "campaign", "check", "--json", "testdata/campaign/wrong.yaml").want(t, exitWrong)
	var report checkReport
	if err := json.Unmarshal([]byte(a.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.OK || len(report.Problems) < 3 || report.Problems[0].Line == 0 || report.Problems[0].Remedy == "" {
		t.Errorf("%s", a.stdout)
	}
	weir(t, "campaign", "check", "testdata/campaign/not-there.yaml").want(t, exitWrong, "not-there.yaml", "no such file")
}

// TestCampaignSimulate holds the table against the opening of July 2021.
func TestCampaignSimulate(t *testing.T) {
	a := weir(t, "campaign", "simulate", "--json", "sample:kr-2021-50s").want(t, exitDone)
	var table []simulated
	if err := json.Unmarshal([]byte(a.stdout), &table); err != nil {
		t.Fatal(err)
	}
	if len(table) != 9*4 { // boundaries, three of them of the line, by ranges of birth dates
		t.Errorf("%d lines", len(table))
	}
	type line struct{ at, born, before, now, next string }
	for _, want := range []line{
		{"2021-07-19T20:00:00+09:00", "1967-01-01 to 1968-12-31", "window_not_open", "eligible", "2021-07-21T20:00:00+09:00"},
		{"2021-07-19T20:00:00+09:00", "1969-01-01 to 1971-12-31", "window_not_open", "window_not_open", "2021-07-20T20:00:00+09:00"},
		{"2021-07-20T18:00:00+09:00", "1967-01-01 to 1968-12-31", "eligible", "window_closed", "2021-07-21T20:00:00+09:00"},
		{"2021-07-20T20:00:00+09:00", "1969-01-01 to 1971-12-31", "window_not_open", "eligible", "2021-07-21T20:00:00+09:00"},
		{"2021-07-21T20:00:00+09:00", "1967-01-01 to 1968-12-31", "window_closed", "eligible", ""},
		{"2021-07-24T18:00:00+09:00", "1969-01-01 to 1971-12-31", "eligible", "window_closed", ""},
		{"2021-07-19T20:00:00+09:00", "to 1966-12-31", "not_in_any_cohort", "not_in_any_cohort", ""},
		{"2021-07-19T20:00:00+09:00", "from 1972-01-01", "not_in_any_cohort", "not_in_any_cohort", ""},
	} {
		found := false
		for _, got := range table {
			found = found || want == line{got.At, got.Born, got.Before, got.Now, got.Next}
		}
		if !found {
			t.Errorf("not in the table: %+v", want)
		}
	}
	weir(t, "campaign", "simulate", "sample:kr-2021-50s", "--born", "1968-12-31", "--at", "2021-07-20T18:00:00+09:00").
		want(t, exitDone, "1968-12-31", "window_closed", "asked for")
	weir(t, "campaign", "simulate", "sample:kr-2021-50s", "--born", "1969-01-01", "--at", "2021-07-20T17:59:59.999+09:00").
		want(t, exitDone, "window_not_open")
	weir(t, "campaign", "simulate", "testdata/campaign/wrong.yaml").want(t, exitWrong, "wrong.yaml:7:")
}
