package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
)

// ownHeader is a campaign's own part besides its definition: all of the
// campaign that is in no person's row. Encoded, little-endian, sizes in bytes:
//
//	newest 8, defined by 8, per person max 4
//	cohorts 2, of each: length 2, id
//	versions 4, of each: cohorts 2, of each: number 2
//	line newest 8, issued 4, early 4
//	state newest 8, serving 4, paused 1, since 8, reason: length 2, text
//	draws 2, of each: opens 8, commitment 32, drawn 1, seed 32, base 4, size 4,
//	                  entrants 2, of each: cohort 2, since 8
//	pauses 4, of each: from 8, to 8, ended by 8
type ownHeader struct {
	newest       event.Seq // of all that follow
	definedBy    event.Seq
	perPersonMax int
	cohortIDs    []string
	versions     [][]uint16

	lineNewest    event.Seq
	issued, early uint32
	lists         []*drawList
	state         LineState
}

// copyOwn copies the campaign's own part.
func (c *Campaign) copyOwn(dst *Copy, store int) {
	shard := c.people.At(0)
	shard.Lock() // against what is done with all of them locked
	defer shard.Unlock()
	c.line.Lock()
	defer c.line.Unlock()
	rules, state := c.rules.Load(), c.line.state.Load()
	h := ownHeader{
		newest: max(c.definedBy, c.line.newest, state.Newest), definedBy: c.definedBy,
		perPersonMax: c.perPersonMax, cohortIDs: rules.cohortIDs, versions: c.versions,
		lineNewest: c.line.newest, issued: c.line.issued.Load(), early: c.line.early.Load(),
		lists: c.line.lists, state: *state,
	}
	dst.Newest = h.newest
	dst.Header = h.append(dst.Header[:0])
	if c.copied[store] != rules.version {
		dst.bundle = rules.Bundle()
		c.copied[store] = rules.version
	}
}

// restoreOwn makes the campaign of which the own part is restored.
func (r *Restoring) restoreOwn() error {
	if r.bundle == nil {
		return errors.New("the definition is missing")
	}
	d, err := campaign.Load(r.bundle)
	if err != nil {
		return err
	}
	h := &r.own
	cohorts, ids := numberCohorts(h.cohortIDs, d)
	if len(ids) != len(h.cohortIDs) || len(h.versions) == 0 || !slices.Equal(cohorts, h.versions[len(h.versions)-1]) {
		return fmt.Errorf("the definition is not that of version %d", len(h.versions))
	}
	c := newCampaign(r.part.Campaign, d, h.definedBy)
	c.versions, c.restored, c.perPersonMax = h.versions, h.newest, h.perPersonMax
	c.rules.Store(&rules{Definition: d, version: event.Version(len(h.versions)), cohorts: cohorts, cohortIDs: ids})
	c.line.newest, c.line.lists = h.lineNewest, h.lists
	c.line.issued.Store(h.issued)
	c.line.early.Store(h.early)
	for i := range h.state.Draws {
		if draw := &h.state.Draws[i]; draw.Drawn {
			draw.Size = h.lists[i].size
			draw.ranks = line.NewPermutation(draw.Seed, draw.Size)
		}
	}
	c.line.state.Store(&h.state)
	r.engine.addCampaign(c)
	return nil
}

func (h *ownHeader) append(dst []byte) []byte {
	w := ownWriter(dst)
	w.u64(uint64(h.newest))
	w.u64(uint64(h.definedBy))
	w.u32(uint32(h.perPersonMax))
	w.u16(len(h.cohortIDs))
	for _, id := range h.cohortIDs {
		w.text(id)
	}
	w.u32(uint32(len(h.versions)))
	for _, numbers := range h.versions {
		w.u16(len(numbers))
		for _, n := range numbers {
			w.u16(int(n))
		}
	}
	w.u64(uint64(h.lineNewest))
	w.u32(h.issued)
	w.u32(h.early)
	h.appendState(&w)
	return w
}

func (h *ownHeader) appendState(w *ownWriter) {
	s := &h.state
	w.u64(uint64(s.Newest))
	w.u32(uint32(s.Serving))
	w.flag(s.Paused)
	w.u64(uint64(s.Since))
	w.text(s.Reason)
	w.u16(len(s.Draws))
	for i := range s.Draws {
		draw, list := &s.Draws[i], h.lists[i]
		w.u64(uint64(draw.Opens))
		*w = append(*w, draw.Commitment[:]...)
		w.flag(draw.Drawn)
		*w = append(*w, draw.Seed[:]...)
		w.u32(uint32(draw.Base))
		w.u32(list.size)
		w.u16(len(list.cohorts))
		for _, e := range list.cohorts {
			w.u16(int(e.cohort))
			w.u64(uint64(e.since))
		}
	}
	w.u32(uint32(len(s.pauses)))
	for _, pause := range s.pauses {
		w.u64(uint64(pause.from))
		w.u64(uint64(pause.to))
		w.u64(uint64(pause.endedBy))
	}
}

func (h *ownHeader) decode(src []byte) error {
	r := ownReader{rest: src}
	*h = ownHeader{newest: event.Seq(r.u64()), definedBy: event.Seq(r.u64()), perPersonMax: int(r.u32())}
	for range r.u16() {
		h.cohortIDs = append(h.cohortIDs, r.text())
	}
	for range r.count(r.u32(), 2) {
		numbers := make([]uint16, 0, 8)
		for range r.u16() {
			numbers = append(numbers, r.u16())
		}
		h.versions = append(h.versions, numbers)
	}
	h.lineNewest, h.issued, h.early = event.Seq(r.u64()), r.u32(), r.u32()
	h.decodeState(&r)
	if r.short || len(r.rest) > 0 {
		return fmt.Errorf("header of %d bytes: %d are left, cut short: %v", len(src), len(r.rest), r.short)
	}
	return nil
}

func (h *ownHeader) decodeState(r *ownReader) {
	s := &h.state
	s.Newest, s.Serving = event.Seq(r.u64()), event.Number(r.u32())
	s.Paused, s.Since, s.Reason = r.flag(), event.Time(r.u64()), r.text()
	for range r.u16() {
		draw, list := DrawState{Opens: event.Time(r.u64())}, &drawList{}
		copy(draw.Commitment[:], r.take(event.SecretSize))
		draw.Drawn = r.flag()
		copy(draw.Seed[:], r.take(event.SecretSize))
		draw.Base, list.size = event.Number(r.u32()), r.u32()
		for range r.u16() {
			list.cohorts = append(list.cohorts, entrant{r.u16(), event.Time(r.u64())})
		}
		s.Draws, h.lists = append(s.Draws, draw), append(h.lists, list)
	}
	for range r.count(r.u32(), 24) {
		s.pauses = append(s.pauses, span{event.Time(r.u64()), event.Time(r.u64()), event.Seq(r.u64())})
	}
}

// ownWriter appends the fields of an ownHeader.
type ownWriter []byte

func (w *ownWriter) u16(v int)    { *w = binary.LittleEndian.AppendUint16(*w, uint16(v)) }
func (w *ownWriter) u32(v uint32) { *w = binary.LittleEndian.AppendUint32(*w, v) }
func (w *ownWriter) u64(v uint64) { *w = binary.LittleEndian.AppendUint64(*w, v) }

func (w *ownWriter) flag(v bool) {
	if v {
		*w = append(*w, 1)
		return
	}
	*w = append(*w, 0)
}

func (w *ownWriter) text(v string) {
	w.u16(min(len(v), math.MaxUint16))
	*w = append(*w, v[:min(len(v), math.MaxUint16)]...)
}

// ownReader reads the fields of an ownHeader. Once it is short all is zero.
type ownReader struct {
	rest  []byte
	short bool
}

// take returns the next n bytes.
func (r *ownReader) take(n int) []byte {
	if len(r.rest) < n {
		r.rest, r.short = nil, true
		return make([]byte, n)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// count is how many things of at least that many bytes may follow: n, or none
// where there is no room for so many.
func (r *ownReader) count(n uint32, size int) uint32 {
	if int64(n)*int64(size) > int64(len(r.rest)) {
		r.rest, r.short = nil, true
		return 0
	}
	return n
}

func (r *ownReader) u16() uint16  { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *ownReader) u32() uint32  { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *ownReader) u64() uint64  { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *ownReader) flag() bool   { return r.take(1)[0] != 0 }
func (r *ownReader) text() string { return string(r.take(int(r.u16()))) }
