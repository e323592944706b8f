//go:build linux

package crowd

import (
	"time"

	"weir/core/event"
)

// credentialMax is more than a ticket or pass has bytes.
const credentialMax = 221

// credential is a ticket or a pass as the server wrote it. Of the one before it,
// with which a request may still be under way, the term stays.
type credential struct {
	term, before term
	version      uint8 // of the term
	pass         bool
	size         uint8 // 0: it was lost
	text         [credentialMax]byte
}

// term is from when a credential was told until it ends.
type term struct {
	told    time.Duration
	expires event.Time
}

// lost says that there is nothing to send.
func (c *credential) lost() bool { return c == nil || c.size == 0 }

// termOf is the term of the credential of that version; zero where it is not
// known any more.
func (c *credential) termOf(version uint8) term {
	switch {
	case c == nil:
	case version == c.version:
		return c.term
	case version+1 == c.version:
		return c.before
	}
	return term{}
}

// wallet keeps the credentials of those who are waiting or in session. Places
// are used again. Indices are from 1.
type wallet struct {
	all  []credential
	free []uint32
}

// put keeps a credential in place at, or in a new one where at is 0, and returns
// where; false: it is too long to be one.
func (w *wallet) put(at uint32, text []byte, pass bool, t term) (uint32, bool) {
	if len(text) == 0 || len(text) > credentialMax {
		return at, false
	}
	if at == 0 {
		if n := len(w.free); n > 0 {
			at, w.free = w.free[n-1], w.free[:n-1]
		} else {
			w.all = append(w.all, credential{})
			at = uint32(len(w.all))
		}
	}
	c := &w.all[at-1]
	c.term, c.before = t, c.term
	c.version++
	c.pass, c.size = pass, uint8(copy(c.text[:], text))
	return at, true
}

// get returns the credential in place at, nil for 0.
func (w *wallet) get(at uint32) *credential {
	if at == 0 {
		return nil
	}
	return &w.all[at-1]
}

// version is that of the credential in place at; 0 for none.
func (w *wallet) version(at uint32) uint8 {
	if at == 0 {
		return 0
	}
	return w.all[at-1].version
}

// lose forgets what the credential in place at says, but keeps the place.
func (w *wallet) lose(at uint32) { w.all[at-1].size = 0 }

func (w *wallet) drop(at uint32) {
	if at != 0 {
		w.free = append(w.free, at)
	}
}
