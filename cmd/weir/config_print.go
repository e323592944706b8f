package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
)

// printedSetting is one line of --print-config. It holds the names of secret
// files and never what is in them.
type printedSetting struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
	From   string   `json:"from"`
}

// printed lists what is in force.
func printed(c *config, l *layers) []printedSetting {
	var lines []printedSetting
	ownIssuer := false
	for i := range settings {
		s := &settings[i]
		g := l.given[s.name]
		line := printedSetting{Name: s.fileKey(), Values: g.values, From: g.from}
		switch {
		case s.name == "keys-dir" && len(g.values) == 0:
			line.Values, line.From = []string{c.keysDir}, fromDefault
		case s.ofIssuer() && len(g.values) > 0:
			ownIssuer = true
			line.Values = []string{withoutPassword(g.values[0])}
		case len(g.values) == 0 && s.ofIssuer():
			continue
		case len(g.values) == 0:
			line.Values, line.From = []string{}, "not set"
		}
		lines = append(lines, line)
	}
	if ownIssuer {
		return lines
	}
	for i := range l.issuers {
		f := &l.issuers[i]
		lines = append(lines, printedSetting{Name: "identity", Values: []string{f.describe()}, From: f.place})
	}
	return lines
}

func (i *issuer) describe() string {
	fields := []string{"issuer: " + i.name, "audience: " + i.audience}
	for _, source := range [][2]string{{"hs256_file", i.hs256File}, {"jwks_file", i.jwksFile}, {"jwks_url", withoutPassword(i.jwksURL)}} {
		if source[1] != "" {
			fields = append(fields, source[0]+": "+source[1])
		}
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// withoutPassword hides what an address may carry between // and @.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	return u.Redacted()
}

func printConfig(w io.Writer, c *config, l *layers, asJSON bool) error {
	lines := printed(c, l)
	if asJSON {
		return writeJSON(w, lines)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		value := strings.Join(line.Values, ", ")
		if value == "" {
			value = "-"
		}
		if _, err := fmt.Fprintf(table, "%s:\t%s\t# %s\n", line.Name, value, line.From); err != nil {
			return fmt.Errorf("print the configuration: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}

// writeJSON writes v indented, with a line feed.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
