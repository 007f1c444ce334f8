package deadletters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

// Session is what the commands have from the process they run in: ops/cli hands it over.
type Session struct {
	Context        context.Context // ends with the first signal
	Stdout, Stderr io.Writer
	Progress       ctl.Progress

	// Reach connects to the deployment. The caller closes the connection.
	Reach func(operator.Where) (*bus.Conn, error)
}

// Cmd is canopy dlq.
type Cmd struct {
	Ls    lsCmd    `cmd:"" help:"List dead letters, the oldest first."`
	Show  showCmd  `cmd:"" help:"Show one, with its headers and what it says."`
	Retry retryCmd `cmd:"" help:"Try again what a consumer parked or gave up. What succeeds is no dead letter any more."`
	Drop  dropCmd  `cmd:"" help:"Throw dead letters away, for good."`
	Watch watchCmd `cmd:"" help:"Show each new one, until Ctrl-C."`
}

// Help is shown by canopy dlq --help.
func (Cmd) Help() string {
	return `A dead letter is an event or a job that a consumer parked because it can never deal with it, or gave up after its last attempt. It keeps the original with its headers, where it lay, why and how often it was tried.

Examples:

  canopy dlq ls --consumer persist --since 2h
  canopy dlq show 17
  canopy dlq retry --all --reason 'undelivered' --dry-run
  canopy dlq retry 17
  canopy dlq drop 17

Times are UTC. ` + operator.WhereHelp
}

// common are the flags of all of them.
type common struct {
	operator.Where `embed:""`
	JSON           bool `name:"json" help:"One JSON object a line, for scripts."`
}

// line is a dead letter for scripts.
type line struct {
	ID          uint64    `json:"id"`
	Stream      string    `json:"stream"`
	Consumer    string    `json:"consumer"`
	Subject     string    `json:"subject"`
	Seq         chat.Seq  `json:"seq"`
	Reason      string    `json:"reason"`
	Attempts    int       `json:"attempts"`
	At          time.Time `json:"at"`
	StoredAt    time.Time `json:"stored_at,omitzero"`
	Found       string    `json:"found,omitempty"`
	Gone        bool      `json:"gone,omitempty"`
	TraceParent string    `json:"traceparent,omitempty"`
}

func lineOf(l dlq.Letter) line {
	return line{
		ID: l.ID, Stream: l.Stream, Consumer: l.Consumer, Subject: l.Subject, Seq: l.Seq, Reason: l.Reason, Attempts: l.Attempts,
		At: l.At, StoredAt: l.StoredAt, Found: l.Found, Gone: l.Gone, TraceParent: l.TraceParent,
	}
}

// queue runs do with the dead letters of the deployment.
func (c common) queue(s *Session, do func(*bus.Conn, *dlq.Queue) error) error {
	conn, err := s.Reach(c.Where)
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(conn, dlq.Open(conn))
}

// pageSize is how many dead letters are read at once.
const pageSize = 100

// each calls do with every dead letter that q finds and that is there now, the oldest first. What q says wrongly is the person's mistake.
func each(ctx context.Context, queue *dlq.Queue, q dlq.Filter, do func(dlq.Letter) error) error {
	var after uint64
	for {
		letters, more, err := queue.List(ctx, q, after, pageSize)
		if err != nil {
			return problem(err)
		}
		for _, l := range letters {
			after = l.ID
			if err := do(l); err != nil {
				return err
			}
		}
		if !more || len(letters) == 0 {
			return nil
		}
	}
}

type lsCmd struct {
	common `embed:""`
	filter `embed:""`
	Limit  int `default:"100" help:"At most so many; 0: all."`
}

// Help is shown by canopy dlq ls --help.
func (lsCmd) Help() string { return operator.WhereHelp }

// Run is of kong.
func (c lsCmd) Run(s *Session) error {
	q, err := c.filter.parse(time.Now())
	if err != nil {
		return err
	}
	if c.Limit < 0 {
		return config.Problemf("--limit: it wants 0 or more")
	}
	return c.queue(s, func(_ *bus.Conn, queue *dlq.Queue) error {
		list := newList(s.Stdout, c.JSON)
		shown, cut := 0, errors.New("there are more")
		err := each(s.Context, queue, q, func(l dlq.Letter) error {
			if c.Limit > 0 && shown == c.Limit {
				return cut
			}
			shown++
			return list.add(l)
		})
		if errors.Is(err, cut) {
			err = nil
			defer c.hint(s)
		}
		if err := errors.Join(err, list.flush()); err != nil || shown > 0 || c.JSON { // what was found before the hub went is shown
			return err
		}
		return none(s)
	})
}

// hint says that the list is not all, where it is in nobody's way.
func (c lsCmd) hint(s *Session) {
	fmt.Fprintln(s.Stderr, "canopy: there are more; --limit 0 shows all") // if it cannot be said, the list stands all the same
}

// none says that there is nothing.
func none(s *Session) error {
	_, err := fmt.Fprintln(s.Stdout, "no dead letters")
	return err
}

// list is rows for people, or objects for scripts.
type list struct {
	to     io.Writer
	rows   *tabwriter.Writer // nil: objects
	headed bool
}

func newList(to io.Writer, asJSON bool) *list {
	l := &list{to: to}
	if !asJSON {
		l.rows = tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	}
	return l
}

func (t *list) add(l dlq.Letter) error {
	if t.rows == nil {
		return plain.Encode(t.to, lineOf(l))
	}
	if !t.headed {
		t.headed = true
		fmt.Fprintln(t.rows, "ID\tAT\tSTREAM\tCONSUMER\tSEQ\tATTEMPTS\tSUBJECT\tREASON") // what the output refuses, flush tells
	}
	_, err := fmt.Fprintf(t.rows, "%d\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", l.ID, l.At.UTC().Format(time.DateTime), cell(l.Stream), cell(l.Consumer), l.Seq, l.Attempts,
		cell(l.Subject), cell(l.Reason))
	return err
}

func (t *list) flush() error {
	if t.rows == nil {
		return nil
	}
	return t.rows.Flush()
}

// maxCell is how many characters of a subject or a reason a table shows.
const maxCell = 90

// cell is a text in a table: one line, not empty, and not too long.
func cell(s string) string {
	s = plain.Line(s)
	if r := []rune(s); len(r) > maxCell {
		return string(r[:maxCell-1]) + "…"
	}
	return cmp.Or(s, "-")
}

type watchCmd struct {
	common `embed:""`
	filter `embed:""`
}

// Help is shown by canopy dlq watch --help.
func (watchCmd) Help() string {
	return `It begins with what comes after it started, and waits while the hub is away. Ctrl-C ends it with exit code 0.

` + operator.WhereHelp
}

// Run is of kong.
func (c watchCmd) Run(s *Session) error {
	q, err := c.filter.parse(time.Now())
	if err != nil {
		return err
	}
	return c.queue(s, func(_ *bus.Conn, queue *dlq.Queue) error {
		if !c.JSON {
			fmt.Fprintln(s.Stderr, "canopy: waiting for new dead letters; Ctrl-C ends it") // if it cannot be said, it is done all the same
		}
		var failed error
		ctx, stop := context.WithCancel(s.Context)
		defer stop()
		err := queue.Watch(ctx, q, func(l dlq.Letter) {
			list := newList(s.Stdout, c.JSON)
			list.headed = true
			if err := errors.Join(list.add(l), list.flush()); err != nil && failed == nil {
				failed = err
				stop()
			}
		})
		return errors.Join(failed, problem(err)) // Ctrl-C is how it ends, and no error
	})
}

// problem makes what the person asked for wrongly theirs.
func problem(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return config.Problemf("%s", fault.Public(err).Message)
	}
	return err
}
