// Package health is what a process needs to do its work: named checks, how they were at the last look, and the answers to
// who asks over HTTP. It knows no part; whoever has the parts says what to check.
package health

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

const (
	every  = 5 * time.Second // between two looks that nobody asked for
	soon   = 1 * time.Second // instead, while something is wrong: so that others hear soon that it is mended
	budget = 3 * time.Second // of all checks of one look together
)

// Check says what is wrong; nil: nothing. Whoever asks over HTTP reads the text, so no address or secret is in it.
type Check func(ctx context.Context) error

// Patient is a check that fails once the last success of check is longer ago than span: what mends itself within that
// time, such as an election, is no reason to send people elsewhere. Without a success so far it fails at once.
func Patient(check Check, span time.Duration) Check {
	var mu sync.Mutex
	var fine time.Time
	return func(ctx context.Context) error {
		err := check(ctx)
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		switch {
		case err == nil:
			fine = now
		case !fine.IsZero() && now.Sub(fine) < span:
			return nil
		}
		return err
	}
}

// Health is the checks of a process. It may be used from many goroutines.
type Health struct {
	mu      sync.Mutex // guards what follows
	checks  map[string]Check
	results map[string]error
}

// Watch says what is checked from now on, by name.
func (h *Health) Watch(checks map[string]Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = checks
}

// Run looks again and again until ctx ends, and calls changed when what is wrong is another than before.
func (h *Health) Run(ctx context.Context, changed func()) error {
	again := time.NewTimer(every)
	defer again.Stop()
	for {
		before := h.Last()
		h.Look(ctx)
		if h.Last() != before {
			changed()
		}
		pause := every
		if h.Last() != "" {
			pause = soon
		}
		again.Reset(pause)
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// Look makes all checks at once, and keeps their results.
func (h *Health) Look(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	h.mu.Lock()
	checks := h.checks
	h.mu.Unlock()
	var work sync.WaitGroup
	var mu sync.Mutex
	results := make(map[string]error, len(checks))
	for name, check := range checks {
		work.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
		})
	}
	work.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.results = results
	return maps.Clone(results)
}

// Seen is the results of the last look.
func (h *Health) Seen() map[string]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.results)
}

// Last is what was wrong at the last look, in one line; empty: nothing.
func (h *Health) Last() string { return strings.Join(problems(h.Seen()), "; ") }

// problems are the failures of results, by the names of their checks.
func problems(results map[string]error) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if err := results[name]; err != nil {
			all = append(all, err.Error())
		}
	}
	return all
}

// Answer says whether results are fine: 200, or 503 with what is missing. With ?verbose it lists every check, as
// Kubernetes' own health endpoints do.
func Answer(w http.ResponseWriter, r *http.Request, results map[string]error) {
	status, text := http.StatusOK, "ok"
	if failed := problems(results); len(failed) > 0 {
		status, text = fault.Unavailable.Status(), strings.Join(failed, "\n")
	}
	if r.URL.Query().Has("verbose") {
		text = verbose(results)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // who asked has gone
}

func verbose(results map[string]error) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if err := results[name]; err != nil {
			lines = append(lines, fmt.Sprintf("[-]%s failed: %v", name, err))
			continue
		}
		lines = append(lines, "[+]"+name+" ok")
	}
	return strings.Join(lines, "\n")
}
