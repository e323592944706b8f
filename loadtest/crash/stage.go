//go:build linux

package crash

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"weir/core/campaign"
	"weir/core/event"
)

// stage is a directory with all that a server needs: the data, the keys, a
// campaign with fewer places than people, and the identity secret.
type stage struct {
	dir     string
	binary  string
	issuer  *issuer
	rules   *campaign.Definition
	slots   []string
	holding map[string]int // places by slot
}

const (
	issuerName = "crash"
	audience   = "weir"
	sitesCount = 4
	campaignID = "crash"
)

// definition has 40 slots of 4 places, all in a far future, so that only the
// people are in each other's way. Holds are short, so that some expire.
const definition = `campaign: crash
name: {ko: 중단 시험, en: Crash test}
time_zone: Asia/Seoul
cohorts:
  - {id: everyone, born: 1900-01-01..2020-12-31}
windows:
  - {cohorts: [everyone], opens: 2021-07-19T20:00, closes: 2098-07-20T18:00}
line: {enabled: false}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites: {file: sites.csv}
slots:
  - {sites: all, dates: 2099-08-17..2099-08-18, times: 09:00..14:00, every: 60m, capacity: 4, product: moderna}
bookings: {hold: 10s, cancel_before: 24h, change_before: 24h}
`

func newStage(dir, binary string, seed uint64) (*stage, error) {
	secret := make([]byte, 0, 32)
	for random := rand.New(rand.NewPCG(seed, 0)); len(secret) < 32; {
		secret = append(secret, byte(random.Uint32()))
	}
	secret = []byte(hex.EncodeToString(secret))
	born, err := campaign.ParseDate("1968-03-01")
	if err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	s := &stage{
		dir: dir, binary: binary, holding: map[string]int{},
		issuer: &issuer{secret: secret, name: issuerName, aud: audience, born: born},
	}
	var sites strings.Builder
	sites.WriteString("id,name,region,address,lat,lon\n")
	for i := range sitesCount {
		fmt.Fprintf(&sites, "s%d,Site %d,KR-11,Street %d,37.5,127.0\n", i, i, i)
	}
	for name, content := range map[string][]byte{
		"campaign.yaml": []byte(definition), "sites.csv": []byte(sites.String()), "secret": secret,
	} {
		if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
			return nil, fmt.Errorf("set up: %w", err)
		}
	}
	open := func(string) ([]byte, error) { return []byte(sites.String()), nil }
	if s.rules, err = campaign.Parse("campaign.yaml", []byte(definition), open); err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	for slot := range event.SlotID(s.rules.SlotCount()) {
		id := string(s.rules.AppendSlotID(nil, slot))
		s.slots = append(s.slots, id)
		s.holding[id] = int(s.rules.Capacity(slot))
	}
	return s, nil
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) data() string { return s.path("data") }

// serveArgs are the arguments of `weir serve`, without the addresses.
func (s *stage) serveArgs() []string {
	return []string{
		"--data", s.data(), "--keys-dir", s.path("keys"), "--campaign", s.path("campaign.yaml"),
		"--snapshot-every", "1s", "--keep-log", "0s", // so that kills meet snapshots and the removal of log, too
		"--identity-hs256-file", s.path("secret"), "--identity-issuer", issuerName, "--identity-audience", audience,
	}
}
