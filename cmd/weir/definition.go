package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"weir/core/campaign"
	"weir/core/campaign/sample"
	"weir/core/event"
)

const (
	samplePrefix = "sample:"
	sampleName   = "kr-2021-50s"
)

// isSample tells whether a campaign is named, and not a file.
func isSample(name string) bool { return strings.HasPrefix(name, samplePrefix) }

// loadDefinition reads and checks a campaign's definition: a file and the
// files that it names, or the one that is built in. A definition that does not
// hold is a *campaign.Problems.
func loadDefinition(name string) (*campaign.Definition, error) {
	if isSample(name) {
		if name != samplePrefix+sampleName {
			return nil, usagef("%q is no sample: there is %s%s", name, samplePrefix, sampleName)
		}
		return sample.Definition()
	}
	content, err := readBounded(name, event.MaxDefinition)
	if err != nil {
		return nil, fmt.Errorf("read the campaign: %w", err)
	}
	beside := filepath.Dir(name)
	return campaign.Parse(name, content, func(named string) ([]byte, error) {
		if !filepath.IsAbs(named) {
			named = filepath.Join(beside, named)
		}
		return readBounded(named, event.MaxDefinition)
	})
}

// explainDefinition gives an error of loadDefinition the remedies of all its
// problems.
func explainDefinition(name string, err error) error {
	var problems *campaign.Problems
	if !errors.As(err, &problems) {
		return err
	}
	return fmt.Errorf("campaign %s is not sound:\n%s", name, strings.TrimSuffix(describeProblems(problems), "\n"))
}

// describeProblems lists each problem with what to do about it.
func describeProblems(problems *campaign.Problems) string {
	var b strings.Builder
	for _, p := range problems.List {
		fmt.Fprintf(&b, "%s\n", p)
		if p.Remedy != "" {
			fmt.Fprintf(&b, "    %s\n", p.Remedy)
		}
	}
	if problems.Omitted > 0 {
		fmt.Fprintf(&b, "and %d more\n", problems.Omitted)
	}
	return b.String()
}

// readBounded reads a file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return content, nil
}
