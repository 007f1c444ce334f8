package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/canopychat/canopy/ops/ctl"
)

// newProgress shows a bar on a terminal and writes a line a second anywhere else.
func newProgress(to io.Writer) ctl.Progress {
	if isTerminal(to) {
		return &barProgress{to: to}
	}
	return &lineProgress{to: to}
}

// barProgress is a bar for each thing that begins. What the terminal refuses to show is no reason to stop.
type barProgress struct {
	to  io.Writer
	bar *progressbar.ProgressBar
}

// Begin is of ctl.Progress.
func (p *barProgress) Begin(what string, total int) {
	p.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(p.to), progressbar.OptionSetDescription(fmt.Sprintf("%-24s", what)),
		progressbar.OptionSetWidth(20), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(nil),
	)
}

// Add is of ctl.Progress.
func (p *barProgress) Add(n int) { _ = p.bar.Add(n) } // see barProgress

// End is of ctl.Progress.
func (p *barProgress) End() {
	_ = p.bar.Exit() // see barProgress
	fmt.Fprintln(p.to)
}

// lineEvery is the time between two lines of a lineProgress.
const lineEvery = time.Second

// lineProgress writes lines, for logs and pipes.
type lineProgress struct {
	to          io.Writer
	what        string
	done, total int
	shown       time.Time
	last        int // done when it was shown; -1: not yet
}

// Begin is of ctl.Progress.
func (p *lineProgress) Begin(what string, total int) {
	*p = lineProgress{to: p.to, what: what, total: total, shown: time.Now(), last: -1}
}

// Add is of ctl.Progress.
func (p *lineProgress) Add(n int) {
	p.done += n
	if now := time.Now(); now.Sub(p.shown) >= lineEvery {
		p.shown = now
		p.line()
	}
}

// End is of ctl.Progress.
func (p *lineProgress) End() {
	if p.last != p.done {
		p.line()
	}
}

func (p *lineProgress) line() {
	p.last = p.done
	fmt.Fprintf(p.to, "canopy: %s: %s of %s\n", p.what, ctl.Grouped(p.done), ctl.Grouped(p.total))
}
