package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/streams/bus"
)

// Session is what the command has from the process it runs in: ops/cli hands it over.
type Session struct {
	Context        context.Context // ends with the first signal
	Stdout, Stderr io.Writer
	Terminal       bool // Stdout is one
	Color          bool // and may be coloured

	// Reach connects to the deployment and reads its settings. The caller closes the connection.
	Reach func(operator.Where) (*bus.Conn, config.Config, error)
}

// clearScreen puts the cursor at the top left and clears what is below (ECMA-48 CUP, ED).
const clearScreen = "\x1b[H\x1b[2J"

// Cmd is canopy status.
type Cmd struct {
	operator.Where `embed:""`
	JSON           bool          `name:"json" help:"One JSON object; with --watch one a line."`
	Watch          bool          `short:"w" help:"Look again and again, until Ctrl-C."`
	Every          time.Duration `default:"2s" help:"Time between two looks of --watch."`
}

// Help is shown by canopy status --help.
func (Cmd) Help() string {
	return `Streams, consumers with what they lag behind, and the processes that live, on one screen; lines that begin with ! are what to look at. The exit code is 1 when there is such a line. ` + operator.WhereHelp
}

// errProblems makes the exit code 1; what is wrong stands on the screen already.
var errProblems = errors.New("there is something to look at")

// Run is of kong.
func (c Cmd) Run(s *Session) error {
	if c.Every <= 0 {
		return config.Problemf("--every: it wants a time that is more than 0")
	}
	conn, _, err := s.Reach(c.Where)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		problems, err := c.look(s, conn)
		switch {
		case s.Context.Err() != nil && c.Watch:
			return nil
		case err != nil && !c.Watch:
			return err
		case err != nil: // it is looked for again
			if _, err := fmt.Fprintf(s.Stderr, "canopy: %v\n", err); err != nil {
				return err
			}
		case !c.Watch && problems > 0:
			return errProblems
		case !c.Watch:
			return nil
		}
		if bus.Pause(s.Context, c.Every) != nil {
			return nil
		}
	}
}

// look shows the deployment once, and says how many problems it has.
func (c Cmd) look(s *Session, conn *bus.Conn) (int, error) {
	r, err := Collect(s.Context, conn)
	if err != nil {
		return 0, err
	}
	if c.JSON {
		return len(r.Problems), json.NewEncoder(s.Stdout).Encode(r)
	}
	if c.Watch && s.Terminal {
		if _, err := fmt.Fprint(s.Stdout, clearScreen); err != nil {
			return 0, err
		}
	}
	return len(r.Problems), Render(s.Stdout, r, s.Color)
}
