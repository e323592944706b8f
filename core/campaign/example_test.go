package campaign_test

import (
	"errors"
	"fmt"
	"time"

	"weir/core/campaign"
	"weir/core/event"
)

const spring = `campaign: spring
name: Spring
time_zone: Asia/Seoul
cohorts:
  - {id: old, born: 1950-01-01..1959-12-31}
windows:
  - {cohorts: [old], opens: 2021-03-01T20:00, closes: 2021-03-02T18:00}
products:
  - {id: red, name: Red}
sites:
  - {id: north, name: North clinic, region: KR-11, address: First street, lat: 37.6, lon: 127}
slots:
  - {sites: all, dates: 2021-03-15, times: 09:00..12:00, every: 30m, capacity: %s, product: red}
`

func ExampleParse() {
	_, err := campaign.Parse("spring.yaml", fmt.Appendf(nil, spring, "none"), nil)
	var problems *campaign.Problems
	if errors.As(err, &problems) {
		for _, p := range problems.List {
			fmt.Printf("%s; %s\n", p, p.Remedy)
		}
	}
	// Output:
	// spring.yaml:13:80: capacity must be a whole number, found text; give a whole number from 1 to 65535
}

func ExampleDefinition_Decide() {
	d, err := campaign.Parse("spring.yaml", fmt.Appendf(nil, spring, "6"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	born, err := campaign.ParseDate("1955-05-05")
	if err != nil {
		fmt.Println(err)
		return
	}
	opens := time.Date(2021, 3, 1, 11, 0, 0, 0, time.UTC)
	for _, now := range []time.Time{opens.Add(-time.Millisecond), opens} {
		decision := d.Decide(born, event.Time(now.UnixMilli()))
		fmt.Printf("%s %v\n", d.AppendTime(nil, event.Time(now.UnixMilli())), decision.Reason)
	}
	// Output:
	// 2021-03-01T19:59:59.999+09:00 window_not_open
	// 2021-03-01T20:00:00+09:00 eligible
}
