//go:build linux

package run

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/crowd"
	"weir/loadtest/evidence"
	"weir/loadtest/judge"
	"weir/loadtest/process"
)

const readyTimeout = 2 * time.Minute // a log of ten million records is to be read again

// server is the one that was started here, and those that took its place. It
// belongs to one goroutine at a time: the one that kills it while the crowd is
// loose.
type server struct {
	binary      string
	dir         string
	args        []string
	addr, admin string
	issuer      crowd.Issuer
	operator    string // the token of the admin listener
	running     *process.Server
	stopped     bool
	downs       []down
}

// down is a time in which the server was down.
type down struct{ from, to time.Time }

// startServer starts a server of that campaign. more are further arguments.
func startServer(ctx context.Context, binary, dir, campaignFile string, more ...string) (*server, error) {
	secretFile, secret, err := newSecret(dir, "identity.secret")
	if err != nil {
		return nil, err
	}
	operatorFile, operator, err := newSecret(dir, "admin.token")
	if err != nil {
		return nil, err
	}
	s := &server{
		binary: binary, dir: dir, operator: operator,
		issuer: crowd.Issuer{Secret: []byte(secret), Name: issuerName, Audience: issuerAudience},
	}
	s.args = []string{
		"--data", s.data(), "--keys-dir", s.keys(), "--campaign", campaignFile, "--log-level", "warn",
		"--identity-hs256-file", secretFile, "--identity-issuer", issuerName, "--identity-audience", issuerAudience,
		"--admin-token-file", operatorFile,
	}
	s.args = append(s.args, more...)
	if s.running, err = process.Start(binary, nil, s.args...); err != nil {
		return nil, err
	}
	s.addr, s.admin = s.running.Addr, s.running.Admin
	return s, s.ready(ctx)
}

// newSecret makes a secret and writes it into a file of that name.
func newSecret(dir, name string) (file, secret string, err error) {
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", "", fmt.Errorf("make secret: %w", err)
	}
	file, secret = filepath.Join(dir, name), hex.EncodeToString(raw[:])
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		return "", "", fmt.Errorf("make secret: %w", err)
	}
	return file, secret, nil
}

// clear removes what the server has written, for one that begins anew.
func (s *server) clear() error {
	if err := errors.Join(os.RemoveAll(s.data()), os.RemoveAll(s.keys())); err != nil {
		return fmt.Errorf("clear the server's directory: %w", err)
	}
	return nil
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }
func (s *server) keys() string { return filepath.Join(s.dir, "keys") }

// ready waits until the server is, and ends it where it is not in time.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.running.Ready(ctx); err != nil {
		s.running.Kill()
		return err
	}
	return nil
}

// restart kills the server and starts another one in its place.
func (s *server) restart(ctx context.Context) error {
	d := down{from: time.Now()}
	s.running.Kill()
	next, err := process.StartAt(s.addr, s.admin, s.binary, nil, s.args...)
	if err != nil {
		return err
	}
	s.running = next
	err = s.ready(ctx)
	d.to = time.Now()
	s.downs = append(s.downs, d)
	return err
}

// ended says whether the server has ended by itself, and why.
func (s *server) ended() error {
	select {
	case <-s.running.Done():
		return fmt.Errorf("the server ended by itself\n%s", s.running.Log())
	default:
		return nil
	}
}

func (s *server) stop() error {
	s.stopped = true
	return s.running.Stop()
}

func (s *server) kill() {
	if !s.stopped {
		s.stopped = true
		s.running.Kill()
	}
}

// downs are the times in which the server was down, since the start.
func (s *session) downs() []judge.Down {
	if s.server == nil {
		return nil
	}
	var downs []judge.Down
	for _, d := range s.server.downs {
		downs = append(downs, judge.Down{From: d.from.Sub(s.began), To: d.to.Sub(s.began)})
	}
	return downs
}

var errExport = errors.New("the export cannot be read")

// readFound reads what is on disk of one campaign.
func readFound(ctx context.Context, disk evidence.Directory, rules *campaign.Definition) (*judge.Found, error) {
	if err := disk.Verify(ctx); err != nil {
		return nil, err
	}
	totals, err := disk.Totals(ctx)
	if err != nil {
		return nil, err
	}
	found := &judge.Found{}
	for _, t := range totals {
		if t.ID == rules.ID {
			found.Totals = t
		}
	}
	err = disk.Bookings(ctx, func(b *evidence.Booking) error {
		if b.Campaign != rules.ID {
			return nil
		}
		one, err := readBooking(b, rules)
		if err != nil {
			return err
		}
		found.Bookings = append(found.Bookings, one)
		return nil
	})
	return found, err
}

func readBooking(b *evidence.Booking, rules *campaign.Definition) (judge.FoundBooking, error) {
	ref, ok1 := core.ParseCode([]byte(b.Code))
	slot, ok2 := rules.FindSlot([]byte(b.Slot))
	one := judge.FoundBooking{Booking: answers.Booking{
		Ref: ref, Slot: slot, Sequence: event.Seq(b.Sequence), Cancelled: b.State == evidence.Cancelled,
	}}
	n, err := hex.Decode(one.Person[:], []byte(b.Person))
	if !ok1 || !ok2 || err != nil || n != len(one.Person) || b.State != evidence.Booked && b.State != evidence.Cancelled {
		return one, fmt.Errorf("%w: %+v", errExport, *b)
	}
	return one, nil
}
