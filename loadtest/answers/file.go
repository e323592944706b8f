package answers

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"weir/core/event"
)

// A file is a run of blocks. Numbers are little-endian, sizes in bytes.
//
//	+-------+------+--------+-------+---------+-------------+
//	| magic | type | length | count | CRC-32C | body        |
//	|   3   |  1   |   4    |   4   |    4    | length      |
//	+-------+------+--------+-------+---------+-------------+
//
// The checksum (Castagnoli) is over the twelve bytes before it and the body.
// The first block is the header (type 'H', JSON), the last the end (type 'E',
// the number of records as 8 bytes); between them are blocks of count records
// (type 'A').
const (
	magic      = "wA1"
	headSize   = 16
	headerType = 'H'
	answerType = 'A'
	endType    = 'E'

	blockSize = 64 << 10 // bytes, at which a recorder writes
	bodyMax   = blockSize + recordMax
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged says that a file cannot be what was written, other than by ending
// early.
var ErrDamaged = errors.New("damaged file of answers")

// Header says what the answers are of.
type Header struct {
	Scenario string `json:"scenario"`
	Campaign string `json:"campaign"`
	Seed     uint64 `json:"seed"`
	People   uint32 `json:"people"`
	// Eligible is the share of them that may book: with the seed it says who was
	// born when.
	Eligible float64 `json:"eligible"`
	// Began is the server's clock, in Unix milliseconds, at the moment from
	// which Sent and Answered count, as far as the client could tell: it was
	// that, give or take ClockError.
	Began      event.Time    `json:"began"`
	ClockError time.Duration `json:"clock_error_ns"`
}

// File is a file of answers that is being written. Recorder may be called by
// any goroutine; Close ends them all.
type File struct {
	file    *os.File
	records atomic.Int64

	mu        sync.Mutex
	recorders []*Recorder // under mu
}

// Create makes the file, which must not be there yet, and writes its header.
func Create(name string, h *Header) (*File, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make file of answers: %w", err)
	}
	f := &File{file: file}
	if err := f.write(appendBlock(nil, headerType, 1, body)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

// Recorder returns a new recorder, which belongs to the goroutine that uses it.
func (f *File) Recorder() *Recorder {
	r := &Recorder{to: f, block: make([]byte, headSize, headSize+bodyMax)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recorders = append(f.recorders, r)
	return r
}

// Close writes what the recorders still have and the end, and closes the file.
// Nobody may use a recorder any more.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, r := range f.recorders {
		err = errors.Join(err, r.Flush())
	}
	if err == nil { // else the file is not whole and must not look so
		err = f.write(appendBlock(nil, endType, 1, binary.LittleEndian.AppendUint64(nil, uint64(f.records.Load()))))
	}
	return errors.Join(err, f.file.Close())
}

// write appends whole blocks, in one call so that those of several recorders
// do not mix.
func (f *File) write(blocks []byte) error {
	if _, err := f.file.Write(blocks); err != nil {
		return fmt.Errorf("write answers: %w", err)
	}
	return nil
}

// Recorder writes answers into a file. It is for one goroutine.
type Recorder struct {
	to     *File
	block  []byte // with room for its head
	count  uint32
	encode encoder
}

// Add notes an answer and keeps nothing of it. An error says that the file
// cannot be written; what was not written is lost then.
func (r *Recorder) Add(a *Answer) error {
	if len(a.Bookings) > bookingsMax || len(a.Shown.Left) > shownMax || len(a.Draws) > drawsMax {
		return fmt.Errorf("write answers: %d bookings, %d slots and %d draws in one answer, at most %d, %d and %d",
			len(a.Bookings), len(a.Shown.Left), len(a.Draws), bookingsMax, shownMax, drawsMax)
	}
	r.block = r.encode.append(r.block, a)
	if r.count++; len(r.block) < headSize+blockSize {
		return nil
	}
	return r.Flush()
}

// Flush writes what is buffered, so that a client that is killed later has
// left it.
func (r *Recorder) Flush() error {
	if r.count == 0 {
		return nil
	}
	closeBlock(r.block, answerType, r.count)
	err := r.to.write(r.block)
	if err == nil {
		r.to.records.Add(int64(r.count))
	}
	r.block, r.count, r.encode = r.block[:headSize], 0, encoder{}
	return err
}

func appendBlock(dst []byte, kind byte, count uint32, body []byte) []byte {
	from := len(dst)
	dst = append(append(dst, make([]byte, headSize)...), body...)
	closeBlock(dst[from:], kind, count)
	return dst
}

// closeBlock fills in the head of a block whose body is there.
func closeBlock(block []byte, kind byte, count uint32) {
	copy(block, magic)
	block[3] = kind
	binary.LittleEndian.PutUint32(block[4:], uint32(len(block)-headSize))
	binary.LittleEndian.PutUint32(block[8:], count)
	sum := crc32.Update(crc32.Checksum(block[:12], castagnoli), castagnoli, block[headSize:])
	binary.LittleEndian.PutUint32(block[12:], sum)
}

// Summary is what a file had.
type Summary struct {
	Header  Header
	Answers int64
	// Whole says that the client closed the file: nothing is missing.
	Whole bool
}

// ReadHeader reads what a file of answers is of.
func ReadHeader(name string) (Header, error) {
	done := errors.New("the header is read")
	s, err := Read(name, func(*Answer) error { return done })
	if errors.Is(err, done) {
		err = nil
	}
	return s.Header, err
}

// Read hands every answer of a file to yield, which keeps nothing of it, until
// yield fails. A file that ends early is read as far as it goes; ErrDamaged
// says that it is wrong in another way.
func Read(name string, yield func(*Answer) error) (Summary, error) {
	file, err := os.Open(name)
	if err != nil {
		return Summary{}, fmt.Errorf("read answers: %w", err)
	}
	defer func() { _ = file.Close() }()
	s, err := read(bufio.NewReaderSize(file, 1<<20), yield)
	if err != nil {
		return s, fmt.Errorf("read answers: %s: %w", name, err)
	}
	return s, nil
}

func read(in io.Reader, yield func(*Answer) error) (s Summary, err error) {
	var head [headSize]byte
	var body []byte
	for blocks := 0; ; blocks++ {
		var whole bool
		if body, whole, err = readBlock(in, &head, body); err != nil {
			return s, fmt.Errorf("block %d: %w", blocks, err)
		}
		if !whole {
			if blocks == 0 {
				return s, fmt.Errorf("%w: it has no header", ErrDamaged)
			}
			return s, nil
		}
		if (blocks == 0) != (head[3] == headerType) || s.Whole {
			return s, fmt.Errorf("block %d: %w: it is not where it belongs", blocks, ErrDamaged)
		}
		if err := s.take(&head, body, yield); err != nil {
			return s, fmt.Errorf("block %d: %w", blocks, err)
		}
	}
}

// readBlock reads a block into body; whole is false where the file ends before
// the block does.
func readBlock(in io.Reader, head *[headSize]byte, body []byte) (got []byte, whole bool, err error) {
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return body, false, unlessEnd(err)
	}
	length := binary.LittleEndian.Uint32(head[4:])
	if string(head[:3]) != magic || length > bodyMax {
		return body, false, fmt.Errorf("%w: no block begins here", ErrDamaged)
	}
	if cap(body) < int(length) {
		body = make([]byte, length)
	}
	body = body[:length]
	if _, err := io.ReadFull(in, body); err != nil {
		return body, false, unlessEnd(err)
	}
	sum := crc32.Update(crc32.Checksum(head[:12], castagnoli), castagnoli, body)
	if sum != binary.LittleEndian.Uint32(head[12:]) {
		return body, false, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	return body, true, nil
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (s *Summary) take(head *[headSize]byte, body []byte, yield func(*Answer) error) error {
	switch head[3] {
	case headerType:
		if err := json.Unmarshal(body, &s.Header); err != nil {
			return fmt.Errorf("%w: header: %w", ErrDamaged, err)
		}
		return nil
	case endType:
		if len(body) != 8 || binary.LittleEndian.Uint64(body) != uint64(s.Answers) {
			return fmt.Errorf("%w: the end counts other records than there are %d", ErrDamaged, s.Answers)
		}
		s.Whole = true
		return nil
	case answerType:
		return s.answers(binary.LittleEndian.Uint32(head[8:]), body, yield)
	}
	return fmt.Errorf("%w: unknown type of block", ErrDamaged)
}

func (s *Summary) answers(count uint32, body []byte, yield func(*Answer) error) error {
	d, read := decoder{in: body}, uint32(0)
	var a Answer
	for d.next(&a) {
		read++
		if err := yield(&a); err != nil {
			return err
		}
	}
	s.Answers += int64(read)
	if d.err != nil {
		return fmt.Errorf("%w: record %d: %w", ErrDamaged, read, d.err)
	}
	if read != count {
		return fmt.Errorf("%w: %d records where there should be %d", ErrDamaged, read, count)
	}
	return nil
}
