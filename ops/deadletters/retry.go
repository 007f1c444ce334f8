package deadletters

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/fault"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/rpc"
)

type retryCmd struct {
	common `embed:""`
	some   `embed:""`
	DryRun bool `help:"Say for each what trying again would do, and change nothing."`
}

// Help is shown by canopy dlq retry --help.
func (retryCmd) Help() string {
	return `An event of a log goes to its place in its channel's order, whatever came after it. A delivery is owed again, from the first attempt. What is refused again stays a dead letter; the exit code is then 1. Trying again what was done already changes nothing. A process with the role deliver must run: it does the work.

` + operator.WhereHelp
}

// errRefused makes the exit code 1; what was refused stands on the screen already.
var errRefused = errors.New("not all could be done")

// outcome is what became of one dead letter, for scripts.
type outcome struct {
	line
	Done    bool   `json:"done"`
	DryRun  bool   `json:"dry_run,omitempty"`
	Place   string `json:"place,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// Run is of kong.
func (c retryCmd) Run(s *Session) error {
	q, err := c.some.parse(time.Now())
	if err != nil {
		return err
	}
	return c.queue(s, func(conn *bus.Conn, queue *dlq.Queue) error {
		what := "trying again"
		if c.DryRun {
			what = "looking"
		}
		return c.common.all(s, queue, q, work{what: what, did: c.did(), do: func(l dlq.Letter) (string, error) {
			reply, err := rpc.Call[schema.DeadRetryReply](s.Context, conn.NATS(), rpc.Method{Service: streams.ServiceDead, Method: streams.DeadRetry},
				schema.DeadRetryRequest{ID: l.ID, DryRun: c.DryRun})
			if err == nil && !reply.Done {
				err = fault.New(fault.Conflict, "%s", reply.Reason)
			}
			return reply.Place, err
		}, dry: c.DryRun})
	})
}

func (c retryCmd) did() string {
	if c.DryRun {
		return "can be tried again"
	}
	return "done"
}

type dropCmd struct {
	common `embed:""`
	some   `embed:""`
	DryRun bool `help:"Show what would be thrown away, and change nothing."`
	Yes    bool `help:"With --all: do it."`
}

// Help is shown by canopy dlq drop --help.
func (dropCmd) Help() string {
	return `The dead letter is gone. The original stays in its stream until that forgets it. ` + operator.WhereHelp
}

// Run is of kong.
func (c dropCmd) Run(s *Session) error {
	q, err := c.some.parse(time.Now())
	if err != nil {
		return err
	}
	if c.All && !c.Yes && !c.DryRun {
		return config.Problemf("what is thrown away is gone for good: --dry-run shows it, --yes does it")
	}
	return c.queue(s, func(_ *bus.Conn, queue *dlq.Queue) error {
		w := work{what: "dropping", did: "dropped", do: func(l dlq.Letter) (string, error) { return "", queue.Drop(s.Context, l.ID) }}
		if c.DryRun {
			w = work{what: "looking", did: "would be dropped", dry: true, do: func(dlq.Letter) (string, error) { return "", nil }}
		}
		return c.common.all(s, queue, q, w)
	})
}

// work is what is done to each of some dead letters.
type work struct {
	what string // for the progress
	did  string // for the summary
	dry  bool
	do   func(dlq.Letter) (place string, err error)
}

// tally is how far work has come.
type tally struct {
	all, done, refused int
	told               strings.Builder // what became of each, for people: progress and lines would run into each other
}

// all does work to every dead letter that q finds now, and says what became of each.
func (c common) all(s *Session, queue *dlq.Queue, q dlq.Filter, w work) error {
	var letters []dlq.Letter
	err := each(s.Context, queue, q, func(l dlq.Letter) error {
		l.Payload, l.Header = nil, nil // only its place is needed, and there may be many
		letters = append(letters, l)
		return nil
	})
	if err != nil {
		return err
	}
	missing := missingOf(q.IDs, letters)
	for _, id := range missing {
		if _, err := fmt.Fprintf(s.Stderr, "canopy: there is no dead letter %d (any more)\n", id); err != nil {
			return err
		}
	}
	if len(letters) == 0 && len(missing) == 0 && !c.JSON {
		return none(s)
	}
	t := &tally{all: len(letters)}
	stopped := c.work(s, letters, w, t)
	if err := c.sum(s, w, t); err != nil || stopped != nil {
		return errors.Join(stopped, err)
	}
	if t.refused > 0 || len(missing) > 0 {
		return errRefused
	}
	return nil
}

// work goes from one to the next. The error is why it did not come to the end: with the service or the hub away, or after Ctrl-C,
// the others would fail alike.
func (c common) work(s *Session, letters []dlq.Letter, w work, t *tally) error {
	if len(letters) > 1 {
		s.Progress.Begin(w.what, len(letters))
		defer s.Progress.End()
	}
	for _, l := range letters {
		if err := s.Context.Err(); err != nil {
			return err
		}
		place, failed := w.do(l)
		if err := s.Context.Err(); err != nil {
			return err // whether this one was done nobody knows; done again it changes nothing
		}
		if fault.Is(failed, fault.Unavailable) {
			return away(failed)
		}
		if failed == nil {
			t.done++
		} else {
			t.refused++
		}
		if len(letters) > 1 {
			s.Progress.Add(1)
		}
		if err := c.tell(s, l, outcome{line: lineOf(l), Done: failed == nil, DryRun: w.dry, Place: place, Refused: words(failed)}, t); err != nil {
			return err
		}
	}
	return nil
}

// away is why something could not be asked.
func away(err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return errors.New("nobody answers: is a process with the role deliver running? canopy status shows them")
	}
	return err
}

// missingOf are the ids that are no dead letters.
func missingOf(ids []uint64, letters []dlq.Letter) []uint64 {
	return slices.DeleteFunc(slices.Clone(ids), func(id uint64) bool {
		return slices.ContainsFunc(letters, func(l dlq.Letter) bool { return l.ID == id })
	})
}

// tell says what became of one: to scripts at once, to people at the end.
func (c common) tell(s *Session, l dlq.Letter, o outcome, t *tally) error {
	switch {
	case c.JSON:
		return plain.Encode(s.Stdout, o)
	case o.Refused != "":
		fmt.Fprintf(&t.told, "%d refused: %s\n", l.ID, plain.Line(o.Refused))
	case o.Place != "":
		fmt.Fprintf(&t.told, "%d %s\n", l.ID, plain.Line(o.Place))
	}
	return nil
}

// sum says to people what became of each, and of how many.
func (c common) sum(s *Session, w work, t *tally) error {
	if c.JSON || t.all == 0 {
		return nil
	}
	fmt.Fprintf(&t.told, "%d %s, %d refused", t.done, w.did, t.refused)
	if left := t.all - t.done - t.refused; left > 0 {
		fmt.Fprintf(&t.told, ", %d not reached", left)
	}
	_, err := fmt.Fprintln(s.Stdout, t.told.String())
	return err
}

// words are why something was refused; empty: it was not.
func words(err error) string {
	if err == nil {
		return ""
	}
	return fault.Public(err).Message
}
