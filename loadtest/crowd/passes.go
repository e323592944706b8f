//go:build linux

package crowd

import "weir/core/event"

// credentialMax is more than a ticket or pass has bytes.
const credentialMax = 238

// credential is a ticket or a pass as the server wrote it.
type credential struct {
	expires event.Time
	pass    bool
	size    uint8
	text    [credentialMax]byte
}

// wallet keeps the credentials of those who are waiting or in session. Places
// are used again. Indices are from 1.
type wallet struct {
	all  []credential
	free []uint32
}

// put keeps a credential in place at, or in a new one where at is 0, and returns
// where; false: it is too long to be one.
func (w *wallet) put(at uint32, text []byte, pass bool, expires event.Time) (uint32, bool) {
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
	c.pass, c.expires, c.size = pass, expires, uint8(copy(c.text[:], text))
	return at, true
}

// get returns the credential in place at, nil for 0.
func (w *wallet) get(at uint32) *credential {
	if at == 0 {
		return nil
	}
	return &w.all[at-1]
}

func (w *wallet) drop(at uint32) {
	if at != 0 {
		w.free = append(w.free, at)
	}
}
