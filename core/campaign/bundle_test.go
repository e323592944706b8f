package campaign

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBundleIsTheSameEverywhere(t *testing.T) {
	content := springFiles(t)
	here := parse(t, content)
	there, err := Parse("/srv/campaigns/campaign.yaml", []byte(content["campaign.yaml"]), opener(content))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(here.Bundle(), there.Bundle()) || here.Digest() != there.Digest() {
		t.Error("the folder is in the bundle")
	}
	if here.Digest() != sha256.Sum256(here.Bundle()) {
		t.Error("the digest is not the bundle's")
	}
	golden := filepath.Join("testdata", "spring.bundle")
	if *rewrite {
		if err := os.WriteFile(golden, here.Bundle(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(here.Bundle(), want) {
		t.Errorf("the bundle is not the golden one (%v); logs out there would not load", err)
	}
}

func TestLoad(t *testing.T) {
	d := spring(t)
	bundle := bytes.Clone(d.Bundle())
	loaded, err := Load(bundle)
	if err != nil {
		t.Fatal(err)
	}
	clear(bundle) // Load keeps nothing of it
	if !loaded.SameSlots(d) || loaded.Digest() != d.Digest() || loaded.Sites[0] != d.Sites[0] || loaded.Name != d.Name {
		t.Error("loaded another definition")
	}
	checkSlots(t, loaded)
}

func TestLoadRefusesEveryPrefix(t *testing.T) {
	bundle := spring(t).Bundle()
	for n := range bundle {
		if _, err := Load(bundle[:n]); !errors.Is(err, ErrBundle) {
			t.Fatalf("%d of %d bytes: %v", n, len(bundle), err)
		}
	}
	for name, broken := range map[string][]byte{
		"a byte more":           append(bytes.Clone(bundle), 0),
		"another magic":         append([]byte("weircmp\x02"), bundle[8:]...),
		"no files":              append([]byte(bundleMagic), 0),
		"three files":           append([]byte(bundleMagic), 3),
		"a file nobody asks":    makeBundle([]bundleFile{{"c.yaml", inlineSpring(t)}, {"x", nil}}),
		"a folder in the name":  bytes.Replace(bundle, []byte("campaign.yaml"), []byte("campaig/.yaml"), 1),
		"a length past the end": bytes.Replace(bundle, []byte("sites.csv"), []byte("sites.csv\xff\xff\xff\x7f"), 1),
	} {
		if _, err := Load(broken); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	var problems *Problems
	if _, err := Load(bytes.Replace(bundle, []byte("\x09sites.csv"), []byte("\x09sitez.csv"), 1)); !errors.As(err, &problems) {
		t.Errorf("the named file is not there: got %v", err)
	}
}

// inlineSpring is the sound definition with no file of sites.
func inlineSpring(t testing.TB) []byte {
	t.Helper()
	return []byte(strings.Replace(springFiles(t)["campaign.yaml"], "sites: {file: sites.csv}",
		"sites: [{id: north, name: N, region: R, address: A, lat: 37.6, lon: 127}]", 1))
}

func FuzzLoad(f *testing.F) {
	f.Add(spring(f).Bundle())
	f.Add(makeBundle([]bundleFile{{"c.yaml", inlineSpring(f)}}))
	f.Add(makeBundle([]bundleFile{{"c.yaml", []byte("campaign: a")}}))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		d, err := Load(bundle)
		if err == nil && !bytes.Equal(d.Bundle(), bundle) {
			t.Errorf("%q became %q", bundle, d.Bundle())
		}
	})
}

func FuzzParse(f *testing.F) {
	content := springFiles(f)
	f.Add([]byte(content["campaign.yaml"]), []byte(content["sites.csv"]))
	f.Add(inlineSpring(f), []byte(nil))
	f.Add([]byte("campaign: [a, {b: c}]\n\"x\": 'y'\n- z\n"), []byte("id,name,region,address,lat,lon\na,\"b\n"))
	f.Fuzz(func(t *testing.T, yaml, sites []byte) {
		d, err := Parse("campaign.yaml", yaml, func(string) ([]byte, error) { return sites, nil })
		var problems *Problems
		switch {
		case err == nil && d.SlotCount() < 100_000:
			checkSlots(t, d)
		case err != nil && (!errors.As(err, &problems) || len(problems.List) == 0):
			t.Errorf("an error without a problem: %v", err)
		}
		if problems == nil {
			return
		}
		for _, p := range problems.List {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || p.Remedy == "" || p.File == "" {
				t.Errorf("a problem without a place or remedy: %+v", p)
			}
		}
	})
}
