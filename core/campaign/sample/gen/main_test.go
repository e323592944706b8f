package main

import (
	"bytes"
	"os"
	"testing"
)

func TestSitesAreWhatThePlacesGive(t *testing.T) {
	places, err := os.ReadFile("../kr-places.csv")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../sites.csv")
	if err != nil {
		t.Fatal(err)
	}
	made, err := generate(places)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, committed) {
		t.Error("sites.csv is not what gen makes; run: go generate ./core/campaign/sample")
	}
}

func TestAllotFollowsPopulation(t *testing.T) {
	places := []place{{population: 50}, {population: 30}, {population: 19}, {population: 1}}
	allot(places, 14) // one each, and 10 in shares of 5, 3, 1.9 and 0.1
	for i, want := range []int{6, 4, 3, 1} {
		if places[i].sites != want {
			t.Errorf("place %d has %d sites, want %d", i, places[i].sites, want)
		}
	}
}
