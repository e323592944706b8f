package availability_test

import (
	"os"

	"weir/core/campaign"
	"weir/core/event"
	"weir/server/availability"
)

const village = `
campaign: village
name: {ko: 마을 접종, en: Village}
time_zone: Asia/Seoul
cohorts: [{id: all, born: 1900-01-01..2020-12-31}]
windows: [{cohorts: [all], opens: 2021-07-19T20:00, closes: 2021-07-24T18:00}]
line: {enabled: false}
products: [{id: moderna, name: {ko: 모더나, en: Moderna}}]
sites: [{id: hall, name: 마을회관, region: KR-11, address: 느티나무길 1, lat: 37.5, lon: 127}]
slots: [{sites: all, dates: 2021-08-16..2021-08-16, times: 09:00..10:00, every: 30m, capacity: 6, product: moderna}]
bookings: {hold: 5m, cancel_before: 24h, change_before: 24h}
`

// hall has two slots, of which the first is full.
type hall struct{ definition *campaign.Definition }

func (h hall) Definition() (*campaign.Definition, event.Version) { return h.definition, 1 }

func (h hall) Slot(s event.SlotID) (taken, capacity uint16) {
	if s == 0 {
		return 6, 6
	}
	return 2, 6
}

func Example() {
	d, err := campaign.Parse("village.yaml", []byte(village), nil)
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error())
		return
	}
	p := availability.New(hall{d}, 0)
	now := event.Time(1626692400000)
	sites, _ := p.Sites(now, &availability.SitesQuery{Product: -1, Near: true, Lat: 37.51, Lon: 127}, availability.Identity)
	slots, _ := p.Slots(now, &availability.SlotsQuery{Site: 0, Product: -1}, availability.Identity)
	for _, doc := range []availability.Document{sites, slots} {
		_, _ = os.Stdout.Write(append(doc.Body, '\n'))
	}
	// Output:
	// {"sites":[{"id":"hall","name":"마을회관","region":"KR-11","address":"느티나무길 1","lat":37.5,"lon":127,"available":4,"distance_km":1.1}],"as_of":"2021-07-19T20:00:00+09:00"}
	// {"slots":[{"id":"hall/2021-08-16/09:00/moderna","site":"hall","starts_at":"2021-08-16T09:00:00+09:00","ends_at":"2021-08-16T09:30:00+09:00","product":"moderna","capacity":6,"available":0},{"id":"hall/2021-08-16/09:30/moderna","site":"hall","starts_at":"2021-08-16T09:30:00+09:00","ends_at":"2021-08-16T10:00:00+09:00","product":"moderna","capacity":6,"available":4}],"as_of":"2021-07-19T20:00:00+09:00"}
}
