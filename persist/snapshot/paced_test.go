package snapshot

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowFS takes writeTakes for each write.
type slowFS struct{ vfs.FS }

type slowFile struct{ vfs.File }

const writeTakes = time.Millisecond

func (s slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := s.FS.Create(name, c)
	return slowFile{file}, err
}

func (f slowFile) Write(b []byte) (int, error) {
	time.Sleep(writeTakes) // by the test's clock
	return f.File.Write(b)
}

// TestPacedFileRests: behind each block a file rests as long as its share of a
// processor or its bytes a second ask for, whichever is longer, and at the end
// of the context no more.
func TestPacedFileRests(t *testing.T) {
	const blocks = 10
	for _, c := range []struct {
		name string
		pace Pace
		want time.Duration // for a block
	}{
		{"no pace", Pace{}, writeTakes},
		{"a fifth of a processor", Pace{Share: 0.2}, 5 * writeTakes},
		{"bytes", Pace{BytesPerSecond: blockSize * 100}, 10 * time.Millisecond},
		{"both, bytes ask for less", Pace{Share: 0.2, BytesPerSecond: blockSize * 1000}, 5 * writeTakes},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				file, err := paced{slowFS{vfs.NewMem()}, ctx, c.pace}.Create("table", vfs.WriteCategoryUnspecified)
				if err != nil {
					t.Fatal(err)
				}
				write := func() time.Duration {
					begun := time.Now()
					for range blocks {
						if n, err := file.Write(make([]byte, blockSize)); n != blockSize || err != nil {
							t.Fatalf("wrote %d, %v", n, err)
						}
					}
					return time.Since(begun)
				}
				if took := write(); took != blocks*c.want {
					t.Errorf("%d blocks took %v, not %v", blocks, took, blocks*c.want)
				}
				cancel()
				if took := write(); took != blocks*writeTakes {
					t.Errorf("behind the end of the context %d blocks took %v", blocks, took)
				}
				if err := file.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
