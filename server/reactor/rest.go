//go:build linux

package reactor

import "time"

// Connections that rest are not read until their time has come. They stand in a
// wheel of slots, a tick each, in that of the tick at which they end.
const restSlots = 128

type restWheel struct {
	slots [restSlots][]*conn
	at    int64 // tick whose slot was emptied last
	n     int   // in slots; who was closed meanwhile is among them
}

// rest leaves c unread for about d.
func (l *loop[A]) rest(c *conn, d time.Duration) {
	ticks := int64((d + restTick - 1) / restTick)
	if ticks < 1 {
		return
	}
	c.resting = true
	slot := &l.rests.slots[(l.rests.at+min(ticks, restSlots-1))%restSlots]
	*slot = append(*slot, c)
	l.rests.n++
}

// rouse ends the rests that are over.
func (l *loop[A]) rouse() {
	end := int64(l.now / restTick)
	for l.rests.at = max(l.rests.at, end-restSlots); l.rests.at < end; {
		l.rests.at++
		slot := &l.rests.slots[l.rests.at%restSlots]
		for i, c := range *slot {
			(*slot)[i] = nil
			c.resting, c.aged = false, true
			if !c.closed && c.doing == idling {
				l.again(c)
			}
		}
		l.rests.n -= len(*slot)
		*slot = (*slot)[:0]
	}
}
