//go:build linux

// Command bench measures what a delivery and an idle connection cost the server, beside a bare epoll loop that
// writes the same bytes to as many sockets and does nothing else, in the same run on the same machine. It also shows
// whether the server's figures stay flat under steady traffic (-soak), and how a crowd that lost its sockets comes
// back (-crowd).
//
// It owns the processes that it starts: the server (canopy up, with its data in a temporary folder), the bare loop
// and the clients, the last two being this program again. It promises that every delivery it counts was received
// by a client, and that nothing of it is left when it ends. It knows the server only from outside: run.json, REST,
// sockets, the admin address, and what /proc says of the process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/canopychat/canopy/ops/bench/rig"
	"github.com/canopychat/canopy/ops/bench/site"
)

const help = `Measures the server beside a bare epoll loop, in the same run on this machine.

  go run ./ops/bench [flags]

The server is "canopy up --no-limits", a process of its own with its data in a temporary folder, filled by
"canopy seed". Clients are processes of their own; their CPU does not count. All is on loopback.

CPU per delivery: -sockets people are in one channel. Each message has a body of 300 bytes and goes to every
socket, its sender's included. "N in flight" means that N messages have been sent and not yet been received by
every socket: when the oldest of them has been, the next is sent. -senders sockets take turns in sending (one with
one in flight), so that each has at most one on its way. The CPU is user + system time of the whole process from /proc/<pid>/stat, from before the first
send until 300 ms after the last delivery, so that what the server does later (the history store) is in it; divided
by the frames that the clients received and counted. Ours and bare take turns, -rounds times; the ratio is taken
within each round, and its median and extremes are shown.

The bare loop takes as many sockets in one thread and one epoll, answers the upgrade, and writes what a sender
sends, which is a frame of ours byte for byte, to all sockets: one write a socket; one writev when several
messages arrived in one turn.

Bytes per idle connection: -idle sockets are opened, each with a session of a person of its own who is in general
and some other channels. The growth of the process's resident memory (Rss of /proc/<pid>/smaps_rollup) from before
the first until it stands still, after a garbage collection, is divided by the sockets. The server was started afresh
and has had one socket opened and closed before. Memory of the kernel is not in it, neither for ours nor for bare.

A soak (-soak 10m) shows whether goroutines, memory and descriptors stay flat. -soak-sockets people send, edit, react,
read history, sign in, join and leave, all at fixed rates; one socket in a hundred ends every second, with a close
frame or without a word, and comes back at its cursor; some read slowly, fall behind and recover; some send garbage.
Every -soak-every the server is looked at, after a garbage collection: what is live, not what waits to be collected.
The first 20 % is warm-up. Of the rest the median of the last fifth is compared with that of the first, and the slope
of most pairs of looks (Theil-Sen) with the bound; the exit code is 1 when a figure grows. Before it begins, the channels
are filled, so that caches of bounded size do not look like leaks while they fill. Ctrl-C ends it early.

A crowd (-crowd 5000) loses all its sockets at one moment. Some messages are sent while it is away, and all come back
at once, with their cursors; who is refused waits as long as the server says, and up to as long again. The server has
its limits as shipped, and the people come from addresses of offices of twenty. Times are for information.

Flags:
`

// options are what the user said.
type options struct {
	what     string
	sockets  int
	messages int
	rounds   int
	senders  int
	idle     int
	clients  int
	canopy   string
	profile  string
	json     bool

	soak        time.Duration // 0: none
	soakSockets int
	soakEvery   time.Duration
	soakFill    int

	crowd int // 0: none
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.what, "what", "all", "cpu, idle or all")
	flags.IntVar(&o.sockets, "sockets", 1000, "sockets that every message goes to")
	flags.IntVar(&o.messages, "messages", 400, "messages a round; with sixteen in flight four times as many")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds, in each of which ours and bare are measured once")
	flags.IntVar(&o.senders, "senders", manyInFlight, "senders who take turns with sixteen in flight; a session's sends go to the log one by one")
	flags.IntVar(&o.idle, "idle", 15000, "idle sockets")
	flags.IntVar(&o.clients, "clients", 3, "client processes that hold the idle sockets")
	flags.StringVar(&o.canopy, "canopy", "", "the canopy `program`; default: it is built from this module")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of the server in the last round of each kind to `FILE`.<in flight>")
	flags.BoolVar(&o.json, "json", false, "print one JSON object instead of lines")
	flags.DurationVar(&o.soak, "soak", 0, "serve steady traffic for so long and say whether a figure grows, instead of measuring CPU and memory")
	flags.IntVar(&o.soakSockets, "soak-sockets", 500, "sockets of the soak")
	flags.DurationVar(&o.soakEvery, "soak-every", 5*time.Second, "time between two looks")
	flags.IntVar(&o.soakFill, "soak-fill", 4<<20, "`bytes` of messages that each channel has before the soak: what the server caches of one")
	flags.IntVar(&o.crowd, "crowd", 0, "have so many sockets lost at once come back, instead of measuring CPU and memory")
	flags.Usage = func() {
		fmt.Fprint(stderr, help)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("what is %q? See -help", flags.Arg(0))
	case o.what != "cpu" && o.what != "idle" && o.what != "all":
		return o, errors.New("-what is cpu, idle or all")
	case o.sockets < manyInFlight, o.senders < 1, o.senders > o.sockets, o.messages < 1, o.rounds < 1, o.idle < 1, o.clients < 1:
		return o, fmt.Errorf("-sockets is at least %d and at least -senders, the other numbers at least 1", manyInFlight)
	}
	if o.soak > 0 && o.crowd > 0 {
		return o, errors.New("-soak or -crowd, not both")
	}
	if o.soak < 0 || o.crowd < 0 || o.soakSockets < leastSoak || o.soakEvery < leastEvery || o.soakFill < 0 {
		return o, fmt.Errorf("-soak-sockets is at least %d, -soak-every at least %v, and nothing is negative", leastSoak, leastEvery)
	}
	return o, nil
}

const (
	leastSoak  = 10                     // sockets: some are slow, some are away
	leastEvery = 100 * time.Millisecond // a look collects garbage, which is work
)

func main() {
	rig.Main()
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, budget+o.soak)
	err = run(ctx, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// budget is how long everything may take, beside a soak.
const budget = 15 * time.Minute

// run measures and prints.
func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "canopy-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	at := &site.Site{Dir: dir, Canopy: o.canopy, Settings: []string{"--no-limits"}}
	if o.soak > 0 || o.crowd > 0 {
		at.Settings = append(at.Settings, "--set", fmt.Sprintf("auth.token_life=%v", o.soak+budget)) // nobody signs in again
	}
	if err := at.Prepare(ctx, people(o)); err != nil {
		return err
	}
	switch {
	case o.soak > 0:
		return soak(ctx, at, o)
	case o.crowd > 0:
		return crowd(ctx, at, o)
	}
	return compare(ctx, at, o)
}

// compare measures what a delivery and a connection cost beside the bare loop.
func compare(ctx context.Context, at *site.Site, o options) (err error) {
	report := Report{Machine: machine()}
	if o.what != "idle" {
		if report.CPU, err = measureCPU(ctx, at, o); err != nil {
			return fmt.Errorf("CPU per delivery: %w", err)
		}
	}
	if o.what != "cpu" {
		if report.Idle, err = measureIdle(ctx, at, o); err != nil {
			return fmt.Errorf("bytes per idle connection: %w", err)
		}
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	return report.print(os.Stdout)
}

// people is how many the workspace needs.
func people(o options) int {
	switch {
	case o.soak > 0:
		return o.soakSockets
	case o.crowd > 0:
		return o.crowd
	case o.what == "cpu":
		return o.sockets
	case o.what == "idle":
		return o.idle
	}
	return max(o.sockets, o.idle)
}
