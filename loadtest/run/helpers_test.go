//go:build linux

package run

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/core/campaign"
	"weir/loadtest/scenario"
)

// campaignOf reads the campaign that a run left in dir.
func campaignOf(t *testing.T, dir string) *campaign.Definition {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(dir, "campaign.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := campaign.Parse("campaign.yaml", source, func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) })
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestRefusedOptions(t *testing.T) {
	operated := smoke(t, 1000, 15*time.Second)
	operated.Operator.Kills = []scenario.Duration{1}
	for name, o := range map[string]Options{
		"nothing":                  {},
		"a target and a binary":    {Scenario: smoke(t, 1000, 15*time.Second), Dir: t.TempDir(), Binary: binary, Target: &Target{}},
		"kills of another's":       {Scenario: smoke(t, 1000, 15*time.Second), Dir: t.TempDir(), Target: &Target{}, KillEvery: time.Second},
		"an operator of another's": {Scenario: operated, Dir: t.TempDir(), Target: &Target{URL: "http://127.0.0.1:1"}},
		"a target without address": {Scenario: smoke(t, 1000, 15*time.Second), Dir: t.TempDir(), Target: &Target{URL: "localhost"}},
	} {
		if _, _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
