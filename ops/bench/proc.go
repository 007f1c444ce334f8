//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc/<pid>/stat (USER_HZ, 100 on every architecture that Go runs on).
const tick = 10 * time.Millisecond

// cpuOf is the user and system time that a process has used.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may hold anything; what follows does not.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const user, system = 11, 12 // fields 14 and 15 of proc(5)
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	var sum time.Duration
	for _, field := range fields[user : system+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// rssOf is the resident memory of a process in bytes.
func rssOf(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Rss", pid)
}

const (
	settleEvery  = time.Second
	settleLooks  = 15
	settleEnough = 256 << 10 // bytes that count as no change
)

// settledRSS is rssOf when it no longer moves, or after settleLooks looks; before each of them clean is called.
func settledRSS(ctx context.Context, pid int, clean func(context.Context) error) (int, error) {
	last := 0
	for range settleLooks {
		if err := clean(ctx); err != nil {
			return 0, err
		}
		if err := pause(ctx, settleEvery); err != nil {
			return 0, err
		}
		now, err := rssOf(pid)
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
