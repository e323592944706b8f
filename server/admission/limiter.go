package admission

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"
)

// Limits of addresses and persons.
type Limits struct {
	IPv4     Rate // of one address
	IPv6     Rate // of one network of IPv6Bits
	IPv6Bits int  // 1…128
	Person   Rate
	Slots    int // of the table, 8 bytes each; rounded up to a power of two
}

// DefaultLimits are for a campaign of a whole country.
//
// An IPv4 address is not a person. Mobile carriers put some thousand
// subscribers behind one, and on the evening of an opening all of them come at
// once: 4,000 people who load a page (five requests) and then ask every two to
// ten seconds make a burst of 20,000 and up to 2,000 a second. So the limit of
// an IPv4 address is a fuse against one source that would take all, no fair
// share. An IPv6 network of 64 bits is one phone or one household: ten people
// who reload. A person needs fewer than a request a second, but comes with
// several devices and tabs, each of which asks again when it is slow.
func DefaultLimits() Limits {
	return Limits{
		IPv4:     mustEvery(2000, 20_000),
		IPv6:     mustEvery(20, 200),
		IPv6Bits: 64,
		Person:   mustEvery(25, 500),
		Slots:    1 << 20,
	}
}

func mustEvery(perSecond float64, burst int) Rate {
	r, err := Every(perSecond, burst)
	if err != nil {
		panic(err)
	}
	return r
}

// Limiter keeps clients to their rates. It is a table of a fixed size, without
// pointers and without locks. Safe for concurrent use.
//
// A row is a cache line of eight slots. A slot is one word (sizes in bits):
//
//	+-------------+---------------------------------+
//	| fingerprint | due, in ticks of 16 µs          |
//	|     20      | 44 (nine years)                 |
//	+-------------+---------------------------------+
//
// A slot whose due has passed says what an empty one says, so nothing is ever
// cleaned up. Where all eight of a row are live the newcomer takes the slot
// that is due first: whoever had it is forgiven, the newcomer starts afresh,
// and neither is punished for the other. Two keys with one row and one
// fingerprint share a slot (one pair in 2^37 with the default of 2^17 rows).
// Each era of ten minutes every key has another row and fingerprint, so that
// no stranger is held up longer than that; the price is one more burst an era.
type Limiter struct {
	limits Limits
	seed   maphash.Seed // of this process: what an address hashes to means nothing elsewhere
	rows   []row
}

type row [rowSlots]atomic.Uint64

const (
	rowSlots = 8
	dueBits  = 44
	dueMask  = 1<<dueBits - 1
	tick     = 16 * time.Microsecond
	era      = 10 * time.Minute

	slotsMax = 1 << 28
)

// NewLimiter returns an empty table.
func NewLimiter(l Limits) (*Limiter, error) {
	if l.IPv6Bits < 1 || l.IPv6Bits > 128 {
		return nil, fmt.Errorf("admission: IPv6 prefix must have 1 to 128 bits, has %d", l.IPv6Bits)
	}
	if l.Slots < 1 || l.Slots > slotsMax {
		return nil, fmt.Errorf("admission: table must have 1 to %d slots, has %d", slotsMax, l.Slots)
	}
	for _, r := range []Rate{l.IPv4, l.IPv6, l.Person} {
		if r.interval <= 0 {
			return nil, fmt.Errorf("admission: a rate is missing: make it with Every")
		}
	}
	rows := 1 << bits.Len(uint((l.Slots-1)/rowSlots))
	return &Limiter{limits: l, seed: maphash.MakeSeed(), rows: make([]row, rows)}, nil
}

// Address asks for one request of addr at now. It returns zero when the
// request may go through, otherwise how long until one may. An address that is
// not valid has no limit of its own and may always.
func (l *Limiter) Address(addr netip.Addr, now time.Duration) time.Duration {
	if !addr.IsValid() {
		return 0
	}
	key, rate := l.addressKey(addr)
	return l.take(key, rate, now)
}

// Hash is Peer.Hash for a client whose address is known.
func (l *Limiter) Hash(addr netip.Addr) uint64 {
	key, _ := l.addressKey(addr)
	return key
}

func (l *Limiter) addressKey(addr netip.Addr) (uint64, Rate) {
	addr = addr.Unmap()
	if addr.Is4() {
		return maphash.Comparable(l.seed, addr.As4()), l.limits.IPv4
	}
	network, _ := addr.WithZone("").Prefix(l.limits.IPv6Bits) // fails only on a zone or a wrong length
	return maphash.Comparable(l.seed, network.Addr().As16()), l.limits.IPv6
}

// Person asks the same for a person, by the key that authentication gave.
func (l *Limiter) Person(person [16]byte, now time.Duration) time.Duration {
	return l.take(maphash.Comparable(l.seed, personKey(person)), l.limits.Person, now)
}

// personKey hashes the same as an IPv6 network with the same bytes, which only
// somebody who knows a person's key could have; so persons get one byte more.
func personKey(person [16]byte) (key [17]byte) {
	copy(key[:], person[:])
	key[16] = 1
	return key
}

func (l *Limiter) take(key uint64, rate Rate, now time.Duration) time.Duration {
	slots, fingerprint := l.locate(key, now)
	for {
		at := choose(slots, fingerprint, ticks(now))
		old := slots[at].Load()
		var due time.Duration
		if old&^dueMask == fingerprint {
			due = time.Duration(old&dueMask) * tick
		}
		next, wait := rate.Take(due, now)
		if wait > 0 {
			return wait
		}
		if slots[at].CompareAndSwap(old, fingerprint|ticks(next+tick-1)) {
			return 0
		}
	}
}

func ticks(d time.Duration) uint64 { return uint64(d/tick) & dueMask }

// locate returns the key's row in this era, and its fingerprint in the bits
// where a slot keeps it.
func (l *Limiter) locate(key uint64, now time.Duration) (*row, uint64) {
	h, low := bits.Mul64(key^uint64(now/era)*0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	h ^= low
	return &l.rows[h&uint64(len(l.rows)-1)], h &^ dueMask
}

// choose returns the slot of the fingerprint, or else the one that is due
// first: an empty one, one that has passed, or the one with the least to lose.
func choose(slots *row, fingerprint, now uint64) int {
	first, least := 0, uint64(dueMask)+1
	for i := range slots {
		word := slots[i].Load()
		due := word & dueMask
		if word&^dueMask == fingerprint && due > now {
			return i
		}
		if due < least {
			first, least = i, due
		}
	}
	return first
}
