package campaign_test

import (
	"testing"

	"weir/core/campaign"
	"weir/core/campaign/sample"
	"weir/core/event"
)

func sampleCampaign(b *testing.B) *campaign.Definition {
	b.Helper()
	d, err := sample.Definition()
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// spread is a step that visits all slots in an order without a pattern.
const spread = 2654435761

func BenchmarkDecide(b *testing.B) {
	d := sampleCampaign(b)
	from, opens := d.Cohorts[0].From-1000, d.Windows[0].Opens-1000
	var eligible int
	i := uint32(0)
	for b.Loop() {
		i += spread
		if d.Decide(from+campaign.Date(i>>20), opens+event.Time(i>>3)).Reason == campaign.Eligible {
			eligible++
		}
	}
	if eligible == 0 {
		b.Error("nobody was eligible")
	}
}

func BenchmarkFindSlot(b *testing.B) {
	d := sampleCampaign(b)
	ids := make([][]byte, 4096)
	for i := range ids {
		s := event.SlotID(uint32(i) * (spread % (1 << 20)) % uint32(d.SlotCount()))
		ids[i] = d.AppendSlotID(nil, s)
	}
	i := 0
	for b.Loop() {
		i++
		if _, ok := d.FindSlot(ids[i%len(ids)]); !ok {
			b.Fatal("a slot is gone")
		}
	}
}

func benchmarkSlots(b *testing.B, call func(d *campaign.Definition, s event.SlotID)) {
	d := sampleCampaign(b)
	count, s := uint32(d.SlotCount()), uint32(0)
	for b.Loop() {
		s = (s + 310_001) % count
		call(d, event.SlotID(s))
	}
}

func BenchmarkSlot(b *testing.B) {
	benchmarkSlots(b, func(d *campaign.Definition, s event.SlotID) { _ = d.Slot(s) })
}

func BenchmarkSlotStarts(b *testing.B) {
	benchmarkSlots(b, func(d *campaign.Definition, s event.SlotID) { _ = d.SlotStarts(s) })
}

func BenchmarkAppendSlotID(b *testing.B) {
	room := make([]byte, 0, 64)
	benchmarkSlots(b, func(d *campaign.Definition, s event.SlotID) { room = d.AppendSlotID(room[:0], s) })
}

func BenchmarkAppendTime(b *testing.B) {
	room := make([]byte, 0, 64)
	benchmarkSlots(b, func(d *campaign.Definition, s event.SlotID) { room = d.AppendTime(room[:0], d.SlotStarts(s)) })
}

// BenchmarkParse reads the campaign of 2,500 sites and 480,000 slots.
func BenchmarkParse(b *testing.B) {
	yaml, err := sample.Open(sample.Name)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := campaign.Parse(sample.Name, yaml, sample.Open); err != nil {
			b.Fatal(err)
		}
	}
}
