//go:build linux

package site

import (
	"bufio"
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"
)

// Counters reads the server's own counters, whatever they are called: a line each, a name and a number.
func (sv *Server) Counters(ctx context.Context) (map[string]int, error) {
	var text bytes.Buffer
	if err := sv.Fetch(ctx, "/debug/counters", &text); err != nil {
		return nil, err
	}
	all := make(map[string]int)
	for lines := bufio.NewScanner(&text); lines.Scan(); {
		name, value, _ := cutLast(lines.Text())
		if n, err := strconv.Atoi(value); err == nil {
			all[name] = n
		}
	}
	return all, nil
}

// SocketsCounter is what the server calls the number of its open sockets.
const SocketsCounter = "sockets"

// EmptyBudget is how long the server has to notice that clients have gone.
const EmptyBudget = 10 * time.Second

// Emptied waits until the server counts no socket, or EmptyBudget is over; it gives the counters.
func (sv *Server) Emptied(ctx context.Context) (map[string]int, error) {
	until := time.Now().Add(EmptyBudget)
	for {
		all, err := sv.Counters(ctx)
		if err != nil || all[SocketsCounter] == 0 || time.Now().After(until) {
			return all, err
		}
		if err := Pause(ctx, pollEvery); err != nil {
			return all, err
		}
	}
}

// cutLast cuts a line at its last space: a name may have others, in a label.
func cutLast(line string) (before, after string, found bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return line, "", false
	}
	return line[:i], line[i+1:], true
}
