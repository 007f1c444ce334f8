package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/status"
	"github.com/canopychat/canopy/streams/bus"
)

// clearScreen puts the cursor at the top left and clears what is below (ECMA-48 CUP, ED).
const clearScreen = "\x1b[H\x1b[2J"

type statusCmd struct {
	target `embed:""`
	JSON   bool          `name:"json" help:"One JSON object; with --watch one a line."`
	Watch  bool          `short:"w" help:"Look again and again, until Ctrl-C."`
	Every  time.Duration `default:"2s" help:"Time between two looks of --watch."`
}

// Help is shown by canopy status --help.
func (statusCmd) Help() string {
	return `Streams, consumers with what they lag behind, and the processes that live, on one screen; lines that begin with ! are what to look at. The exit code is 1 when there is such a line. ` + whereHelp
}

// errProblems makes the exit code 1; what is wrong stands on the screen already.
var errProblems = fmt.Errorf("there is something to look at")

func (c statusCmd) Run(s *session) error {
	if c.Every <= 0 {
		return config.Problemf("--every: it wants a time that is more than 0")
	}
	conn, _, _, err := c.reach(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		problems, err := c.look(s, conn)
		switch {
		case s.ctx.Err() != nil && c.Watch:
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
		if bus.Pause(s.ctx, c.Every) != nil {
			return nil
		}
	}
}

// look shows the deployment once, and says how many problems it has.
func (c statusCmd) look(s *session, conn *bus.Conn) (int, error) {
	r, err := status.Collect(s.ctx, conn)
	if err != nil {
		return 0, err
	}
	if c.JSON {
		return len(r.Problems), json.NewEncoder(s.Stdout).Encode(r)
	}
	terminal := isTerminal(s.Stdout)
	if c.Watch && terminal {
		if _, err := fmt.Fprint(s.Stdout, clearScreen); err != nil {
			return 0, err
		}
	}
	return len(r.Problems), status.Render(s.Stdout, r, terminal && s.env("NO_COLOR") == "")
}
