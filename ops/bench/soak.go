//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/bench/flat"
	"github.com/canopychat/canopy/ops/bench/site"
	"github.com/canopychat/canopy/ops/bench/traffic"
)

// figure is one of the figures that must stay flat.
type figure struct {
	name  string
	unit  float64 // how much of what is looked at makes one of what is printed
	word  string  // of the unit
	of    func(look) float64
	bound flat.Bound
}

const mib = 1 << 20

// figures are judged. With the steady mix some five sockets end a second, and some fifty other things happen that could
// leave something behind; in the eight minutes after the warm-up that is 2,400 and 24,000. What leaves one goroutine or
// descriptor in a hundred sockets, or two kilobytes at each, is beyond these bounds.
var figures = []figure{
	// Some tens serve what is on its way at the moment of a look: requests, sends, pages for those behind.
	{"goroutines", 1, "", func(l look) float64 { return float64(l.Goroutines) }, flat.Bound{Relative: 0.05, Floor: 10}},
	// Of those people who are about to come back there are now more, now fewer; and files are opened and closed.
	{"descriptors", 1, "", func(l look) float64 { return float64(l.Descriptors) }, flat.Bound{Relative: 0.03, Floor: 16}},
	// Live objects, right after a collection. Caches of bounded size were filled before; the ids of the last two minutes
	// (the log's window for duplicates) come and go.
	{"live heap", mib, "MiB", func(l look) float64 { return float64(l.Live) }, flat.Bound{Relative: 0.05, Floor: 4 * mib}},
	// The same with the holes between them: growth here alone would be fragmentation.
	{"heap in use", mib, "MiB", func(l look) float64 { return float64(l.InUse) }, flat.Bound{Relative: 0.10, Floor: 8 * mib}},
	// Everything, also SQLite's own memory, which is not on Go's heap. Go gives pages back late, and the heap that a
	// collection finds is as large as chance has it: so the bound is wide.
	{"resident", mib, "MiB", func(l look) float64 { return float64(l.Resident) }, flat.Bound{Relative: 0.15, Floor: 32 * mib}},
}

// warmShare is the share of a soak that is not judged: pools, caches and tables reach their size. In ten minutes it is
// two, as long as the log's window for duplicates.
const warmShare = 0.2

// look is one look at the server.
type look struct {
	At          time.Duration `json:"at_ns"`
	Goroutines  int           `json:"goroutines"`
	Descriptors int           `json:"descriptors"`
	Live        int           `json:"live_bytes"`
	InUse       int           `json:"in_use_bytes"`
	Resident    int           `json:"resident_bytes"`
	Open        int           `json:"open"` // sockets, by the clients' count
	CPU         time.Duration `json:"cpu_ns"`
}

// Soak is a time of steady traffic, and what the server had of it.
type Soak struct {
	Sockets  int                     `json:"sockets"`
	Asked    time.Duration           `json:"asked_ns"`
	Took     time.Duration           `json:"took_ns"`
	Looks    []look                  `json:"looks"`
	Done     map[string]int          `json:"done"`
	Oddity   string                  `json:"oddity,omitempty"`
	Counters map[string]int          `json:"counters"` // of the server's, by how much they rose
	Verdicts map[string]flat.Verdict `json:"verdicts"`
	Idle     []string                `json:"never_done,omitempty"`
	LeftOpen int                     `json:"left_open"` // sockets that the server still counts after all clients have gone
}

// mustHappen is what makes a soak one: without it the figures say nothing.
var mustHappen = []string{"message.ack", "message.deliver", "event", "resumed", "left without a word", "left with a close frame",
	"history read", "logged in", "channels leave", "channels join", "garbage sent"}

// errGrows ends the program with 1; the lines say what grows.
var errGrows = errors.New("a figure grows")

// measureSoak has the server serve steady traffic. When ctx ends early, it gives what there is.
func measureSoak(ctx context.Context, s *site.Site, o options) (k *Soak, err error) {
	sv, err := s.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sv.Stop()) }()
	if len(sv.Run.Logins) == 0 {
		return nil, errors.New("run.json names nobody who can sign in")
	}
	who := sv.Run.Logins[0]
	mix := traffic.NewMix(traffic.Options{
		Place: traffic.Place{Address: sv.Address(), Workspace: s.Workspace}, Tokens: s.Tokens[:o.soakSockets],
		Slow: max(1, o.soakSockets/50), Rates: traffic.Steady, Login: who.Login, Password: who.Password,
	})
	if err := mix.Prepare(ctx, o.soakFill); err != nil {
		return nil, fmt.Errorf("fill the channels: %w", err)
	}
	before, err := sv.Emptied(ctx) // the sockets that filled the channels are not of the soak
	if err != nil {
		return nil, err
	}
	k = &Soak{Sockets: o.soakSockets, Asked: o.soak}
	started := time.Now()
	// Not a deadline: a dial that meets one fails a moment before ctx ends, and would look odd.
	running, stop := context.WithCancel(ctx)
	end := time.AfterFunc(o.soak, stop)
	defer end.Stop()
	var traffickers sync.WaitGroup
	traffickers.Go(func() { mix.Run(running) })
	err = k.watch(running, sv, mix, o)
	stop()
	traffickers.Wait()
	k.Took = time.Since(started)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // it may have ended by Ctrl-C; the server still answers
	after, err := sv.Emptied(ctx)
	k.LeftOpen = after[site.SocketsCounter] - before[site.SocketsCounter]
	k.Counters = risen(before, after)
	k.judge(mix)
	return k, err
}

// watch looks at the server until ctx ends.
func (k *Soak) watch(ctx context.Context, sv *site.Server, mix *traffic.Mix, o options) error {
	p := &printer{to: os.Stdout}
	if o.json {
		p.to = io.Discard
	}
	p.line("soak: %d sockets for %v, a look every %v; the first %.0f %% is warm-up", o.soakSockets, o.soak, o.soakEvery, 100*warmShare)
	started := time.Now()
	turn := time.NewTicker(o.soakEvery)
	defer turn.Stop()
	used, err := site.CPUOf(sv.PID())
	if err != nil {
		return err
	}
	last := look{CPU: used}
	for {
		select {
		case <-ctx.Done():
			return p.err
		case <-turn.C:
		}
		l, err := lookAt(ctx, sv)
		if ctx.Err() != nil {
			return p.err
		}
		if err != nil {
			return err
		}
		l.At, l.Open = time.Since(started), mix.Open()
		k.Looks = append(k.Looks, l)
		warm := ""
		if l.At < warmOf(o.soak) {
			warm = "  warm-up"
		}
		p.line("  %6v  goroutines %4d  descriptors %5d  live heap %6.1f  in use %6.1f  resident %6.1f MiB  open %d  CPU %3.0f %%%s",
			l.At.Round(time.Second), l.Goroutines, l.Descriptors, float64(l.Live)/mib, float64(l.InUse)/mib, float64(l.Resident)/mib,
			l.Open, 100*float64(l.CPU-last.CPU)/float64(l.At-last.At), warm)
		last = l
	}
}

func warmOf(whole time.Duration) time.Duration { return time.Duration(warmShare * float64(whole)) }

// lookAt collects garbage and then looks at the server, so that what is counted is what is held.
func lookAt(ctx context.Context, sv *site.Server) (l look, err error) {
	if err := sv.Collect(ctx); err != nil {
		return l, err
	}
	var stacks, vars bytes.Buffer
	if err := errors.Join(sv.Fetch(ctx, "/debug/vars", &vars), sv.Fetch(ctx, "/debug/pprof/goroutine?debug=1", &stacks)); err != nil {
		return l, err
	}
	var stats struct {
		MemStats struct{ HeapAlloc, HeapInuse int } `json:"memstats"`
	}
	if err := json.Unmarshal(vars.Bytes(), &stats); err != nil {
		return l, err
	}
	l.Live, l.InUse = stats.MemStats.HeapAlloc, stats.MemStats.HeapInuse
	if _, err := fmt.Fscanf(&stacks, "goroutine profile: total %d", &l.Goroutines); err != nil {
		return l, fmt.Errorf("/debug/pprof/goroutine: %w", err)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", sv.PID()))
	if err != nil {
		return l, err
	}
	l.Descriptors = len(open)
	if l.Resident, err = site.RSSOf(sv.PID()); err != nil {
		return l, err
	}
	l.CPU, err = site.CPUOf(sv.PID())
	return l, err
}

// judge says of every figure whether it grew, and of what should have been done, what was not.
func (k *Soak) judge(mix *traffic.Mix) {
	done, oddity := mix.Counts()
	k.Done = done
	if oddity != nil {
		k.Oddity = oddity.Error()
	}
	for _, what := range mustHappen {
		if done[what] == 0 {
			k.Idle = append(k.Idle, what)
		}
	}
	k.Verdicts = make(map[string]flat.Verdict)
	for _, f := range figures {
		var series []flat.Point
		for _, l := range k.Looks {
			series = append(series, flat.Point{At: l.At, Value: f.of(l)})
		}
		// After Ctrl-C the warm-up is the share of the time that there was.
		v, err := flat.Judge(flat.AfterWarmUp(series, warmOf(min(k.Asked, k.Took))), f.bound)
		if err == nil {
			k.Verdicts[f.name] = v
		}
	}
}

// failed says why a soak proves nothing good.
func (k *Soak) failed() error {
	for _, v := range k.Verdicts {
		if v.Grows {
			return errGrows
		}
	}
	switch {
	case len(k.Verdicts) < len(figures):
		return flat.ErrTooShort
	case k.LeftOpen > 0:
		return fmt.Errorf("%d sockets are left open after all clients have gone", k.LeftOpen)
	case len(k.Idle) > 0:
		return fmt.Errorf("never done in the whole time: %s", strings.Join(k.Idle, ", "))
	}
	return nil
}

// risen is by how much counters rose; those that stood still are left out.
func risen(before, after map[string]int) map[string]int {
	by := make(map[string]int)
	for name, n := range after {
		if n > before[name] {
			by[name] = n - before[name]
		}
	}
	return by
}
