package keys

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/core/event"
	"weir/server/identity"
	"weir/server/token"
)

// A key file is one line of text, its fields parted by single spaces:
//
//	weir-person-key 1 SECRET
//	weir-draw-key 1 SECRET
//	weir-token-key 1 ID STARTS SECRET
//
// 1 is the version of the format, SECRET 64 hex digits in lower case, ID the
// number in the file's name, STARTS a time in RFC 3339, UTC, whole seconds.
const (
	personFile   = "person.key"
	personHeader = "weir-person-key 1 "
	drawFile     = "draw.key"
	drawHeader   = "weir-draw-key 1 "
	tokenPrefix  = "token-"
	tokenSuffix  = ".key"
	tokenHeader  = "weir-token-key 1 "

	secretSize  = 32
	maxFileSize = 1 << 10
)

// The sizes of all secrets are one, so that one reader does.
var (
	_ = [secretSize]byte{} == [identity.PersonKeySize]byte{}
	_ = [secretSize]byte{} == [token.SecretSize]byte{}
)

func tokenFile(id uint32) string {
	return tokenPrefix + strconv.FormatUint(uint64(id), 10) + tokenSuffix
}

// readOrMakeSecret reads a file that is its header and a secret, and makes it
// first where it is not there and may be made.
func readOrMakeSecret(dir, name, header string, mayMake bool) (key [secretSize]byte, err error) {
	path := filepath.Join(dir, name)
	_, err = os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !mayMake {
			return key, fmt.Errorf("%s has token keys but no %s: bring it back from its backup", dir, name)
		}
		err = create(dir, name, header+newSecret()+"\n")
		if errors.Is(err, fs.ErrExist) {
			err = nil // another process was quicker: its key is the one
		}
	}
	if err != nil {
		return key, err
	}
	line, err := readLine(path)
	if err != nil {
		return key, err
	}
	rest, ok := strings.CutPrefix(line, header)
	if !ok {
		return key, fmt.Errorf("%s is no %s key of a format that is known", path, strings.TrimSuffix(name, ".key"))
	}
	if key, ok = parseSecret(rest); !ok {
		return key, fmt.Errorf("%s: its secret is damaged", path)
	}
	return key, nil
}

// makeTokenKey adds a token key. The error wraps fs.ErrExist where there is
// one with that id.
func makeTokenKey(dir string, id uint32, starts time.Time) error {
	text := fmt.Sprintf("%s%d %s %s\n", tokenHeader, id, starts.UTC().Format(time.RFC3339), newSecret())
	return create(dir, tokenFile(id), text)
}

// tokenKeyIDs lists the ids of the token keys in dir, ascending.
func tokenKeyIDs(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var ids []uint32
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, tokenPrefix) || !strings.HasSuffix(name, tokenSuffix) {
			continue
		}
		number := strings.TrimSuffix(strings.TrimPrefix(name, tokenPrefix), tokenSuffix)
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil || id == 0 || tokenFile(uint32(id)) != name {
			return nil, fmt.Errorf("%s looks like a token key but is not named as one (%s1%s)", filepath.Join(dir, name), tokenPrefix, tokenSuffix)
		}
		ids = append(ids, uint32(id))
	}
	slices.Sort(ids)
	return ids, nil
}

func readTokenKeys(dir string) ([]token.Key, error) {
	ids, err := tokenKeyIDs(dir)
	if err != nil {
		return nil, err
	}
	keys := make([]token.Key, len(ids))
	for i, id := range ids {
		keys[i], err = readTokenKey(filepath.Join(dir, tokenFile(id)), id)
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func readTokenKey(path string, id uint32) (key token.Key, err error) {
	line, err := readLine(path)
	if err != nil {
		return key, err
	}
	rest, ok := strings.CutPrefix(line, tokenHeader)
	fields := strings.Split(rest, " ")
	if !ok || len(fields) != 3 {
		return key, fmt.Errorf("%s is no token key of a format that is known", path)
	}
	if fields[0] != strconv.FormatUint(uint64(id), 10) {
		return key, fmt.Errorf("%s holds the key %.20q: it was renamed or copied", path, fields[0])
	}
	starts, err := time.Parse(time.RFC3339, fields[1])
	if err != nil {
		return key, fmt.Errorf("%s: its start: %w", path, err)
	}
	secret, ok := parseSecret(fields[2])
	if !ok {
		return key, fmt.Errorf("%s: its secret is damaged", path)
	}
	return token.Key{ID: id, Starts: event.Time(starts.UnixMilli()), Secret: secret}, nil
}

func newSecret() string {
	var secret [secretSize]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(secret[:])
}

func parseSecret(text string) (secret [secretSize]byte, ok bool) {
	if len(text) != hex.EncodedLen(secretSize) || strings.ToLower(text) != text {
		return secret, false
	}
	_, err := hex.Decode(secret[:], []byte(text))
	return secret, err == nil && secret != [secretSize]byte{}
}

// readLine reads a file of one line that nobody but its owner may read.
func readLine(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // only read from: closing loses nothing
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("others than its owner can use %s (mode %04o); type: chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return "", err
	}
	line, ok := strings.CutSuffix(string(text), "\n")
	if !ok || len(text) > maxFileSize || strings.Contains(line, "\n") {
		return "", fmt.Errorf("%s is not one line of text", path)
	}
	return line, nil
}

// create makes the file name in dir, all at once and durable: it is written
// and synced under another name, and then linked to its own, which only one
// process can do. The error wraps fs.ErrExist where the name is taken.
func create(dir, name, text string) (err error) {
	draft, err := os.CreateTemp(dir, "."+name+".*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if removed := os.Remove(draft.Name()); err == nil {
			err = removed
		}
	}()
	if err := writeSynced(draft, text); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(file *os.File, text string) error {
	_, err := file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDir(dir string) error {
	handle, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(handle.Sync(), handle.Close())
}
