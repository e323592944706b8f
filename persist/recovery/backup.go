package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/core"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// A backup is a data directory, complete and closed, with a list of its files.
// So every tool that reads a data directory reads a backup.
const listName = "BACKUP"

// Contents is the list of a backup's files, JSON, written last.
type Contents struct {
	At    time.Time    `json:"at"`
	Files []BackupFile `json:"files"`
}

// BackupFile is one file of a backup.
type BackupFile struct {
	Path   string `json:"path"` // below the backup
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Backup is what a backup came to.
type Backup struct {
	Files       int    `json:"files"`
	Bytes       int64  `json:"bytes"`
	LinkedFiles int    `json:"linked_files"` // the same as in the earlier backup, and shared with it
	LinkedBytes int64  `json:"linked_bytes"`
	Recovered   Report `json:"recovered"` // what the copy was recovered to, when it was tried
}

// MakeBackup copies the data directory dir to to, which must not be there or be
// empty, while a server may be using it: the server goes on. The copy is then
// recovered in memory, into state, which must be empty: so it is known to be
// good, up to the newest record that was in it. Files that an earlier backup
// has, since, are linked instead of written again where the file system can;
// "" is none. Nothing is changed in dir.
func MakeBackup(ctx context.Context, dir, to, since string, state State) (Backup, error) {
	b, err := makeBackup(ctx, dir, to, since)
	if err != nil {
		return b, fmt.Errorf("backup %s: %w", dir, err)
	}
	b.Recovered, err = Replay(ctx, to, state, nil)
	if err != nil {
		return b, fmt.Errorf("backup %s: the copy cannot be recovered: %w", dir, err)
	}
	return b, nil
}

func makeBackup(ctx context.Context, dir, to, since string) (Backup, error) {
	c := &copying{from: dir, to: to, since: since, earlier: map[string]BackupFile{}}
	if since != "" {
		list, err := readContents(since)
		if err != nil {
			return c.done, fmt.Errorf("the earlier backup: %w", err)
		}
		for _, f := range list.Files {
			c.earlier[f.Path] = f
		}
	}
	if err := emptyDir(to); err != nil {
		return c.done, err
	}
	if err := c.live(ctx); err != nil {
		return c.done, err
	}
	return c.done, c.finish()
}

// live copies a data directory that may be in use.
func (c *copying) live(ctx context.Context) error {
	release, err := holdStill(ctx, c.from)
	if err != nil {
		return err
	}
	defer release()
	files, err := filesOf(c.from)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := c.file(ctx, f.Path, f.Size, ""); err != nil {
			return err
		}
	}
	return syncTree(c.to)
}

// filesOf lists all files of a data directory that a copy of it needs.
func filesOf(dir string) ([]wal.LogFile, error) {
	if err := finished(dir); err != nil {
		return nil, err
	}
	files, err := wal.Files(dir)
	if err != nil {
		return nil, err
	}
	id, err := wal.ReadIdentity(dir)
	if err != nil {
		return nil, err
	}
	d, err := snapshots(dir, id, nil)
	if err != nil {
		return nil, err
	}
	found, err := d.List()
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		some, err := filesOfSnapshot(dir, f)
		if err != nil {
			return nil, err
		}
		files = append(files, some...)
	}
	return files, nil
}

// filesOfSnapshot lists a snapshot's files, the seal last.
func filesOfSnapshot(dir string, f snapshot.Found) (files []wal.LogFile, err error) {
	store := filepath.Join(dir, snapshotName, f.Name)
	add := func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		files = append(files, wal.LogFile{Path: below, Size: info.Size()})
		return err
	}
	entries, err := os.ReadDir(store)
	if err != nil {
		return nil, fmt.Errorf("list snapshot: %w", err)
	}
	for _, e := range entries {
		if err := add(filepath.Join(store, e.Name())); err != nil {
			return nil, fmt.Errorf("list snapshot: %w", err)
		}
	}
	return files, add(store + ".seal")
}

// emptyDir makes a directory, or says why it is not one that nothing is in.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: it has %s; name another directory", dir, entries[0].Name())
	}
	return nil
}

// copying is a copy of a data directory on its way.
type copying struct {
	from, to, since string
	earlier         map[string]BackupFile
	list            []BackupFile
	done            Backup
	buf             []byte
}

// errChanged says that a file is not what the list of its backup says.
var errChanged = errors.New("not what the backup's list says")

// file copies the first size bytes of a file, which have to have that hash
// where it is not "".
func (c *copying) file(ctx context.Context, path string, size int64, want string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	target := filepath.Join(c.to, path)
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	hash, err := c.write(filepath.Join(c.from, path), target, size)
	if err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	if want != "" && want != hash {
		return fmt.Errorf("copy %s: %w: %w", path, errChanged, core.ErrCorrupt)
	}
	entry := BackupFile{path, size, hash}
	if c.earlier[path] == entry && c.link(path, target) {
		c.done.LinkedFiles++
		c.done.LinkedBytes += size
	}
	c.list = append(c.list, entry)
	c.done.Files++
	c.done.Bytes += size
	return nil
}

// link puts the earlier backup's file in place of the copy just made. That it
// is the same is known of its list alone, so it is read as well.
func (c *copying) link(path, target string) bool {
	earlier := filepath.Join(c.since, path)
	if hash, err := hashFile(earlier); err != nil || hash != c.earlier[path].SHA256 {
		return false
	}
	temporary := target + ".link"
	if os.Link(earlier, temporary) != nil {
		return false
	}
	return os.Rename(temporary, target) == nil
}

func (c *copying) write(from, to string, size int64) (hash string, err error) {
	source, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o640)
	if err != nil {
		return "", err
	}
	if c.buf == nil {
		c.buf = make([]byte, 1<<20)
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(target, sum), io.LimitReader(source, size), c.buf)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = target.Sync()
	}
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(err, target.Close())
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(err, f.Close())
}

// finish makes all names durable and writes the list.
func (c *copying) finish() error {
	if err := syncTree(c.to); err != nil {
		return err
	}
	data, err := json.MarshalIndent(Contents{At: time.Now().UTC().Truncate(time.Second), Files: c.list}, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(c.to, listName)
	if err := os.WriteFile(path+".tmp", append(data, '\n'), 0o640); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncTree(c.to)
}

// syncTree makes everything below dir durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() && entry.Name() != listName {
			return err
		}
		return syncDir(path)
	})
}

// syncDir makes the names in a directory durable; of a file, what is in it.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func readContents(dir string) (Contents, error) {
	var c Contents
	data, err := os.ReadFile(filepath.Join(dir, listName))
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, fmt.Errorf("%s is no finished backup: %w", dir, err)
	}
	for _, f := range c.Files {
		if !filepath.IsLocal(f.Path) || strings.Contains(f.Path, "\\") {
			return c, fmt.Errorf("%s: its list names %q", dir, f.Path)
		}
	}
	return c, nil
}
