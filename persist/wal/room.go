package wal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// room is the zeros that stand in a segment behind its last envelope. A sync of
// a file that grows has to write, besides the data, the file system's own
// journal: twice the time and half as much again of the processor's. So the
// file is made longer a step at a time, and envelopes are written over zeros.
//
// No envelope begins with a zero byte, so where zeros alone follow to the end
// of the file, the segment ends there in good order.
type room struct {
	step int      // bytes; 0: no room is made
	file *os.File // the newest segment, beside tidwall/wal's own descriptor
	end  int64    // of the zeros, or of the file
}

// zeros is what rooms are made of.
var zeros [256 << 10]byte

// next begins a segment, which exists.
func (r *room) next(f *files, path string) error {
	if r.step == 0 {
		return nil
	}
	if err := r.close(); err != nil {
		return err
	}
	return f.do("open segment", path, func() (err error) {
		r.file, err = os.OpenFile(path, os.O_WRONLY, 0)
		return err
	})
}

// make sees to it that n bytes at offset lie within the room. It makes no more
// than a segment of that size can use.
func (r *room) make(f *files, offset, n, segmentSize int64) error {
	if r.step == 0 || offset+n <= r.end {
		return nil
	}
	from := max(r.end, offset)
	to := max(min(from+int64(r.step), segmentSize), offset+n)
	for at := from; at < to; {
		part := zeros[:min(int64(len(zeros)), to-at)]
		if err := f.writeAt(r.file, part, at); err != nil {
			return fmt.Errorf("make room: %w", err)
		}
		at += int64(len(part))
	}
	r.end = to
	return nil
}

func (r *room) close() error {
	file := r.file
	r.file, r.end = nil, 0
	if file == nil {
		return nil
	}
	return file.Close()
}

// onlyRoom counts the zeros that come next. It consumes them only where there
// are any.
func onlyRoom(in *bufio.Reader) (n int64, err error) {
	for {
		b, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, fmt.Errorf("%w: %w", errRead, err)
		case b != 0:
			return n, in.UnreadByte()
		}
		n++
	}
}
