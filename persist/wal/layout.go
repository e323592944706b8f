package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The names in a data directory.
const (
	lockName       = "LOCK"
	identityName   = "IDENTITY"
	walName        = "wal"
	markName       = "mark"
	quarantineName = "quarantine"
	epochPrefix    = "epoch-"
	epochDigits    = 10
	segmentDigits  = 20
)

// segment is one segment file.
type segment struct {
	epoch uint32
	index uint64 // of its first entry in its epoch, from 1: its name
	path  string
	size  int64 // bytes
}

// epochDir is the directory of one epoch. Numbers rise by one from 1.
type epochDir struct {
	number   uint32
	path     string
	segments []segment // by index
}

func epochPath(walDir string, number uint32) string {
	return filepath.Join(walDir, fmt.Sprintf("%s%0*d", epochPrefix, epochDigits, number))
}

func segmentPath(epochDir string, firstEntry uint64) string {
	return filepath.Join(epochDir, fmt.Sprintf("%0*d", segmentDigits, firstEntry))
}

// listEpochs reads the names below walDir. Errors wrap ErrForeign where a name
// cannot be this package's.
func listEpochs(walDir string) ([]epochDir, error) {
	entries, err := os.ReadDir(walDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list epochs: %w", err)
	}
	var epochs []epochDir
	for _, entry := range entries { // sorted by name, so by number
		digits, ok := strings.CutPrefix(entry.Name(), epochPrefix)
		if !ok {
			continue
		}
		path := filepath.Join(walDir, entry.Name())
		number, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || number == 0 || len(digits) != epochDigits || !entry.IsDir() {
			return nil, fmt.Errorf("%w: %s is no epoch; move it elsewhere", ErrForeign, path)
		}
		segments, err := listSegments(path, uint32(number))
		if err != nil {
			return nil, err
		}
		epochs = append(epochs, epochDir{number: uint32(number), path: path, segments: segments})
	}
	return epochs, nil
}

func listSegments(dir string, epoch uint32) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	segments := make([]segment, 0, len(entries))
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		index, err := strconv.ParseUint(entry.Name(), 10, 64)
		if err != nil || index == 0 || len(entry.Name()) != segmentDigits || !entry.Type().IsRegular() {
			return nil, fmt.Errorf("%w: %s is no segment; move it elsewhere", ErrForeign, path)
		}
		info, err := entry.Info()
		if err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		segments = append(segments, segment{epoch: epoch, index: index, path: path, size: info.Size()})
	}
	return segments, nil
}

// flatten lists all segments of all epochs in the order of their records.
func flatten(epochs []epochDir) []segment {
	var all []segment
	for i := range epochs {
		all = append(all, epochs[i].segments...)
	}
	return all
}
