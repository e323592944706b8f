package campaign

import (
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"weir/core/event"
)

// dateFirst is the first day on which anything of a campaign may happen. It
// keeps every time of a definition above zero.
var dateFirst = dateOf(1971, 1, 1)

func (r *reader) readCohorts(n ast.Node) {
	for _, item := range r.list(n, "cohorts", cohortsMax, false) {
		o := r.object(item, "a cohort", []string{"id", "born"}, nil)
		if o == nil {
			continue
		}
		from, to, _ := r.dateRange(o.value("born"), "born")
		id, ok := r.id(o.value("id"), &r.cohorts)
		if !ok || !r.unique(&r.cohorts, id, o.value("id")) {
			continue
		}
		r.d.Cohorts = append(r.d.Cohorts, Cohort{ID: id, From: from, To: to})
		r.cohortPlaces = append(r.cohortPlaces, at(o.value("id")))
	}
}

func (r *reader) readProducts(n ast.Node) {
	for _, item := range r.list(n, "products", productsMax, false) {
		o := r.object(item, "a product", []string{"id", "name"}, nil)
		if o == nil {
			continue
		}
		name := r.bilingual(o.value("name"), "name")
		id, ok := r.id(o.value("id"), &r.products)
		if ok && r.unique(&r.products, id, o.value("id")) {
			r.d.Products = append(r.d.Products, Product{ID: id, Name: name})
		}
	}
}

// unique gives id the next index, or reports that it has one already.
func (r *reader) unique(of *names, id string, n ast.Node) bool {
	if _, taken := of.index[id]; taken {
		r.add(at(n), "give each "+of.what+" an id of its own", "%s id %q is given twice", of.what, id)
		return false
	}
	of.index[id] = len(of.index)
	return true
}

// references reads a list of ids of things that the definition has.
func (r *reader) references(n ast.Node, to *names, limit int) []int {
	var found []int
	seen := map[int]bool{}
	for _, item := range r.list(n, to.what+"s", limit, false) {
		index, known := r.reference(item, to)
		switch {
		case !known:
		case seen[index]:
			r.add(at(item), "name it once", "%s %q is named twice", to.what, item.GetToken().Value)
		default:
			seen[index] = true
			found = append(found, index)
		}
	}
	return found
}

// reference reads the id of one thing that the definition has.
func (r *reader) reference(n ast.Node, to *names) (index int, known bool) {
	id, ok := r.text(n, to.what)
	if !ok {
		return 0, false
	}
	index, known = to.index[id]
	if !known && !to.partial {
		r.add(at(n), "name a "+to.what+" that the campaign has", "there is no %s %q", to.what, clip(id))
	}
	return index, known
}

func (r *reader) readWindows(n ast.Node, zoned bool) {
	used := make([]bool, len(r.d.Cohorts))
	for _, item := range r.list(n, "windows", windowsMax, false) {
		o := r.object(item, "a window", []string{"cohorts", "opens", "closes"}, nil)
		if o == nil {
			continue
		}
		w := Window{Cohorts: r.references(o.value("cohorts"), &r.cohorts, cohortsMax)}
		for _, c := range w.Cohorts {
			used[c] = true
		}
		var opens, closes bool
		if zoned {
			w.Opens, opens = r.moment(o.value("opens"), "opens")
			w.Closes, closes = r.moment(o.value("closes"), "closes")
		}
		if opens && closes && w.Closes <= w.Opens {
			r.add(at(o.value("closes")), "let the window close after it opens", "the window closes at or before its opening")
		}
		r.d.Windows = append(r.d.Windows, w)
	}
	for i, u := range used {
		if !u {
			r.warn(r.cohortPlaces[i], "no window is for cohort %q: nobody can book by it", r.d.Cohorts[i].ID)
		}
	}
}

// moment reads a local time of the campaign's zone, to the minute or second.
func (r *reader) moment(n ast.Node, what string) (event.Time, bool) {
	source, ok := r.text(n, what)
	if !ok {
		return 0, false
	}
	const toMinute, toSecond = "2006-01-02T15:04", "2006-01-02T15:04:05"
	layout := toSecond
	if len(source) == len(toMinute) {
		layout = toMinute
	}
	local, err := time.Parse(layout, source)
	if err != nil || len(source) != len(layout) {
		r.add(at(n), "write YYYY-MM-DDTHH:MM or YYYY-MM-DDTHH:MM:SS, without an offset", "%s %q is not a local time", what, clip(source))
		return 0, false
	}
	if day, ok := parseDate(source[:len("2006-01-02")]); !ok || day < dateFirst {
		r.add(at(n), "give a day of 1971 to 2199", "%s %q is out of range", what, source)
		return 0, false
	}
	t, count := r.clock.instant(local.Unix())
	return t, r.checkLocal(at(n), source, count)
}

// checkLocal refuses a local time that clocks do not show exactly once.
func (r *reader) checkLocal(at place, local string, count int) bool {
	const remedy = "choose a time before or after the clocks change"
	switch count {
	case 0:
		r.add(at, remedy, "%s does not exist in %s: clocks are put forward over it", local, r.d.TimeZone)
	case 2:
		r.add(at, remedy, "%s exists twice in %s: clocks are put back over it", local, r.d.TimeZone)
	}
	return count == 1
}

func (r *reader) readLine(n ast.Node) {
	if n == nil {
		return
	}
	o := r.object(n, "line", []string{"enabled"}, []string{"opens_before", "order"})
	if o == nil {
		return
	}
	line := &r.d.Line
	line.Enabled, _ = r.boolean(o.value("enabled"), "enabled")
	line.OpensBefore, _ = r.duration(o.value("opens_before"), "opens_before", 0, 30*24*time.Hour)
	if n := o.value("order"); n != nil {
		switch order, ok := r.text(n, "order"); {
		case !ok || order == "draw":
		case order == "arrival":
			line.Order = Arrival
		default:
			r.add(at(n), "write draw (by lot) or arrival", "order %q is not known", clip(order))
		}
	}
}

func (r *reader) readBookings(n ast.Node) {
	b := &r.d.Bookings
	*b = Bookings{Hold: 5 * time.Minute, PerPerson: 1}
	if n == nil {
		return
	}
	o := r.object(n, "bookings", nil, []string{"hold", "cancel_before", "change_before", "per_person"})
	if o == nil {
		return
	}
	const year = 366 * 24 * time.Hour
	if hold, ok := r.duration(o.value("hold"), "hold", 10*time.Second, 24*time.Hour); ok {
		b.Hold = hold
	}
	b.CancelBefore, _ = r.duration(o.value("cancel_before"), "cancel_before", 0, year)
	b.ChangeBefore, _ = r.duration(o.value("change_before"), "change_before", 0, year)
	if most, ok := r.integer(o.value("per_person"), "per_person", 1, 8); ok {
		b.PerPerson = most
	}
}

// dateRange reads A..B, both included, or a single day.
func (r *reader) dateRange(n ast.Node, what string) (from, to Date, ok bool) {
	source, ok := r.text(n, what)
	if !ok {
		return 0, 0, false
	}
	first, last, ranged := strings.Cut(source, "..")
	if !ranged {
		last = first
	}
	from, ok1 := parseDate(first)
	to, ok2 := parseDate(last)
	switch {
	case !ok1 || !ok2:
		r.add(at(n), "write YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD", "%s %q is not a day or a range of days", what, clip(source))
		return 0, 0, false
	case from > to:
		r.add(at(n), "give the earlier day first", "%s %q ends before it begins", what, source)
		return 0, 0, false
	}
	return from, to, true
}
