package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"weir/persist/recovery"
)

// progress shows how far long work has come, on a terminal only: a file or a
// pipe gets nothing. The zero value shows nothing. It is for one goroutine.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress returns a progress of work that is counted in bytes.
func newProgress(w io.Writer, what string) *progress {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100e6), // nanoseconds
	)}
}

// set shows done of total bytes.
func (p *progress) set(done, total int64) {
	if p.bar == nil {
		return
	}
	if total > 0 && p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(done) // what cannot be shown is no reason to stop
}

// finish takes the line away.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish() // as in set
	}
}

// recovery shows how far a recovery has come.
func (p *progress) recovery(at recovery.Progress) { p.set(at.Bytes, at.Total) }
