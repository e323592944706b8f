package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"weir/core/event"
)

var testPersonKey = [PersonKeySize]byte{0: 1, 7: 9, 31: 200}

// The hash is what people are called in the log: it must never change.
func TestPersonIsFixed(t *testing.T) {
	got := NewHasher(testPersonKey).Person("https://id.example", "person-1")
	if text := hex.EncodeToString(got[:]); text != "76aebe5c29b4ad81cd78ad967e0a41e6" {
		t.Errorf("the person is %s", text)
	}
}

// slowPerson is the definition, written out.
func slowPerson(key [PersonKeySize]byte, issuer, subject string) (person event.PersonKey) {
	mac := hmac.New(sha256.New, key[:])
	for _, part := range []string{issuer, subject} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	copy(person[:], mac.Sum(nil))
	return person
}

func TestPersonAgreesWithItsDefinition(t *testing.T) {
	h := NewHasher(testPersonKey)
	rapid.Check(t, func(t *rapid.T) {
		issuer, subject := rapid.String().Draw(t, "issuer"), rapid.String().Draw(t, "subject")
		if got, want := h.Person(issuer, subject), slowPerson(testPersonKey, issuer, subject); got != want {
			t.Fatalf("the person is %x, want %x", got, want)
		}
	})
}

func TestNoTwoPairsReadAlike(t *testing.T) {
	h := NewHasher(testPersonKey)
	seen := make(map[event.PersonKey][2]string)
	for _, pair := range [][2]string{
		{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}, {"ab\x00", "c"}, {"ab", "\x00c"}, {"c", "ab"}, {"AB", "c"},
	} {
		person := h.Person(pair[0], pair[1])
		if other, there := seen[person]; there {
			t.Errorf("%q and %q are one person", pair, other)
		}
		seen[person] = pair
	}
	other := testPersonKey
	other[31] ^= 1
	if NewHasher(other).Person("ab", "c") == h.Person("ab", "c") {
		t.Error("another key makes the same person")
	}
}

func TestPersonByMany(t *testing.T) {
	h := NewHasher(testPersonKey)
	var group sync.WaitGroup
	for _, subject := range []string{"a", "b", "c", "d"} {
		want := slowPerson(testPersonKey, "i", subject)
		group.Go(func() {
			for range 500 {
				if got := h.Person("i", subject); got != want {
					t.Errorf("%s became %x, want %x", subject, got, want)
					return
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkPerson(b *testing.B) {
	h := NewHasher(testPersonKey)
	b.ReportAllocs()
	for b.Loop() {
		h.Person("https://id.example", "person-1")
	}
}
