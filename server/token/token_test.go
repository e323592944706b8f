package token

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"weir/core/campaign"
	"weir/core/event"
)

const testNow = event.Time(1_626_692_400_000) // 2021-07-19T20:00+09:00

func testKey(id uint32, starts event.Time) Key {
	key := Key{ID: id, Starts: starts}
	for i := range key.Secret {
		key.Secret[i] = byte(id) + byte(i)*3 + 1
	}
	return key
}

func testRing(t testing.TB, keys ...Key) *Ring {
	t.Helper()
	ring, err := NewRing(keys, testNow)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func testClaims(kind Kind) Claims {
	return Claims{
		Kind: kind, Campaign: CampaignHash("kr-2021-50s"), Person: event.PersonKey{1, 2, 3, 15: 9},
		Born: -1096, Number: 1_234_567, Expires: testNow + 60_000,
	}
}

func drawClaims(t *rapid.T) Claims {
	return Claims{
		Kind:     rapid.SampledFrom([]Kind{Ticket, Pass}).Draw(t, "kind"),
		Campaign: rapid.Uint64().Draw(t, "campaign"),
		Person:   event.PersonKey(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "person")),
		Born:     campaign.Date(rapid.Int32().Draw(t, "born")),
		Number:   event.Number(rapid.Uint32().Draw(t, "number")),
		Expires:  event.Time(rapid.Int64().Draw(t, "expires")),
	}
}

func TestWhatIsAppendedOpens(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	rapid.Check(t, func(t *rapid.T) {
		want := drawClaims(t)
		now := event.Time(rapid.Int64().Draw(t, "now"))
		before := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "before")
		tok := ring.Append(bytes.Clone(before), &want)
		if !bytes.HasPrefix(tok, before) || len(tok) != len(before)+Size {
			t.Fatalf("append gave %q behind %q, want %d bytes more", tok, before, Size)
		}
		got, err := ring.Open(tok[len(before):], now)
		if now >= want.Expires {
			if !errors.Is(err, ErrExpired) || got != (Claims{}) {
				t.Fatalf("open at %d of a token good until %d: %+v, %v", now, want.Expires, got, err)
			}
			return
		}
		if err != nil || got != want {
			t.Fatalf("opened %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestExpiryIsExactToTheMillisecond(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	c := testClaims(Pass)
	tok := ring.Append(nil, &c)
	if _, err := ring.Open(tok, c.Expires-1); err != nil {
		t.Errorf("a millisecond before: %v", err)
	}
	if _, err := ring.Open(tok, c.Expires); !errors.Is(err, ErrExpired) {
		t.Errorf("at the moment: %v, want ErrExpired", err)
	}
}

func TestTicketIsNoPass(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	for from, to := range map[Kind]Kind{Ticket: Pass, Pass: Ticket} {
		c := testClaims(from)
		tok := ring.Append(nil, &c)
		copy(tok, to.prefix())
		if got, err := ring.Open(tok, testNow); !errors.Is(err, ErrForged) {
			t.Errorf("a %v with the prefix of a %v: %+v, %v; want ErrForged", from, to, got, err)
		}
	}
}

// Every single-character change must be refused: the text is canonical, and
// every byte behind it is sealed or bound to the seal.
func TestEveryChangedCharacterIsRefused(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/\n\r \x00\xff"
	ring := testRing(t, testKey(1, 0), testKey(2, 0))
	c := testClaims(Pass)
	tok := ring.Append(nil, &c)
	for at := range tok {
		for _, char := range []byte(alphabet) {
			changed := bytes.Clone(tok)
			changed[at] = char
			got, err := ring.Open(changed, testNow)
			if char == tok[at] {
				continue
			}
			if err == nil || errors.Is(err, ErrExpired) {
				t.Fatalf("byte %d turned from %q to %q: opened %+v, %v", at, tok[at], char, got, err)
			}
		}
	}
}

func TestOnlyTheExactLengthIsRead(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	c := testClaims(Ticket)
	tok := string(ring.Append(nil, &c))
	others := []string{"", "w", "wt1.", "wt1", tok + "=", tok + "A", tok + "\n", "Bearer " + tok, tok + tok, strings.ToUpper(tok[:4]) + tok[4:]}
	for n := range len(tok) {
		others = append(others, tok[:n])
	}
	for _, other := range others {
		if _, err := ring.Open([]byte(other), testNow); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, want ErrMalformed", other, err)
		}
	}
}

func TestTwoTokensOfTheSameClaimsDiffer(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	c := testClaims(Pass)
	if a, b := ring.Append(nil, &c), ring.Append(nil, &c); bytes.Equal(a, b) {
		t.Errorf("both are %s: the nonce is not random", a)
	}
}

func TestUnknownKindPanics(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	for _, kind := range []Kind{0, 3, 255} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("append of kind %d went through", kind)
				}
			}()
			ring.Append(nil, &Claims{Kind: kind})
		}()
	}
}

func TestKindOf(t *testing.T) {
	for text, want := range map[string]Kind{
		"wt1.": Ticket, "wp1.abc": Pass, "": 0, "wt1": 0, "wt2.abc": 0, "Wt1.": 0, "eyJhbGciOiJI": 0,
	} {
		got, ok := KindOf([]byte(text))
		if got != want || ok != (want != 0) {
			t.Errorf("KindOf(%q) = %v, %v; want %v", text, got, ok, want)
		}
	}
}

// The hash is at rest in every token that is out: its values must never change.
func TestCampaignHashIsFixed(t *testing.T) {
	for id, want := range map[string]uint64{"kr-2021-50s": 0xdd6e6f0e1e06a745, "a": 0xe6c632b61e964e1f} {
		if got := CampaignHash(id); got != want {
			t.Errorf("CampaignHash(%q) = %#x, want %#x", id, got, want)
		}
	}
}

// The format is golden: a token of version 1 must open for as long as its key
// is in the ring, whatever build made it.
func TestGoldenTokens(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	for kind, tok := range map[Kind]string{
		Ticket: goldenTicket,
		Pass:   goldenPass,
	} {
		got, err := ring.Open([]byte(tok), testNow)
		if want := testClaims(kind); err != nil || got != want {
			t.Errorf("golden %v opened as %+v, %v; want %+v", kind, got, err, want)
		}
	}
}

func TestOpenWhileKeysAreReplaced(t *testing.T) {
	ring := testRing(t, testKey(1, 0))
	c := testClaims(Pass)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for i := range 500 {
				got, err := ring.Open(ring.Append(nil, &c), testNow)
				if err != nil || got != c {
					t.Errorf("round %d: %+v, %v", i, got, err)
					return
				}
			}
		})
	}
	keys := []Key{testKey(1, 0)}
	for id := uint32(2); id <= MaxKeys; id++ {
		keys = append(keys, testKey(id, event.Time(id)))
		if err := ring.Replace(keys, testNow); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
}

func FuzzOpen(f *testing.F) {
	ring := testRing(f, testKey(1, 0), testKey(2, 0))
	c := testClaims(Pass)
	f.Add(ring.Append(nil, &c))
	f.Add([]byte(goldenTicket))
	f.Add([]byte("wt1."))
	f.Add([]byte(strings.Repeat("A", Size)))
	f.Fuzz(func(t *testing.T, tok []byte) {
		before := bytes.Clone(tok)
		got, err := ring.Open(tok, testNow)
		if !bytes.Equal(tok, before) {
			t.Fatalf("open changed its input")
		}
		if err != nil {
			if got != (Claims{}) {
				t.Fatalf("refused with %v, and yet %+v", err, got)
			}
			return
		}
		// Without the keys only what was made with them can open.
		if string(tok) != goldenTicket && fmt.Sprint(got) != fmt.Sprint(c) {
			t.Fatalf("%q opened as %+v", tok, got)
		}
	})
}
