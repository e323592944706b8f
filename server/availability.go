package server

import (
	"bytes"
	"errors"
	"math"
	"strconv"

	"github.com/valyala/fasthttp"

	"weir/core/campaign"
	"weir/server/availability"
)

// findSites lists sites and what they have left.
func (x *exchange) findSites() error {
	if err := x.parseQuery(siteParameters); err != nil {
		return err
	}
	// A distance without a point, or a point that was not asked for.
	if x.sites.RadiusKM > 0 && !x.sites.Near {
		return faultQuery
	}
	doc, err := x.campaign.published.Sites(x.now, &x.sites, x.encoding())
	if errors.Is(err, availability.ErrCursor) || errors.Is(err, availability.ErrPoint) {
		return faultQuery
	}
	if err != nil {
		return err
	}
	return x.document(&doc)
}

// findSlots lists the slots of one site.
func (x *exchange) findSlots() error {
	x.slots.Site = -1
	if err := x.parseQuery(slotParameters); err != nil {
		return err
	}
	if x.slots.Site < 0 {
		return faultQuery
	}
	doc, err := x.campaign.published.Slots(x.now, &x.slots, x.encoding())
	if err != nil {
		return err
	}
	return x.document(&doc)
}

func (x *exchange) encoding() availability.Encoding {
	if x.fields.acceptsGzip() {
		return availability.Gzip
	}
	return availability.Identity
}

// document answers with a document that was made before.
func (x *exchange) document(doc *availability.Document) error {
	x.ctx.Response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	if doc.Encoding == availability.Gzip {
		x.ctx.Response.Header.Set(fasthttp.HeaderContentEncoding, "gzip")
	}
	return x.shared(jsonType, doc.Body, doc.ETag)
}

// parameter is one name that a query may have. set returns faultQuery for a
// value that it cannot have, faultNotFound for one that names nothing.
type parameter struct {
	name string
	set  func(x *exchange, value []byte) error
}

var siteParameters = []parameter{
	{"region", func(x *exchange, v []byte) error {
		x.sites.Region = string(v)
		return unless(len(v) > 0)
	}},
	{"near", setNear},
	{"radius_km", func(x *exchange, v []byte) (err error) {
		x.sites.RadiusKM, err = number(v)
		return firstOf(err, unless(x.sites.RadiusKM > 0 && x.sites.RadiusKM <= availability.MaxRadius))
	}},
	{"date", func(x *exchange, v []byte) (err error) {
		x.sites.HasDate = true
		x.sites.Date, err = date(v)
		return err
	}},
	{"product", func(x *exchange, v []byte) (err error) {
		x.sites.Product, err = x.product(v)
		return err
	}},
	{"available", func(x *exchange, v []byte) error {
		x.sites.OnlyAvailable = true
		return unless(string(v) == "true")
	}},
	{"limit", func(x *exchange, v []byte) error {
		n, err := strconv.ParseUint(string(v), 10, 16)
		x.sites.Limit = int(n)
		return unless(err == nil && n >= 1 && n <= availability.MaxLimit)
	}},
	{"cursor", func(x *exchange, v []byte) error {
		x.sites.Cursor = string(v)
		return unless(len(v) > 0)
	}},
}

var slotParameters = []parameter{
	{"site", func(x *exchange, v []byte) error {
		site, ok := x.rules.FindSite(string(v))
		if !ok {
			return faultNotFound
		}
		x.slots.Site = site
		return nil
	}},
	{"date", func(x *exchange, v []byte) (err error) {
		x.slots.HasDate = true
		x.slots.Date, err = date(v)
		return err
	}},
	{"product", func(x *exchange, v []byte) (err error) {
		x.slots.Product, err = x.product(v)
		return err
	}},
	{"available", func(x *exchange, v []byte) error {
		x.slots.OnlyAvailable = true
		return unless(string(v) == "true")
	}},
}

// parseQuery hands each parameter of the query to the known one of its name,
// and refuses unknown and repeated ones.
func (x *exchange) parseQuery(known []parameter) error {
	x.sites = availability.SitesQuery{Product: -1}
	x.slots = availability.SlotsQuery{Product: -1, Site: x.slots.Site}
	seen := 0
	for rest := x.query; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		i := indexOf(known, name)
		if i < 0 || seen&(1<<i) != 0 {
			return faultQuery
		}
		seen |= 1 << i
		var ok bool
		if x.text, ok = appendUnescaped(x.text[:0], value, true); !ok {
			return faultQuery
		}
		if err := known[i].set(x, x.text); err != nil {
			return err
		}
	}
	return nil
}

func indexOf(known []parameter, name []byte) int {
	for i := range known {
		if known[i].name == string(name) {
			return i
		}
	}
	return -1
}

func setNear(x *exchange, v []byte) error {
	lat, lon, ok := bytes.Cut(v, []byte{','})
	var errLat, errLon error
	x.sites.Near = true
	x.sites.Lat, errLat = number(lat)
	x.sites.Lon, errLon = number(lon)
	return firstOf(errLat, errLon, unless(ok && math.Abs(x.sites.Lat) <= 90 && math.Abs(x.sites.Lon) <= 180))
}

// number reads a plain decimal number: no exponent, no hexadecimal, no name.
func number(v []byte) (float64, error) {
	for _, c := range v {
		if (c < '0' || c > '9') && c != '.' && c != '-' {
			return 0, faultQuery
		}
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, faultQuery
	}
	return f, nil
}

func date(v []byte) (campaign.Date, error) {
	d, err := campaign.ParseDate(string(v))
	if err != nil {
		return 0, faultQuery
	}
	return d, nil
}

// product finds a product by its id.
func (x *exchange) product(id []byte) (int, error) {
	for i := range x.rules.Products {
		if x.rules.Products[i].ID == string(id) {
			return i, nil
		}
	}
	return -1, faultNotFound
}

func unless(good bool) error {
	if good {
		return nil
	}
	return faultQuery
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
