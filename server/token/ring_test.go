package token

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"weir/core/event"
)

func TestTheNewestKeyThatHasStartedSigns(t *testing.T) {
	for name, test := range map[string]struct {
		keys []Key
		want uint32
	}{
		"one":                  {[]Key{testKey(7, testNow)}, 7},
		"the later start":      {[]Key{testKey(1, 10), testKey(2, 20), testKey(3, 5)}, 2},
		"not one to come":      {[]Key{testKey(1, 10), testKey(2, testNow+1)}, 1},
		"at its very moment":   {[]Key{testKey(1, 10), testKey(2, testNow)}, 2},
		"of equals the higher": {[]Key{testKey(1, 10), testKey(2, 10)}, 2},
	} {
		ring := testRing(t, test.keys...)
		if got := ring.Signer(); got != test.want {
			t.Errorf("%s: key %d signs, want %d", name, got, test.want)
		}
	}
}

func TestEveryKeyVerifiesUntilItIsRetired(t *testing.T) {
	first, second, third := testKey(1, 0), testKey(2, testNow), testKey(3, testNow+1000)
	c := testClaims(Pass)
	old := testRing(t, first).Append(nil, &c)
	early := testRing(t, testKey(3, 0)).Append(nil, &c) // by a server whose clock is ahead

	ring := testRing(t, first, second, third)
	for name, tok := range map[string][]byte{"old": old, "early": early, "own": ring.Append(nil, &c)} {
		if got, err := ring.Open(tok, testNow); err != nil || got != c {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if err := ring.Replace([]Key{second, third}, testNow); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Open(old, testNow); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("under a retired key: %v, want ErrUnknownKey", err)
	}
}

func TestAnotherRingsTokenIsRefused(t *testing.T) {
	c := testClaims(Pass)
	other := testKey(1, 0)
	other.Secret[0] ^= 1
	tok := testRing(t, other).Append(nil, &c)
	if _, err := testRing(t, testKey(1, 0)).Open(tok, testNow); !errors.Is(err, ErrForged) {
		t.Errorf("same key id, other secret: %v, want ErrForged", err)
	}
	if _, err := testRing(t, testKey(2, 0)).Open(tok, testNow); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("other key id: %v, want ErrUnknownKey", err)
	}
	// The key id is bound: pointing at another key of the same ring is no way in.
	c2 := testClaims(Pass)
	same := Key{ID: 2, Secret: testKey(1, 0).Secret}
	ring := testRing(t, testKey(1, 5), same)
	tok = ring.Append(nil, &c2)
	raw := bytes.Clone(tok)
	var claimed [rawSize]byte
	if _, err := strict.Decode(claimed[:], raw[prefixSize:]); err != nil {
		t.Fatal(err)
	}
	claimed[nonceAt-1] = 2
	strict.Encode(raw[prefixSize:], claimed[:])
	if _, err := ring.Open(raw, testNow); !errors.Is(err, ErrForged) {
		t.Errorf("with the id of a key of the same secret: %v, want ErrForged", err)
	}
}

func TestRingsThatAreRefused(t *testing.T) {
	many := make([]Key, MaxKeys+1)
	for i := range many {
		many[i] = testKey(uint32(i+1), 0)
	}
	for name, test := range map[string]struct {
		keys []Key
		want string
	}{
		"none":         {nil, "none of 0 keys"},
		"all to come":  {[]Key{testKey(1, testNow+1)}, "none of 1 keys"},
		"id zero":      {[]Key{testKey(0, 0)}, "key id 0"},
		"no secret":    {[]Key{{ID: 4}}, "all zeros"},
		"the id twice": {[]Key{testKey(1, 0), testKey(1, 5)}, "two keys with the id 1"},
		"too many":     {many, "retire old ones"},
	} {
		if ring, err := NewRing(test.keys, testNow); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v; want an error with %q", name, ring, err, test.want)
		}
	}
}

func TestRefusedReplaceKeepsTheKeys(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	c := testClaims(Ticket)
	tok := ring.Append(nil, &c)
	if err := ring.Replace([]Key{testKey(2, testNow+1)}, testNow); err == nil {
		t.Fatal("a ring that cannot sign was taken")
	}
	if _, err := ring.Open(tok, event.Time(0)); err != nil {
		t.Errorf("the old key is gone: %v", err)
	}
}
