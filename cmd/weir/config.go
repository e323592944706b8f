package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The configuration comes in layers, later ones over earlier ones: defaults,
// the configuration file, variables WEIR_…, flags. A list is replaced as a
// whole. Every value remembers where it came from, so that an error and
// --print-config can name the place.

const (
	environmentPrefix = "WEIR_"
	configVariable    = environmentPrefix + "CONFIG"
	fromDefault       = "default"
)

// given is the value of one setting and its place.
type given struct {
	values []string
	from   string   // "default", "weir.yaml:3:9", "WEIR_LISTEN", "--listen"
	places []string // of each value, where the file gave a list
}

// place names the setting as it was given and where the i-th value came from.
func (g *given) place(i int) string {
	if i < len(g.places) {
		return g.places[i]
	}
	return g.from
}

// layers collects what was given, by setting name.
type layers struct {
	given   map[string]given
	issuers []fileIssuer // of the file
}

// addSettingFlags gives cmd --config and the named settings, or all of them
// where none is named.
func addSettingFlags(cmd *cobra.Command, names ...string) {
	cmd.Flags().String("config", "", "configuration `file` (YAML); or "+configVariable)
	for i := range settings {
		s := &settings[i]
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		if s.list {
			cmd.Flags().StringArray(s.name, nil, s.usage)
		} else {
			cmd.Flags().String(s.name, s.value, s.usage)
		}
	}
}

// loadConfig reads every layer and parses the settings. cmd's flags were added
// by addSettingFlags; environ is as os.Environ gives it. Errors are usage
// errors that name the place of the fault.
func loadConfig(cmd *cobra.Command, environ []string) (*config, *layers, error) {
	c, l, err := loadLayers(cmd, environ)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return c, l, nil
}

// defaultLayers is the lowest layer.
func defaultLayers() *layers {
	l := &layers{given: make(map[string]given, len(settings))}
	for i := range settings {
		if s := &settings[i]; s.value != "" {
			l.given[s.name] = given{values: []string{s.value}, from: fromDefault}
		}
	}
	return l
}

// defaultConfig is what is in force where nothing is given.
func defaultConfig() (*config, error) { return defaultLayers().parse() }

func loadLayers(cmd *cobra.Command, environ []string) (*config, *layers, error) {
	l := defaultLayers()
	variables, err := weirVariables(environ)
	if err != nil {
		return nil, nil, err
	}
	file, err := configFile(cmd, variables)
	if err != nil {
		return nil, nil, err
	}
	if file != "" {
		if err := l.addFile(file); err != nil {
			return nil, nil, err
		}
	}
	l.addEnvironment(variables)
	if err := l.addFlags(cmd); err != nil {
		return nil, nil, err
	}
	c, err := l.parse()
	return c, l, err
}

// configFile is the name of the configuration file, empty for none.
func configFile(cmd *cobra.Command, variables map[string]string) (string, error) {
	if cmd.Flags().Changed("config") {
		name, err := cmd.Flags().GetString("config")
		if err == nil && name == "" {
			err = fmt.Errorf("--config: the file name is empty")
		}
		return name, err
	}
	return variables[configVariable], nil
}

// weirVariables picks the variables WEIR_… out of environ. One that no setting
// has is refused: a misspelt variable would otherwise be a setting not in
// force. An empty one counts as not set.
func weirVariables(environ []string) (map[string]string, error) {
	known := []string{configVariable}
	for i := range settings {
		known = append(known, settings[i].variable())
	}
	variables := make(map[string]string)
	for _, line := range environ {
		name, value, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(name, environmentPrefix) {
			continue
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("the environment has %s, which is no setting; the nearest one is %s", name, nearest(name, known))
		}
		if value != "" {
			variables[name] = value
		}
	}
	return variables, nil
}

func (l *layers) addEnvironment(variables map[string]string) {
	for i := range settings {
		s := &settings[i]
		value, ok := variables[s.variable()]
		if !ok {
			continue
		}
		values := []string{value}
		if s.list {
			values = strings.Split(value, ",")
		}
		l.given[s.name] = given{values: values, from: s.variable()}
	}
}

func (l *layers) addFlags(cmd *cobra.Command) error {
	for i := range settings {
		s := &settings[i]
		if !cmd.Flags().Changed(s.name) {
			continue
		}
		values, err := flagValues(cmd, s)
		if err != nil {
			return err
		}
		l.given[s.name] = given{values: values, from: "--" + s.name}
	}
	return nil
}

func flagValues(cmd *cobra.Command, s *setting) ([]string, error) {
	if s.list {
		return cmd.Flags().GetStringArray(s.name)
	}
	value, err := cmd.Flags().GetString(s.name)
	return []string{value}, err
}

// parse turns what was given into a config.
func (l *layers) parse() (*config, error) {
	c := &config{}
	for i := range settings {
		s := &settings[i]
		g := l.given[s.name]
		for n, value := range g.values {
			if value == "" {
				return nil, fmt.Errorf("%s: the value is empty", g.place(n))
			}
			if err := s.apply(c, value); err != nil {
				return nil, fmt.Errorf("%s: %w", g.place(n), err)
			}
		}
	}
	if err := l.parseIssuers(c); err != nil {
		return nil, err
	}
	return c, c.derive()
}

// parseIssuers takes the one issuer of flags and variables, or else the list
// of the file.
func (l *layers) parseIssuers(c *config) error {
	if len(c.issuers) > 0 {
		if err := checkIssuer(&c.issuers[0]); err != nil {
			return fmt.Errorf("--identity-… or %sIDENTITY_…: %w", environmentPrefix, err)
		}
		return nil
	}
	seen := make(map[string]bool, len(l.issuers))
	for i := range l.issuers {
		f := &l.issuers[i]
		if err := checkIssuer(&f.issuer); err != nil {
			return fmt.Errorf("%s: identity: %w", f.place, err)
		}
		if seen[f.name] {
			return fmt.Errorf("%s: identity: issuer %q is there twice", f.place, f.name)
		}
		seen[f.name] = true
		c.issuers = append(c.issuers, f.issuer)
	}
	return nil
}

// derive fills in what follows from other settings and refuses halves of pairs.
func (c *config) derive() error {
	if c.keysDir == "" {
		data, err := filepath.Abs(c.data)
		if err != nil {
			return fmt.Errorf("find the directory beside %s: %w", c.data, err)
		}
		c.keysDir = filepath.Join(filepath.Dir(data), "weir.keys")
	}
	if (c.tlsCert == "") != (c.tlsKey == "") {
		return fmt.Errorf("tls-cert and tls-key belong together: give both or none")
	}
	if (c.adminTLSCert == "") != (c.adminTLSKey == "") {
		return fmt.Errorf("admin-tls-cert and admin-tls-key belong together: give both or none")
	}
	if c.resumeFree < c.minFree {
		return fmt.Errorf("resume-free is less than min-free: it is where changes are taken again")
	}
	if c.journal == journalMemory && !c.rehearseAt.IsZero() {
		return fmt.Errorf("rehearse-at needs the durable journal: a rehearsal lives in a data directory of its own")
	}
	return nil
}

// nearest returns the candidate with the fewest edits from word.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", -1
	for _, c := range candidates {
		if d := editDistance(word, c); bestDistance < 0 || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's, over bytes, one row at a time.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// environment is the process's own, for commands outside tests.
func environment() []string { return os.Environ() }
