//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/loadtest/overload"
)

func TestParse(t *testing.T) {
	o, dir, err := parse([]string{"-share", "0.1", "-step", "5s", "-multiples", "1,2.5", "-out", "there"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if o.Share != 0.1 || o.Step != 5*time.Second || !slices.Equal(o.Multiples, []float64{1, 2.5}) || dir != "there" ||
		o.Patience != overload.Defaults().Patience {
		t.Errorf("%+v in %s", o, dir)
	}
}

func TestCalledWrongly(t *testing.T) {
	for _, args := range []string{"extra", "-share 0", "-multiples 1,x", "-multiples 0", "-settle 1m", "-nothing", "-connections -1", "-rounds 0"} {
		var out, problems bytes.Buffer
		if exit := run(t.Context(), strings.Fields(args), &out, &problems); exit != 2 || problems.Len() == 0 {
			t.Errorf("%s: exit %d, %q", args, exit, &problems)
		}
	}
}

// TestNoServer: nothing can be measured, which is told, and what there is of a
// report is written.
func TestNoServer(t *testing.T) {
	dir := t.TempDir()
	var out, problems bytes.Buffer
	args := []string{"-weir", filepath.Join(dir, "missing"), "-dir", dir, "-out", filepath.Join(dir, "out")}
	if exit := run(t.Context(), args, &out, &problems); exit != 1 || !strings.Contains(problems.String(), "overload: ") {
		t.Errorf("exit %d, %q", exit, &problems)
	}
	encoded, err := os.ReadFile(filepath.Join(dir, "out", "overload.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report overload.Report
	if err := json.Unmarshal(encoded, &report); err != nil || report.Passed() {
		t.Errorf("%v, %+v", err, report)
	}
}
