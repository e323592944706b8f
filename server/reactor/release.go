//go:build linux

package reactor

// release sends the kept answers whose records are durable by now.
func (l *loop[A]) release() {
	if l.shelf.n == 0 {
		return
	}
	durable := l.journal.Durable()
	if r, over := l.waiter.answer(); over && r.err != nil {
		l.lose(r)
	} else if over {
		durable = max(durable, r.seq)
	}
	for k := l.shelf.oldest(); k != nil && k.seq <= durable; k = l.shelf.oldest() {
		l.deliver(k, k.bytes)
	}
	if k := l.shelf.oldest(); k != nil {
		l.waiter.ask(l.journal, k.seq)
	}
}

// lose gives up the oldest answers that rest on records no newer than one that
// is not known to be durable.
func (l *loop[A]) lose(r waitResult) {
	durable := l.journal.Durable() // it may be by now
	for k := l.shelf.oldest(); k != nil && k.seq <= r.seq; k = l.shelf.oldest() {
		if k.seq <= durable {
			l.deliver(k, k.bytes)
			continue
		}
		k.to.ending = true
		l.deliver(k, l.reactor.config.Lost(&k.account, r.err))
	}
}

// deliver sends a kept answer and drops it.
func (l *loop[A]) deliver(k *kept[A], b []byte) {
	c := k.to
	l.reactor.config.Left(&k.account)
	if !c.closed && l.send(c, b) == nil {
		l.answered(c)
	}
	l.shelf.drop()
}
