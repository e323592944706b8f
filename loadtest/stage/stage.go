// Package stage sets up what a server under test needs beside its data: the
// campaign's files, the identity secret and the keys, under which it makes
// passes for people who never joined a line.
//
// What it makes is for tests on loopback alone: the identity secret is none.
package stage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/server/keys"
	"weir/server/token"
)

const (
	issuer   = "stage"
	audience = "weir"
	bornOn   = "1968-03-01"
	passLife = 12 * time.Hour
)

// Stage is a directory with all that servers need but their data. Its methods
// are safe for concurrent use.
type Stage struct {
	Rules *campaign.Definition // of the campaign
	dir   string
	ring  *token.Ring
	pass  token.Claims // of everybody, but for the person
}

// New fills the directory, which must be there. The definition takes its sites
// from the file sites.csv; there are that many.
func New(dir, definition string, sites int) (*Stage, error) {
	s := &Stage{dir: dir}
	if err := s.write(definition, sites); err != nil {
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	opened, err := keys.Open(s.Path("keys"))
	if err != nil {
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	s.ring = opened.Ring
	born, err := campaign.ParseDate(bornOn)
	if err != nil {
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	s.pass = token.Claims{
		Kind: token.Pass, Campaign: token.CampaignHash(s.Rules.ID), Born: born,
		Expires: event.Time(time.Now().Add(passLife).UnixMilli()),
	}
	return s, nil
}

func (s *Stage) write(definition string, sites int) (err error) {
	var list strings.Builder
	list.WriteString("id,name,region,address,lat,lon\n")
	for i := range sites {
		fmt.Fprintf(&list, "s%03d,Site %d,KR-11,Street %d,37.5,127.0\n", i, i, i)
	}
	for name, content := range map[string][]byte{
		"campaign.yaml": []byte(definition), "sites.csv": []byte(list.String()), "secret": bytes.Repeat([]byte("not a secret "), 4),
	} {
		if err := os.WriteFile(s.Path(name), content, 0o600); err != nil {
			return err
		}
	}
	open := func(string) ([]byte, error) { return []byte(list.String()), nil }
	s.Rules, err = campaign.Parse("campaign.yaml", []byte(definition), open)
	return err
}

// Path is a name in the directory.
func (s *Stage) Path(name string) string { return filepath.Join(s.dir, name) }

// ServeArgs are the arguments of `weir serve`, without the addresses. data is a
// name in the directory.
func (s *Stage) ServeArgs(data string) []string {
	return []string{
		"--data", s.Path(data), "--keys-dir", s.Path("keys"), "--campaign", s.Path("campaign.yaml"),
		"--identity-hs256-file", s.Path("secret"), "--identity-issuer", issuer, "--identity-audience", audience,
	}
}

// AppendPass appends a pass of the nth person, under the keys that the servers
// will find. All have one length.
func (s *Stage) AppendPass(dst []byte, n uint64) []byte {
	claims := s.pass
	claims.Person = personKey(n)
	return s.ring.Append(dst, &claims)
}

// personKey is another key for every n, spread as hashes are.
func personKey(n uint64) (key event.PersonKey) {
	for i, half := range [2]uint64{Scatter(n), Scatter(^n)} {
		for b := range 8 {
			key[8*i+b] = byte(half >> (8 * b))
		}
	}
	return key
}

// Scatter is a permutation of the 64-bit numbers that leaves no order in them
// (the finalizer of SplitMix64, public domain, Sebastiano Vigna).
func Scatter(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
