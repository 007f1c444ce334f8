//go:build linux

package main

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/canopychat/canopy/ops/bench/site"
)

const (
	settleEvery  = time.Second
	settleLooks  = 15
	settleEnough = 256 << 10 // bytes that count as no change
)

// settledRSS is site.RSSOf when it no longer moves, or after settleLooks looks; before each of them clean is called.
func settledRSS(ctx context.Context, pid int, clean func(context.Context) error) (int, error) {
	last := 0
	for range settleLooks {
		if err := clean(ctx); err != nil {
			return 0, err
		}
		if err := site.Pause(ctx, settleEvery); err != nil {
			return 0, err
		}
		now, err := site.RSSOf(pid)
		if err != nil {
			return 0, err
		}
		if last-now < settleEnough && now-last < settleEnough {
			return now, nil
		}
		last = now
	}
	return last, nil
}

// Machine says where the figures come from.
type Machine struct {
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

func machine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Kernel: "unknown", Go: runtime.Version()}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Machine[:])
	}
	return m
}
