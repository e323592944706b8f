// Package keys keeps the server's secrets in a directory of its own, apart
// from the data: the key that turns people into hashes, the keys that tickets
// and passes are sealed with, and the key that the seeds of draws come from.
//
//	person.key       of the keyed hash of people; made once, never changed
//	draw.key         of the seeds of draws; made where there is none
//	token-1.key      of tickets and passes; more are added by Rotate
//	token-2.key
//
// Back the directory up, and never beside a backup of the data: with both in
// hand anyone can test guesses of who has booked. Without person.key the data
// is sound but nobody in it can be recognised again; Fingerprint, which the
// data may carry, lets a server notice before it serves.
//
// The seed of a draw is a function of draw.key, the campaign and the draw
// (Seed), so it is nowhere on disk before the draw is performed and need not be
// kept: only its hash is in the log, from before the first person joined. Where
// draw.key is lost between the two, that draw cannot be performed: keep it as
// long as a draw is pending.
//
// Rotation of token keys: Rotate adds a key that signs from a moment on; where
// several servers share a line, copy the file to all of them before that
// moment. A running server takes it up with Reload. Once the last token of an
// old key has expired, delete its file and Reload again: the key is retired.
//
// The starts of keys are times of the machine's clock, read here and nowhere
// else, also where the server rehearses at another time.
//
// What it does not protect against: the secrets lie in files in plain text,
// guarded by the file system's permissions alone, and stay in the memory of
// the process. Owners of files are not checked, only modes.
package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"weir/core/event"
	"weir/server/identity"
	"weir/server/token"
)

// Keys is the secrets of one server, ready for use. It is safe for concurrent
// use.
type Keys struct {
	Hasher      *identity.Hasher
	Ring        *token.Ring
	Fingerprint string // of person.key: 16 hex digits, no secret

	dir  string
	draw [secretSize]byte
}

// Open reads the secrets in dir. Where dir does not exist or holds none yet
// they are made (files of mode 0600 in a directory of mode 0700, durable when
// Open returns); two processes that do so at once end up with the same. Files
// that others than their owner can read, or a directory that others can write
// to, are an error that says what to type. So is a directory that has token
// keys and no person.key: a new one would make strangers of everyone.
func Open(dir string) (*Keys, error) {
	k, err := open(dir, time.Now())
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return k, nil
}

func open(dir string, now time.Time) (*Keys, error) {
	if err := prepareDir(dir); err != nil {
		return nil, err
	}
	// The token keys are looked at first: person.key is made before them, so
	// whoever sees one of them and no person.key has lost it.
	ids, err := tokenKeyIDs(dir)
	if err != nil {
		return nil, err
	}
	person, err := readOrMakeSecret(dir, personFile, personHeader, len(ids) == 0)
	if err != nil {
		return nil, err
	}
	// Directories from before there were draws have no draw.key.
	draw, err := readOrMakeSecret(dir, drawFile, drawHeader, true)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		if err := makeTokenKey(dir, 1, now); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	tokenKeys, err := readTokenKeys(dir)
	if err != nil {
		return nil, err
	}
	ring, err := token.NewRing(tokenKeys, event.Time(now.UnixMilli()))
	if err != nil {
		return nil, err
	}
	return &Keys{Hasher: identity.NewHasher(person), Ring: ring, Fingerprint: fingerprint(person), dir: dir, draw: draw}, nil
}

// Seed returns the seed of a campaign's draw: HMAC-SHA-256 under draw.key of
// the campaign's id and the draw's ordinal. It is always the same, and tells
// nothing of the key or of other seeds.
func (k *Keys) Seed(campaignID string, draw uint16) (seed [secretSize]byte) {
	mac := hmac.New(sha256.New, k.draw[:])
	mac.Write(fmt.Appendf(nil, "weir draw seed\n%s\n%d\n", campaignID, draw)) // a hash never fails
	mac.Sum(seed[:0])
	return seed
}

// Reload reads the token keys again and puts them in the place of the ring's.
// With an error the ring stays as it was.
func (k *Keys) Reload() error { return k.reload(time.Now()) }

func (k *Keys) reload(now time.Time) error {
	tokenKeys, err := readTokenKeys(k.dir)
	if err != nil {
		return fmt.Errorf("reload keys: %w", err)
	}
	if err := k.Ring.Replace(tokenKeys, event.Time(now.UnixMilli())); err != nil {
		return fmt.Errorf("reload keys: %w", err)
	}
	return nil
}

// Rotate adds a token key to dir that signs from starts on (taken to the
// second), and returns its id. Servers that run take it up with Reload.
func Rotate(dir string, starts time.Time) (id uint32, err error) {
	for range rotateTries {
		ids, err := tokenKeyIDs(dir)
		if err != nil {
			return 0, fmt.Errorf("rotate keys: %w", err)
		}
		if len(ids) == 0 {
			return 0, fmt.Errorf("rotate keys: %s has no token key yet", dir)
		}
		id = ids[len(ids)-1] + 1
		err = makeTokenKey(dir, id, starts)
		if err == nil {
			return id, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, fmt.Errorf("rotate keys: %w", err)
		}
	}
	return 0, fmt.Errorf("rotate keys: %d others were quicker", rotateTries)
}

// rotateTries bounds how often Rotate goes for the next id when another
// process takes the one that it wanted.
const rotateTries = 100

// fingerprint names a person key without telling anything of it.
func fingerprint(person [identity.PersonKeySize]byte) string {
	digest := sha256.New()
	digest.Write([]byte("weir person key fingerprint\n")) // a hash never fails
	digest.Write(person[:])
	return hex.EncodeToString(digest.Sum(nil)[:8])
}

// prepareDir makes dir where it is not there, and checks its mode.
func prepareDir(dir string) error {
	if err := makeDir(filepath.Clean(dir)); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others can write to %s (mode %04o); type: chmod 700 %s", dir, mode, dir)
	}
	return nil
}

// makeDir makes dir and what is missing above it, durably.
func makeDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}
