package campaign

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"weir/core/event"
)

// A bundle is a definition file and the files that it names, sizes in bytes,
// integers little-endian:
//
//	+--------------+-------+-----------------------------------------------+
//	| "weircmp\x01" | count | count files, the definition first             |
//	|      8       |   1   | name length 1, name, content length 4, content |
//	+--------------+-------+-----------------------------------------------+
//
// The definition goes by its name without the folder, the others by the names
// that the definition calls them; all in the order in which it names them. So
// the same files give the same bytes wherever they lie.
const bundleMagic = "weircmp\x01"

const (
	bundleFilesMax = 2        // the definition and its sites
	definitionMax  = 1 << 20  // bytes of a definition file
	sitesFileMax   = 32 << 20 // bytes of a file of sites
	fileNameMax    = 255      // bytes of a file's name
)

// The largest bundle fits in the record that carries it.
const _ = uint(event.MaxDefinition - (len(bundleMagic) + 1 + bundleFilesMax*(1+fileNameMax+4) + definitionMax + sitesFileMax))

// ErrBundle says that bytes are no bundle of this format.
var ErrBundle = errors.New("malformed campaign bundle")

type bundleFile struct {
	name    string
	content []byte
}

// Bundle returns the definition file and the files that it names in one string
// of bytes, which Load turns into an equal Definition. It is the same bytes for
// the same files, always. The caller must not change them.
func (d *Definition) Bundle() []byte { return d.bundle }

// Digest returns the SHA-256 of the bundle.
func (d *Definition) Digest() [32]byte { return d.digest }

// Load reads a definition from its bundle, with all checks of Parse. It keeps
// nothing of bundle. Errors wrap ErrBundle or are *Problems.
func Load(bundle []byte) (*Definition, error) {
	files, err := splitBundle(bundle)
	if err != nil {
		return nil, fmt.Errorf("campaign: load: %w", err)
	}
	named := files[1:]
	open := func(name string) ([]byte, error) {
		if len(named) == 0 || named[0].name != name {
			return nil, fs.ErrNotExist
		}
		content := named[0].content
		named = named[1:]
		return content, nil
	}
	d, err := Parse(files[0].name, files[0].content, open)
	if err != nil {
		return nil, err
	}
	if len(named) > 0 {
		return nil, fmt.Errorf("campaign: load: %w: a file that the definition does not name", ErrBundle)
	}
	return d, nil
}

func makeBundle(files []bundleFile) []byte {
	bundle := append([]byte(bundleMagic), byte(len(files)))
	for i, f := range files {
		name := f.name
		if i == 0 {
			name = path.Base(name)
		}
		bundle = append(append(bundle, byte(len(name))), name...)
		bundle = binary.LittleEndian.AppendUint32(bundle, uint32(len(f.content)))
		bundle = append(bundle, f.content...)
	}
	return bundle
}

// seal gives d the bundle of the files that it was made from.
func (d *Definition) seal(files []bundleFile) {
	d.bundle = makeBundle(files)
	d.digest = sha256.Sum256(d.bundle)
}

func splitBundle(bundle []byte) ([]bundleFile, error) {
	head := len(bundleMagic) + 1
	if len(bundle) < head || string(bundle[:head-1]) != bundleMagic {
		return nil, fmt.Errorf("%w: it does not begin like one", ErrBundle)
	}
	count := int(bundle[head-1])
	if count < 1 || count > bundleFilesMax {
		return nil, fmt.Errorf("%w: %d files", ErrBundle, count)
	}
	rest := bundle[head:]
	files := make([]bundleFile, count)
	for i := range files {
		name, tail, ok := cutSized(rest, 1)
		content, tail, ok2 := cutSized(tail, 4)
		if !ok || !ok2 {
			return nil, fmt.Errorf("%w: cut short", ErrBundle)
		}
		files[i], rest = bundleFile{name: string(name), content: content}, tail
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrBundle, len(rest))
	}
	if path.Base(files[0].name) != files[0].name {
		return nil, fmt.Errorf("%w: the definition's name has a folder", ErrBundle)
	}
	return files, nil
}

// cutSized cuts a part off that is preceded by its length in size bytes.
func cutSized(b []byte, size int) (part, rest []byte, ok bool) {
	if len(b) < size {
		return nil, nil, false
	}
	length := 0
	for i := range size {
		length |= int(b[i]) << (8 * i)
	}
	if length > len(b)-size {
		return nil, nil, false
	}
	return b[size : size+length], b[size+length:], true
}
