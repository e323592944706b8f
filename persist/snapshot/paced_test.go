package snapshot

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPacedFileRests: behind each block a file rests as long as its share of a
// processor or its bytes a second ask for, whichever is longer, and at the end
// of the context no more.
func TestPacedFileRests(t *testing.T) {
	const blockTakes = time.Millisecond
	for _, c := range []struct {
		name string
		pace Pace
		want time.Duration
	}{
		{"a fifth of a processor", Pace{Share: 0.2}, 4 * blockTakes},
		{"bytes", Pace{BytesPerSecond: blockSize * 100}, 9 * blockTakes},
		{"both, bytes ask for less", Pace{Share: 0.2, BytesPerSecond: blockSize * 1000}, 4 * blockTakes},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				created, err := paced{vfs.NewMem(), ctx, c.pace}.Create("table", vfs.WriteCategoryUnspecified)
				if err != nil {
					t.Fatal(err)
				}
				file := created.(*pacedFile)
				write := func(bytes int) (rested time.Duration) {
					begun := time.Now()
					file.pacer.begun = begun.Add(-blockTakes) // that has been worked
					if n, err := file.Write(make([]byte, bytes)); n != bytes || err != nil {
						t.Fatalf("wrote %d, %v", n, err)
					}
					return time.Since(begun)
				}
				if rested := write(blockSize - 1); rested != 0 {
					t.Errorf("rested %v within a block", rested)
				}
				if rested := write(1); rested != c.want {
					t.Errorf("rested %v behind a block, not %v", rested, c.want)
				}
				cancel()
				if rested := write(blockSize); rested != 0 {
					t.Errorf("rested %v behind the end of the context", rested)
				}
				if err := file.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestNoPace: a file without a pace is the file itself.
func TestNoPace(t *testing.T) {
	file, err := paced{vfs.NewMem(), t.Context(), Pace{}}.Create("table", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, is := file.(*pacedFile); is {
		t.Error("it is paced")
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}
