package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// siteFields are the columns of a file of sites, in order, and the fields of a
// site in the definition. The last one may be left out.
var siteFields = []string{"id", "name", "region", "address", "lat", "lon", "capacity_factor"}

const factorMax = 1000

func (r *reader) readSites(n ast.Node) {
	if n == nil {
		return
	}
	if _, inline := n.(*ast.SequenceNode); inline {
		for _, item := range r.list(n, "sites", sitesMax, false) {
			r.inlineSite(item)
		}
		return
	}
	o := r.object(n, "sites", []string{"file"}, nil)
	if o == nil {
		return
	}
	name, ok := r.text(o.value("file"), "file")
	if !ok || !r.checkFileName(at(o.value("file")), name) {
		return
	}
	content, err := r.openFile(name)
	switch {
	case err != nil:
		r.add(at(o.value("file")), "put the file beside the definition", "cannot read %s: %v", name, err)
		return
	case len(content) > sitesFileMax:
		r.add(at(o.value("file")), "split the campaign", "%s has %d bytes, %d are the most", name, len(content), sitesFileMax)
		return
	}
	r.files = append(r.files, bundleFile{name: name, content: content})
	if r.checkEncoding(inSites, content) {
		r.readSitesFile(content)
	}
}

func (r *reader) openFile(name string) ([]byte, error) {
	if r.open == nil {
		return nil, errors.New("there are no files beside this definition")
	}
	return r.open(name)
}

func (r *reader) readSitesFile(content []byte) {
	table := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, byteOrderMark)))
	table.Comment = '#'
	table.FieldsPerRecord = -1
	table.ReuseRecord = true
	width, line := 0, 1
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.addCSV(err)
			return
		}
		line, _ = table.FieldPos(0)
		switch {
		case width == 0:
			if width = r.checkHeader(record, line); width == 0 {
				return
			}
		case len(record) != width:
			r.add(place{inSites, line, 1}, "give each column of the header a value, with quotes around one that has a comma",
				"the row has %d values, the header %d", len(record), width)
		default:
			r.siteRow(record, table)
		}
		if len(r.d.Sites) > sitesMax {
			r.add(place{inSites, line, 1}, "split the campaign", "there are more than %d sites", sitesMax)
			return
		}
	}
	if len(r.d.Sites) == 0 && r.sound() {
		r.add(place{inSites, line, 1}, "add a header and one row for each site", "the file has no sites")
	}
}

func (r *reader) addCSV(err error) {
	at := place{inSites, 1, 1}
	var broken *csv.ParseError
	if errors.As(err, &broken) {
		at.line, at.column, err = broken.Line, max(broken.Column, 1), broken.Err
	}
	r.add(at, `write a quote inside quotes twice: ""`, "the row cannot be read: %v", err)
}

// checkHeader returns the number of columns, 0 where the header is not right.
func (r *reader) checkHeader(record []string, line int) int {
	columns := len(record)
	if columns < len(siteFields)-1 || columns > len(siteFields) || !slices.Equal(record, siteFields[:columns]) {
		r.add(place{inSites, line, 1}, "let the first row be id,name,region,address,lat,lon or the same with ,capacity_factor",
			"the header is %q", clip(strings.Join(record, ",")))
		return 0
	}
	return columns
}

// siteSource is a site as it is written.
type siteSource struct {
	values [7]string
	places [7]place
}

func (r *reader) siteRow(record []string, table *csv.Reader) {
	source := siteSource{values: [7]string{6: "1"}}
	for i, value := range record {
		line, column := table.FieldPos(i)
		source.values[i] = value
		source.places[i] = place{inSites, line, column}
	}
	r.addSite(&source)
}

func (r *reader) inlineSite(n ast.Node) {
	o := r.object(n, "a site", siteFields[:6], siteFields[6:])
	if o == nil {
		return
	}
	source := siteSource{values: [7]string{6: "1"}}
	for i, field := range siteFields {
		value := o.value(field)
		if value == nil {
			if i < 6 {
				return
			}
			continue
		}
		source.places[i] = at(value)
		switch value.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			if i < 4 {
				r.add(at(value), "put it in quotes", "%s must be text, found a number", field)
				return
			}
			source.values[i] = value.GetToken().Value
		case *ast.StringNode:
			if i >= 4 {
				r.add(at(value), "write it without quotes", "%s must be a number, found text", field)
				return
			}
			source.values[i] = value.GetToken().Value
		default:
			r.add(at(value), "give one value", "%s cannot be %s", field, kindOf(value))
			return
		}
	}
	r.addSite(&source)
}

// addSite checks a site and adds it.
func (r *reader) addSite(source *siteSource) {
	id := source.values[0]
	switch first, taken := r.sites.index[id]; {
	case !validSiteID(id):
		r.add(source.places[0], "use 1 to 64 of A-Z, a-z, 0-9, . _ and -, not dots alone", "site id %q is not well-formed", clip(id))
		return
	case taken:
		r.add(source.places[0], "give each site an id of its own", "site id %q is given twice, first on line %d", id, r.sitePlaces[first].line)
		return
	}
	for i := 1; i < 4; i++ {
		fault := textFault(source.values[i], textMax)
		if fault != "" && (i != 3 || source.values[i] != "") { // an address may be empty
			r.add(source.places[i], "give 1 to 400 bytes of text", "%s of site %q %s", siteFields[i], id, fault)
		}
	}
	site := Site{
		ID: id, Name: source.values[1], Region: source.values[2], Address: source.values[3],
		Lat:    r.decimal(source, 4, -90, 90),
		Lon:    r.decimal(source, 5, -180, 180),
		Factor: r.decimal(source, 6, 0, factorMax),
	}
	r.sites.index[id] = len(r.d.Sites)
	r.d.Sites = append(r.d.Sites, site)
	r.sitePlaces = append(r.sitePlaces, source.places[0])
}

func validSiteID(id string) bool {
	if id == "" || len(id) > 64 || strings.Trim(id, ".") == "" {
		return false
	}
	for i := range len(id) {
		if !isWord(id[i]) && id[i] != '.' {
			return false
		}
	}
	return true
}

var decimalPattern = regexp.MustCompile(`^-?[0-9]{1,4}(\.[0-9]{1,15})?$`)

// decimal reads a number with or without a fraction, from low to high.
func (r *reader) decimal(source *siteSource, field int, low, high float64) float64 {
	text := source.values[field]
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !decimalPattern.MatchString(text) || v < low || v > high {
		r.add(source.places[field], "write a decimal number such as 37.5665",
			"%s %q of site %q is not a number from %v to %v", siteFields[field], clip(text), source.values[0], low, high)
		return 0
	}
	return v
}
