package campaign

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"weir/core/event"
)

// rule is one entry of "slots": the same hours on several days at several sites.
type rule struct {
	at       place
	times    place // of its times, where clock changes are reported
	all      bool
	sites    []int // unless all
	days     []Date
	hours    []span
	every    int // minutes
	capacity uint16
	product  int
}

// span is a stretch of a day, in minutes: from, included, to end, excluded.
type span struct{ from, end int }

func (r *reader) readRules(n ast.Node) []rule {
	var rules []rule
	for _, item := range r.list(n, "slots", rulesMax, false) {
		o := r.object(item, "a slots rule", []string{"sites", "dates", "times", "every", "capacity", "product"}, []string{"except"})
		if o != nil {
			rules = append(rules, r.rule(o))
		}
	}
	return rules
}

func (r *reader) rule(o *object) rule {
	made := rule{at: o.at}
	made.all, made.sites = r.ruleSites(o.value("sites"))
	made.days = r.ruleDays(o)
	every, _ := r.duration(o.value("every"), "every", time.Minute, 24*time.Hour)
	if every%time.Minute != 0 {
		r.add(at(o.value("every")), "give whole minutes", "every must be whole minutes")
		every = 0
	}
	made.every = int(every / time.Minute)
	made.hours = r.ruleHours(o.value("times"), made.every)
	if n := o.value("times"); n != nil {
		made.times = at(n)
	}
	capacity, _ := r.integer(o.value("capacity"), "capacity", 1, math.MaxUint16)
	made.capacity = uint16(capacity)
	made.product, _ = r.reference(o.value("product"), &r.products)
	return made
}

func (r *reader) ruleSites(n ast.Node) (all bool, sites []int) {
	if s, ok := n.(*ast.StringNode); ok {
		if s.Value != "all" {
			r.add(at(n), "write all, or a list of site ids", "sites %q is not a list", clip(s.Value))
		}
		return true, nil
	}
	return false, r.references(n, &r.sites, sitesMax)
}

// ruleDays returns the days of a rule, ascending.
func (r *reader) ruleDays(o *object) []Date {
	var days []Date
	for _, n := range r.list(o.value("dates"), "dates", ruleDaysMax, true) {
		from, to, ok := r.dateRange(n, "dates")
		if !ok {
			continue
		}
		if from < dateFirst || int(to-from) >= ruleDaysMax-len(days) {
			r.add(at(n), fmt.Sprintf("give days from 1971 on, %d at most", ruleDaysMax), "dates %s..%s are too many or too early", from, to)
			continue
		}
		for day := from; day <= to; day++ {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	for i := 1; i < len(days); i++ {
		if days[i] == days[i-1] {
			r.add(at(o.value("dates")), "name each day once", "%s is among the dates twice", days[i])
			break
		}
	}
	given := len(days)
	for _, n := range r.list(o.value("except"), "except", ruleDaysMax, true) {
		days = r.exceptDays(n, days)
	}
	if given > 0 && len(days) == 0 {
		r.add(o.at, "leave a day that is not excepted", "the rule has no day left")
	}
	return days
}

var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday,
	"thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

// exceptDays takes a weekday or a range of days out of days.
func (r *reader) exceptDays(n ast.Node, days []Date) []Date {
	given := len(days)
	source := ""
	if s, ok := n.(*ast.StringNode); ok {
		source = s.Value
	}
	if weekday, ok := weekdays[source]; ok {
		days = slices.DeleteFunc(days, func(day Date) bool { return day.Weekday() == weekday })
	} else if source != "" && !strings.ContainsAny(source, "0123456789") {
		r.add(at(n), "write sun, mon, tue, wed, thu, fri, sat, or a day", "except %q is no weekday", clip(source))
		return days
	} else {
		from, to, ok := r.dateRange(n, "except")
		if !ok {
			return days
		}
		days = slices.DeleteFunc(days, func(day Date) bool { return day >= from && day <= to })
	}
	if len(days) == given && given > 0 {
		r.warn(at(n), "except takes no day away")
	}
	return days
}

func (r *reader) ruleHours(n ast.Node, every int) []span {
	var hours []span
	for _, item := range r.list(n, "times", 48, true) {
		source, ok := r.text(item, "times")
		if !ok {
			continue
		}
		first, last, ranged := strings.Cut(source, "..")
		from, ok1 := parseClock(first)
		end, ok2 := parseClock(last)
		switch {
		case !ranged || !ok1 || !ok2:
			r.add(at(item), "write HH:MM..HH:MM, from 00:00 to 24:00", "times %q is not a range of hours", clip(source))
		case end <= from:
			r.add(at(item), "give the earlier time first", "times %q ends at or before its beginning", source)
		case every > 0 && end-from < every:
			r.add(at(item), "give more time, or a shorter every", "times %q has no room for a slot of %d minutes", source, every)
		default:
			hours = append(hours, span{from, end})
		}
	}
	return hours
}

// begins returns the earliest minute of the day at which the rule has a slot.
func (u *rule) begins() int {
	earliest := u.hours[0].from
	for _, h := range u.hours {
		earliest = min(earliest, h.from)
	}
	return earliest
}

// count returns how many slots the rule makes at each of its sites.
func (u *rule) count() int {
	daily := 0
	for _, h := range u.hours {
		daily += (h.end - h.from) / u.every
	}
	return daily * len(u.days)
}

// draft is one slot of a pattern in the making.
type draft struct {
	key          slotKey
	starts, ends event.Time
	capacity     uint16
	rule         int
}

// expand makes the slots of the rule with that index, as far as its times are
// right.
func (r *reader) expand(u *rule, index int) []draft {
	drafts := make([]draft, 0, u.count())
	for _, day := range u.days {
		for _, h := range u.hours {
			for from := h.from; from+u.every <= h.end; from += u.every {
				starts, ok := r.slotTime(u, day, from)
				if !ok {
					return drafts
				}
				ends, ok := r.slotTime(u, day, from+u.every)
				if !ok {
					return drafts
				}
				drafts = append(drafts, draft{keyOf(day, from, u.product), starts, ends, u.capacity, index})
			}
		}
	}
	return drafts
}

func (r *reader) slotTime(u *rule, day Date, minute int) (event.Time, bool) {
	t, count := r.clock.instant(wall(day, minute*60))
	if count == 1 {
		return t, true
	}
	local := string(appendClock(append(day.Append(nil), ' '), minute))
	return 0, r.checkLocal(u.times, "the slot time "+local, count)
}
