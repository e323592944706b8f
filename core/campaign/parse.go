package campaign

import (
	"io/fs"
	"path"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// Bounds of a definition. They are far above what a campaign needs, and low
// enough that no file, however made, can fill the machine.
const (
	cohortsMax      = 128
	windowsMax      = 128
	productsMax     = 256
	sitesMax        = 100_000
	rulesMax        = 1024
	slotsMax        = 1 << 26
	patternSlotsMax = 1 << 22 // slots kept in memory: those of sites with the same rules count once
	ruleDaysMax     = 3660
)

// Parse reads a definition. The format is strict YAML: one document of plain
// fields and lists, where an unknown, missing, doubled or mistyped field is a
// problem. Anchors, aliases, tags and blocks of text are not used.
//
//	campaign: spring                                  # id: a-z 0-9 -
//	name: {ko: 봄 접종, en: Spring}                     # or one text for both
//	time_zone: Asia/Seoul                             # of all local times below
//	cohorts:                                          # ids of cohorts and products: A-Z a-z 0-9 - _
//	  - {id: old, born: 1950-01-01..1959-12-31}       # both days included
//	windows:
//	  - {cohorts: [old], opens: 2021-03-01T20:00, closes: 2021-03-02T18:00:00}
//	line: {enabled: true, opens_before: 30m, order: draw}   # or arrival; no line at all unless given
//	products:
//	  - {id: red, name: Red}
//	sites: {file: sites.csv}                          # or a list of {id, name, region, address, lat, lon}
//	slots:                                            # dates: a range, a day or a list of them; times likewise
//	  - {sites: all, dates: 2021-03-15..2021-03-20, except: [wed], times: 09:00..12:00, every: 30m, capacity: 6, product: red}
//	bookings: {hold: 5m, cancel_before: 24h, change_before: 24h, per_person: 1}   # 5m, 0, 0, 1 unless given
//
// A file of sites is CSV with the header id,name,region,address,lat,lon and
// perhaps ,capacity_factor; lines that begin with # are comments. A site's
// factor scales its capacities: rounded, and to nothing only where it is 0. In
// a list, a range of times needs quotes: ["09:00..12:00", "13:00..17:00"].
//
// name is the file's name in problems; open reads the
// files that the definition names, relative to it, and may be nil where it
// names none. Neither yaml nor what open returns may change while Parse runs;
// it keeps nothing of them.
//
// An error is a *Problems: all that is wrong, each with its place and remedy.
// The slots are laid out only where all else is sound, so what is wrong with
// their times comes last.
func Parse(name string, yaml []byte, open func(name string) ([]byte, error)) (*Definition, error) {
	r := &reader{
		report:   report{files: []bundleFile{{name: name, content: yaml}}},
		open:     open,
		d:        &Definition{Location: time.UTC},
		cohorts:  names{what: "cohort", index: map[string]int{}},
		products: names{what: "product", index: map[string]int{}},
		sites:    names{what: "site", index: map[string]int{}},
	}
	r.read()
	if err := r.err(); err != nil {
		return nil, err
	}
	r.d.answers = newDecisionTable(r.d.Cohorts, r.d.Windows)
	r.d.seal(r.files)
	for _, w := range r.listing(r.warnings) {
		r.d.warnings = append(r.d.warnings, w.String())
	}
	return r.d, nil
}

// Warnings returns what the definition may say and hardly means, each as
// "file:line:column: message".
func (d *Definition) Warnings() []string { return d.warnings }

// reader reads one definition. It belongs to one goroutine.
type reader struct {
	report
	open  func(name string) ([]byte, error)
	d     *Definition
	clock localClock

	cohorts, products, sites names
	cohortPlaces, sitePlaces []place
}

// names are the ids of one kind of thing that the definition has.
type names struct {
	what    string
	index   map[string]int // by id
	partial bool           // some could not be read, so an unknown id may be one of them
}

func (r *reader) read() {
	r.checkFileName(place{inDefinition, 1, 1}, path.Base(r.files[inDefinition].name))
	root := r.document(r.files[inDefinition].content)
	if root == nil {
		return
	}
	o := r.object(root, "a campaign file",
		[]string{"campaign", "name", "time_zone", "cohorts", "windows", "products", "sites", "slots"},
		[]string{"line", "bookings"})
	if o == nil {
		return
	}
	r.d.ID = r.campaignID(o)
	r.d.Name = r.bilingual(o.value("name"), "name")
	zoned := r.zone(o.value("time_zone"))
	r.readNames(&r.cohorts, func() { r.readCohorts(o.value("cohorts")) })
	r.readNames(&r.products, func() { r.readProducts(o.value("products")) })
	r.readWindows(o.value("windows"), zoned)
	r.readLine(o.value("line"))
	r.readBookings(o.value("bookings"))
	r.readNames(&r.sites, func() { r.readSites(o.value("sites")) })
	rules := r.readRules(o.value("slots"))
	if r.sound() {
		r.layOut(rules)
	}
}

// readNames reads the things that n names, and notes whether it read them all.
func (r *reader) readNames(n *names, read func()) {
	before := len(r.problems) + r.omitted
	read()
	n.partial = len(n.index) == 0 || len(r.problems)+r.omitted > before
}

func (r *reader) campaignID(o *object) string {
	n := o.value("campaign")
	id, ok := r.text(n, "campaign")
	if ok && !validID(id, 64, isLower) {
		r.add(at(n), "use 1 to 64 of a-z, 0-9 and -, with a letter or digit first", "campaign id %q is not well-formed", clip(id))
	}
	return id
}

func (r *reader) zone(n ast.Node) bool {
	name, ok := r.text(n, "time_zone")
	if !ok {
		return false
	}
	location, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		r.add(at(n), "use an IANA name such as Asia/Seoul", "time zone %q is not known", clip(name))
		return false
	}
	r.d.TimeZone, r.d.Location = name, location
	r.clock = localClock{location: location}
	return true
}

// id reads the id of a cohort or a product.
func (r *reader) id(n ast.Node, of *names) (string, bool) {
	id, ok := r.text(n, "id")
	if ok && !validID(id, 64, isWord) {
		r.add(at(n), "use 1 to 64 of A-Z, a-z, 0-9, - and _, with a letter or digit first", "%s id %q is not well-formed", of.what, clip(id))
		return "", false
	}
	return id, ok
}

// bilingual reads a text for both languages: {ko: …, en: …}, or one text that
// serves for both.
func (r *reader) bilingual(n ast.Node, what string) Text {
	if n == nil {
		return Text{}
	}
	if _, plain := n.(*ast.StringNode); plain {
		s, _ := r.text(n, what)
		return Text{KO: s, EN: s}
	}
	o := r.object(n, what, []string{"ko", "en"}, nil)
	if o == nil {
		return Text{}
	}
	ko, _ := r.text(o.value("ko"), "ko")
	en, _ := r.text(o.value("en"), "en")
	return Text{KO: ko, EN: en}
}

func (r *reader) checkFileName(at place, name string) bool {
	if len(name) > fileNameMax || !fs.ValidPath(name) || name == "." || textFault(name, fileNameMax) != "" {
		r.add(at, "name a file in the definition's folder, 255 bytes at most, without .. and control characters", "file name %q cannot be used", clip(name))
		return false
	}
	return true
}

// textFault says what is wrong with text that people will read, or "".
func textFault(s string, limit int) string {
	switch {
	case s == "":
		return "is empty"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case len(s) > limit:
		return "is too long"
	}
	runes := []rune(s)
	if unicode.IsSpace(runes[0]) || unicode.IsSpace(runes[len(runes)-1]) {
		return "begins or ends with a space"
	}
	for _, c := range runes {
		if !unicode.IsGraphic(c) {
			return "has a character that cannot be seen"
		}
	}
	return ""
}

// validID says that s is 1 to limit characters of the kind, the first a letter
// or digit.
func validID(s string, limit int, kind func(byte) bool) bool {
	if s == "" || len(s) > limit || !isWord(s[0]) || s[0] == '-' || s[0] == '_' {
		return false
	}
	for i := range len(s) {
		if !kind(s[i]) {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' }
func isWord(c byte) bool  { return isLower(c) || c >= 'A' && c <= 'Z' || c == '_' }
