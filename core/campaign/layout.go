package campaign

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// layOut makes the slots of a definition that is sound so far. Sites that the
// same rules name share a pattern.
func (r *reader) layOut(rules []rule) {
	var common []int // rules for all sites
	named := make([][]byte, len(r.d.Sites))
	for i := range rules {
		if rules[i].all {
			common = append(common, i)
		}
		for _, site := range rules[i].sites {
			named[site] = binary.LittleEndian.AppendUint16(named[site], uint16(i))
		}
	}
	t := &r.d.slots
	t.pattern = make([]uint32, len(r.d.Sites))
	known := map[string]uint32{}
	var first []int // by pattern: the first site that has it
	var combined [][]int
	for site, key := range named {
		index, ok := known[string(key)]
		if !ok {
			index = uint32(len(known))
			known[string(key)] = index
			first = append(first, site)
			combined = append(combined, combine(common, key))
		}
		t.pattern[site] = index
	}
	if !r.checkSlotCounts(rules, combined) {
		return
	}
	slots := make([][]draft, len(rules))
	for i := range rules {
		slots[i] = r.expand(&rules[i], i)
	}
	if !r.sound() {
		return
	}
	for i, indices := range combined {
		t.patterns = append(t.patterns, r.makePattern(rules, slots, indices, first[i]))
	}
	r.checkCapacities()
	if r.sound() {
		t.index(r.d)
		r.warnAboutSlots(rules)
	}
}

// combine merges the rules for all sites with those of a site's key.
func combine(common []int, key []byte) []int {
	indices := slices.Clone(common)
	for ; len(key) > 0; key = key[2:] {
		indices = append(indices, int(binary.LittleEndian.Uint16(key)))
	}
	return indices
}

// checkSlotCounts refuses what would be too much, before it is made.
func (r *reader) checkSlotCounts(rules []rule, patterns [][]int) bool {
	sizes := make([]int, len(patterns))
	kept, total := 0, 0
	for i, indices := range patterns {
		for _, u := range indices {
			sizes[i] += rules[u].count()
		}
		kept += sizes[i]
	}
	for _, p := range r.d.slots.pattern {
		total += sizes[p]
	}
	const remedy = "split the campaign"
	if total > slotsMax {
		r.add(rules[0].at, remedy, "the campaign has %d slots, %d are the most", total, slotsMax)
		return false
	}
	if kept > patternSlotsMax {
		r.add(rules[0].at, remedy+", or let more sites share their rules",
			"sites with rules of their own have %d slots together, %d are the most", kept, patternSlotsMax)
		return false
	}
	return true
}

// makePattern lays out the slots of some rules. site is one that has them.
func (r *reader) makePattern(rules []rule, slots [][]draft, indices []int, site int) pattern {
	var drafts []draft
	for _, i := range indices {
		drafts = append(drafts, slots[i]...)
	}
	slices.SortFunc(drafts, func(a, b draft) int { return cmp.Compare(a.key, b.key) })
	r.checkOverlaps(rules, drafts, site)
	p := pattern{}
	for _, s := range drafts {
		p.keys = append(p.keys, s.key)
		p.starts = append(p.starts, s.starts)
		p.ends = append(p.ends, s.ends)
		p.capacity = append(p.capacity, s.capacity)
	}
	return p
}

// checkOverlaps refuses two slots of one product at one time, once for each
// pair of rules.
func (r *reader) checkOverlaps(rules []rule, drafts []draft, site int) {
	latest := make([]*draft, len(r.d.Products)) // by product: the slot that ends last so far
	told := map[[2]int]bool{}
	for i := range drafts {
		s := &drafts[i]
		before := latest[s.key.product()]
		if before == nil || s.starts >= before.ends {
			latest[s.key.product()] = s
			continue
		}
		pair := [2]int{min(before.rule, s.rule), max(before.rule, s.rule)}
		if !told[pair] {
			told[pair] = true
			other := "another of the same rule"
			if pair[0] != pair[1] {
				other = fmt.Sprintf("one of the rule on line %d", rules[pair[0]].at.line)
			}
			r.add(rules[pair[1]].at, "change dates, times or sites so that one rule alone makes the slot",
				"at site %q the slot of %s %s overlaps %s", r.d.Sites[site].ID, s.key.date(), appendClock(nil, s.key.minute()), other)
		}
		if s.ends > before.ends {
			latest[s.key.product()] = s
		}
	}
}

// checkCapacities refuses a site whose factor makes a slot larger than any.
func (r *reader) checkCapacities() {
	largest := make([]uint16, len(r.d.slots.patterns))
	for i, p := range r.d.slots.patterns {
		if len(p.capacity) > 0 {
			largest[i] = slices.Max(p.capacity)
		}
	}
	for i, p := range r.d.slots.pattern {
		factor := r.d.Sites[i].Factor
		if math.Round(float64(largest[p])*factor) > math.MaxUint16 {
			r.add(r.sitePlaces[i], "lower its capacity_factor", "site %q would have slots of more than %d places", r.d.Sites[i].ID, math.MaxUint16)
		}
	}
}

// warnAboutSlots names sites and days that nobody can book.
func (r *reader) warnAboutSlots(rules []rule) {
	for i := range r.d.Sites {
		if first, end := r.d.SiteSlots(i); first == end {
			r.warn(r.sitePlaces[i], "site %q has no slots", r.d.Sites[i].ID)
		}
	}
	opens := r.d.Windows[0].Opens
	for _, w := range r.d.Windows {
		opens = min(opens, w.Opens)
	}
	for i := range rules {
		u := &rules[i]
		if starts, count := r.clock.instant(wall(u.days[0], u.begins()*60)); count == 1 && starts < opens {
			r.warn(u.at, "its first slot begins before the first window opens: nobody can book it")
		}
	}
}
