package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
)

// Exit codes.
const (
	exitFailure = 1
	exitMistake = 2
)

// System is what the command has from the process it runs in.
type System struct {
	Program        string    // as os.Args names it, for what the person types next; canopy when empty
	Stdin          io.Reader // nil: there is none
	Stdout, Stderr io.Writer
	Environ        []string         // as os.Environ gives it
	Signals        <-chan os.Signal // the first one drains and stops, the second one stops at once; never closed
	Exit           func(code int)   // ends the process at once
	Serve          Serve            // nil: ops/app
}

// Serve runs roles until ctx ends; ready is called once when everything serves.
type Serve func(ctx context.Context, what Serving, ready func(app.Running)) error

// Serving is what to run.
type Serving struct {
	Config config.Config
	Roles  []app.Role
	Log    *slog.Logger
}

func serveApp(ctx context.Context, what Serving, ready func(app.Running)) error {
	a, err := app.New(what.Config, what.Roles, what.Log)
	if err != nil {
		return err
	}
	return a.Run(ctx, ready)
}

// Main runs the command that args, without the program's name, ask for, and returns the exit code.
func Main(args []string, sys System) (code int) {
	if sys.Serve == nil {
		sys.Serve = serveApp
	}
	defer func() {
		switch left := recover().(type) {
		case nil:
		case leave:
			code = int(left)
		default:
			panic(left)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	return sys.exitCode(sys.run(args))
}

// leave is what kong ends the process with; here it ends Main.
type leave int

func (s System) run(args []string) error {
	parser, err := kong.New(&grammar{},
		kong.Name("canopy"), kong.Description(description), kong.Writers(s.Stdout, s.Stderr),
		kong.Exit(func(code int) { panic(leave(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 80}),
	)
	if err != nil {
		return err
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return config.Problemf("%w; see canopy --help", err)
	}
	return s.interruptible(func(ctx context.Context) error {
		here := &session{System: s, ctx: ctx}
		return chosen.Run(here, here.operator(), here.replay(), here.renew(), here.status(), here.check(), here.workbench(), here.deadletters(), here.ledger(), here.verify())
	})
}

// session is one command on its way.
type session struct {
	System
	ctx context.Context // ends with the first signal
}

// interruptible runs a command whose ctx ends with the first signal. The second signal ends the process.
func (s System) interruptible(run func(context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	var listener sync.WaitGroup
	listener.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-ended:
				return
			case <-s.Signals:
			}
			if n > 1 {
				s.Exit(exitFailure)
				return
			}
			fmt.Fprintln(s.Stderr, "canopy: stopping; once more stops at once")
			cancel()
		}
	})
	err := run(ctx)
	close(ended)
	listener.Wait()
	return err
}

// exitCode says what went wrong and whose fault it is.
func (s System) exitCode(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("stopped before it was done; run it again to go on")
	}
	fmt.Fprintln(s.Stderr, "canopy: "+strings.TrimSpace(err.Error()))
	var problem *config.Problem
	if errors.As(err, &problem) {
		return exitMistake
	}
	return exitFailure
}

// env looks a variable up.
func (s System) env(name string) string {
	value := ""
	for _, entry := range s.Environ {
		if key, v, ok := strings.Cut(entry, "="); ok && key == name {
			value = v
		}
	}
	return value
}
