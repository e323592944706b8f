package wal

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Identity says what a data directory is. It is written once, when the
// directory is made.
type Identity struct {
	Format    int       `json:"format"`
	ID        string    `json:"id"` // 128 random bits, hex; the log's chain begins with it
	CreatedAt time.Time `json:"created_at"`
	// Rehearsal marks a directory whose clock was shifted. It is never opened
	// for real, nor a real one for a rehearsal.
	Rehearsal bool `json:"rehearsal"`
	// KeyFingerprint names the key that persons were hashed with; empty where
	// none was given. The key itself is kept elsewhere.
	KeyFingerprint string `json:"key_fingerprint,omitempty"`
}

const identityFormat = 1

func (id *Identity) digest() (d digest, err error) {
	raw, err := hex.DecodeString(id.ID)
	if err != nil || len(raw) != len(d) {
		return d, fmt.Errorf("%w: id %q is not 128 bits in hex", ErrForeign, id.ID)
	}
	return digest(raw), nil
}

// ReadIdentity reads the identity of the data directory dir. The error wraps
// fs.ErrNotExist where there is none.
func ReadIdentity(dir string) (Identity, error) {
	var id Identity
	path := filepath.Join(dir, identityName)
	data, err := os.ReadFile(path)
	if err != nil {
		return id, fmt.Errorf("read identity: %w", err)
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return id, fmt.Errorf("%w: %s: %w", ErrForeign, path, err)
	}
	if id.Format != identityFormat {
		return id, fmt.Errorf("%w: %s has format %d, this program reads %d; %s", ErrFormat, path, id.Format, identityFormat, remedyFormat)
	}
	if _, err := id.digest(); err != nil {
		return id, fmt.Errorf("%s: %w", path, err)
	}
	return id, nil
}

// enroll returns the identity of dir, which is locked, and makes one where the
// directory is new. The order is wal/, the mark, the identity: so an identity
// without its mark is a directory that was emptied.
func enroll(dir string, o *Options) (Identity, error) {
	id, err := ReadIdentity(dir)
	switch {
	case err == nil:
		return id, admit(dir, id, o)
	case !errors.Is(err, fs.ErrNotExist):
		return id, err
	}
	if err := unused(dir); err != nil {
		return id, err
	}
	if o.MustExist {
		return id, fmt.Errorf("%w: %s is empty: %w", ErrForeign, dir, fs.ErrNotExist)
	}
	return found(dir, o)
}

// admit says why a directory that exists cannot be opened with o.
func admit(dir string, id Identity, o *Options) error {
	if !o.AnyIdentity && id.Rehearsal != o.Rehearsal {
		kind := map[bool]string{true: "a rehearsal", false: "real operation"}
		return fmt.Errorf("%w: %s was made for %s and cannot be opened for %s; name another directory",
			ErrRehearsal, dir, kind[id.Rehearsal], kind[o.Rehearsal])
	}
	if o.KeyFingerprint != "" && id.KeyFingerprint != "" && o.KeyFingerprint != id.KeyFingerprint {
		return fmt.Errorf("%w: the persons in %s were hashed with the key %s, the key given is %s; give the key that belongs to it",
			ErrKey, dir, id.KeyFingerprint, o.KeyFingerprint)
	}
	return nil
}

// unused says why dir, which has no identity, cannot become a data directory.
func unused(dir string) error {
	epochs, err := listEpochs(filepath.Join(dir, walName))
	if err != nil {
		return err
	}
	if len(epochs) > 0 {
		return fmt.Errorf("%w: %s has a log in %s but no %s; put the file back from a backup, it belongs to the log",
			ErrForeign, dir, walName, identityName)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, entry := range entries {
		switch entry.Name() {
		case lockName, identityName + ".tmp", walName, "lost+found":
		default:
			return fmt.Errorf("%w: %s holds %s; name an empty directory", ErrForeign, dir, entry.Name())
		}
	}
	return nil
}

// found makes a data directory.
func found(dir string, o *Options) (Identity, error) {
	var id digest
	_, _ = rand.Read(id[:]) // never fails
	identity := Identity{
		Format: identityFormat, ID: hex.EncodeToString(id[:]), CreatedAt: time.Now().UTC().Truncate(time.Second),
		Rehearsal: o.Rehearsal, KeyFingerprint: o.KeyFingerprint,
	}
	data, err := json.MarshalIndent(identity, "", "  ")
	if err != nil {
		return identity, fmt.Errorf("identity: %w", err)
	}
	walDir := filepath.Join(dir, walName)
	if err := o.files.mkdir(walDir); err != nil {
		return identity, err
	}
	genesis := mark{head: head{digest: id}, identity: id, clean: true}
	if err := createMark(&o.files, filepath.Join(walDir, markName), genesis); err != nil {
		return identity, err
	}
	for _, path := range []string{walDir, dir, filepath.Dir(dir)} {
		if err := o.files.syncDir(path); err != nil {
			return identity, err
		}
	}
	return identity, o.files.replace(filepath.Join(dir, identityName), append(data, '\n'))
}
