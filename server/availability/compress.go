package availability

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encoding is how a body is compressed.
type Encoding uint8

// The encodings. Identity is none.
const (
	Identity Encoding = iota
	Gzip
	Zstd

	encodings
)

var encodingNames = [encodings]string{Identity: "identity", Gzip: "gzip", Zstd: "zstd"}

// String returns the encoding's name in HTTP.
func (e Encoding) String() string {
	if e < encodings {
		return encodingNames[e]
	}
	return fmt.Sprintf("encoding(%d)", uint8(e))
}

// compressFrom is the size, in bytes, below which compressing costs more than
// it saves: about what one packet carries.
const compressFrom = 1 << 10

// gzipWriters are kept because one holds most of a megabyte of tables.
var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// zstdWindow bounds the memory of an encoder, in bytes.
const zstdWindow = 256 << 10

// zstdEncoder has no goroutines: EncodeAll works in the caller's.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

// compress returns body in that encoding, in bytes of its own, and nil where
// that does not make it smaller.
func compress(body []byte, encoding Encoding) []byte {
	if len(body) < compressFrom {
		return nil
	}
	var out []byte
	switch encoding {
	case Gzip:
		out = gzipped(body)
	case Zstd:
		out = zstdEncoder().EncodeAll(body, make([]byte, 0, len(body)/4))
	}
	if len(out) == 0 || len(out) >= len(body) {
		return nil
	}
	return bytes.Clone(out)
}

func gzipped(body []byte) []byte {
	w, _ := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	out := bytes.NewBuffer(make([]byte, 0, len(body)/4))
	w.Reset(out)
	if _, err := w.Write(body); err != nil {
		return nil // a buffer takes every write
	}
	if err := w.Close(); err != nil {
		return nil
	}
	return out.Bytes()
}
