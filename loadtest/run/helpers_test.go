//go:build linux

package run

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/core/campaign"
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
	for name, o := range map[string]Options{
		"nothing":                  {},
		"a target and a binary":    {Scenario: smoke(t, 1000, 15*time.Second), Dir: t.TempDir(), Binary: binary, Target: &Target{}},
		"kills of another's":       {Scenario: smoke(t, 1000, 15*time.Second), Dir: t.TempDir(), Target: &Target{}, KillEvery: time.Second},
		"a target without address": {Scenario: smoke(t, 1000, 15*time.Second), Dir: t.TempDir(), Target: &Target{URL: "localhost"}},
	} {
		if _, _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
