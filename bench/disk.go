//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

const (
	syncProbes    = 200
	syncProbeSize = 4096 // bytes written before each fsync
)

// syncTime is what one append with its fdatasync takes in dir: median and 99th
// percentile of a short probe, one after the other and with nothing beside.
func syncTime(dir string) (p50, p99 time.Duration, err error) {
	file, err := os.Create(filepath.Join(dir, "sync-probe"))
	if err != nil {
		return 0, 0, fmt.Errorf("probe fsync: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	took := hdrhistogram.New(int64(time.Microsecond), int64(waitMax), 3)
	block := make([]byte, syncProbeSize)
	for range syncProbes {
		began := time.Now()
		if _, err := file.Write(block); err != nil {
			return 0, 0, fmt.Errorf("probe fsync: %w", err)
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return 0, 0, fmt.Errorf("probe fsync: %w", err)
		}
		_ = took.RecordValue(int64(min(time.Since(began), waitMax))) // within its range, so it can't fail
	}
	return time.Duration(took.ValueAtQuantile(50)), time.Duration(took.ValueAtQuantile(99)), nil
}
