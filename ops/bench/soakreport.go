//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/bench/site"
)

// soak measures and prints. A figure that grows is an error.
func soak(ctx context.Context, s *site.Site, o options) error {
	k, err := measureSoak(ctx, s, o)
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	if o.json {
		err = json.NewEncoder(os.Stdout).Encode(struct {
			Machine Machine `json:"machine"`
			Soak    *Soak   `json:"soak"`
		}{machine(), k})
	} else {
		p := &printer{to: os.Stdout}
		k.print(p)
		err = p.err
	}
	if err := errors.Join(err, k.failed()); err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	return nil
}

func (k *Soak) print(p *printer) {
	m := machine()
	p.line("")
	p.line("machine: %d cores, %s, %s", m.Cores, m.Kernel, m.Go)
	ended := ""
	if k.Took < k.Asked {
		ended = fmt.Sprintf(", ended before the %v that were asked for", k.Asked)
	}
	p.line("soak: %d sockets for %v, %d looks%s", k.Sockets, k.Took.Round(time.Second), len(k.Looks), ended)
	p.line("  done    %s", list(k.Done))
	p.line("  server  %s", list(k.Counters))
	if k.Oddity != "" {
		p.line("  odd     %s", k.Oddity)
	}
	if len(k.Idle) > 0 {
		p.line("  NEVER DONE  %s", strings.Join(k.Idle, ", "))
	}
	p.line("  %-12s %10s %10s %10s %12s %10s %7s", "", "first 1/5", "last 1/5", "growth", "a minute", "bound", "ratio")
	for _, f := range figures {
		v, ok := k.Verdicts[f.name]
		if !ok {
			p.line("  %-12s too few looks to tell", f.name)
			continue
		}
		said := "flat"
		if v.Grows {
			said = "GROWS"
		}
		grown := max(v.Last-v.First, v.Drift)
		p.line("  %-12s %10.1f %10.1f %+10.1f %+12.2f %10.1f %7.2f  %s %s", f.name, v.First/f.unit, v.Last/f.unit, grown/f.unit,
			v.PerMinute/f.unit, v.Allowed/f.unit, grown/v.Allowed, f.word, said)
	}
}

// sortedNames is the names in any of them.
func sortedNames(all ...map[string]int) []string {
	names := make(map[string]bool)
	for _, of := range all {
		for name := range of {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// list is figures with their names, in the order of the names.
func list(of map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(all, " · ")
}
