package chat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/chat/screen"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// Options say who talks where.
type Options struct {
	Client    *client.Client // signed in
	Workspace string         // id or name; the oldest of the person's when empty
	Channel   string         // name, with or without #, or id
	In        io.Reader
	Out       io.Writer
	Program   string         // how people start this program, for the line that an invite shows; canopy when empty
	Terminal  bool           // Out is a terminal that may be drawn on
	JSON      bool           // frames in and out instead of lines
	Linger    time.Duration  // how long the answers to what was sent may take after the end of In
	Zone      *time.Location // of the times that are shown; that of the machine when nil
}

// Run talks until In ends, or the person leaves, or ctx ends, which is no error. The error is a *config.Problem when the
// workspace or channel is not there. It is another one when something was refused or has no answer, so that a script
// can rely on its exit code.
//
// Reading In cannot be interrupted: when Run ends earlier than In, the goroutine that reads it ends with In's next
// line, or with the process.
func Run(ctx context.Context, o Options) error {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	asked := ctx
	ctx, cancel := context.WithCancel(asked)
	defer cancel()
	me, err := o.Client.Me(ctx)
	if err != nil {
		return fmt.Errorf("who am I: %w", err)
	}
	ws, err := workspaceOf(me.Workspaces, o.Workspace)
	if err != nil {
		return err
	}
	conn := live.Connect(o.Client, live.Options{Workspace: ws.ID, Raw: o.JSON, Buffer: room, Outbox: room})
	var running sync.WaitGroup
	ended := make(chan error, 1)
	running.Go(func() { ended <- conn.Run(ctx) })
	r := &run{
		o: o, conn: conn, me: me.User, ws: ws, lines: readLines(ctx, o.In), settled: make(chan settled, room),
		view: newView(me.User, o.Zone), screen: screen.New(o.Out, o.Terminal),
	}
	var talking error
	if o.JSON {
		talking = (&pipe{run: r}).loop(ctx)
	} else {
		talking = (&talk{run: r, sends: map[chat.ClientMsgID]client.Message{}}).loop(ctx)
	}
	cancel()
	for range conn.Events() { // what nobody waits for any more; it ends with Run
	}
	running.Wait()
	r.answers.Wait()
	switch {
	case asked.Err() != nil:
		return nil
	case r.screen.Err() != nil:
		return r.screen.Err()
	case talking != nil && !errors.Is(talking, errConnEnded):
		return talking
	}
	if err := <-ended; err != nil {
		return err
	}
	return r.verdict()
}

// room is how many events wait to be shown, and sends for their answer. A line is taken only while there is room for
// what it sends, so the loop that reads events never waits for an answer.
const room = 512

// run is what both kinds of conversation have.
type run struct {
	// Immutable after Run.
	o     Options
	conn  *live.Conn
	me    rest.User
	ws    rest.Workspace
	lines <-chan string // closed at the end of In

	answers sync.WaitGroup // who waits for an answer
	settled chan settled   // never closed; each waiter writes one, for which there is room

	// Owned by the loop.
	view    *view
	screen  *screen.Screen
	waiting int // sends that have no answer
	refused int
}

// settled is the answer to a send.
type settled struct {
	pending *live.Pending
	receipt live.Receipt
	err     error
	shown   string // what to show of it; for a message its text
}

// follow waits for the answer to a send in the background.
func (r *run) follow(ctx context.Context, p *live.Pending, shown string) {
	r.waiting++
	r.answers.Go(func() {
		receipt, err := p.Wait(ctx)
		r.settled <- settled{pending: p, receipt: receipt, err: err, shown: shown}
	})
}

// open are the lines, while there is room for what one of them sends.
func (r *run) open() <-chan string {
	if r.waiting >= room/2 {
		return nil
	}
	return r.lines
}

// told counts a refusal that came by itself. One that passes, such as that the gateway moves, refused nothing.
func (r *run) told(e live.Refused) {
	if !e.Err.Passes() {
		r.refused++
	}
}

// verdict is how it went, when all is over.
func (r *run) verdict() error {
	switch {
	case r.refused > 0:
		return fmt.Errorf("%d of what was asked was refused", r.refused)
	case r.waiting > 0:
		return fmt.Errorf("%d of what was sent had no answer within %v", r.waiting, r.o.Linger)
	}
	return nil
}

// errConnEnded says that the server told the client to stay away; Conn.Run says why.
var errConnEnded = errors.New("the connection has ended")

// maxLine is the longest line that is read, in bytes: a frame of the largest message, all of it written as escapes.
const maxLine = 256 << 10

// readLines reads lines until in ends. See Run for when it ends.
func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, maxLine)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// workspaceOf finds a workspace by its id or its name.
func workspaceOf(all []rest.Workspace, want string) (rest.Workspace, error) {
	var found []rest.Workspace
	for _, ws := range all {
		if want == string(ws.ID) {
			return ws, nil
		}
		if want == "" || strings.EqualFold(ws.Name, want) {
			found = append(found, ws)
		}
	}
	switch {
	case len(all) == 0:
		return rest.Workspace{}, config.Problemf("this account is in no workspace")
	case len(found) == 0:
		return rest.Workspace{}, config.Problemf("--workspace: there is no workspace %q among yours", want)
	case len(found) > 1 && want != "":
		return rest.Workspace{}, config.Problemf("--workspace: %d of yours are called %q; say which one by its id", len(found), want)
	}
	return found[0], nil
}

// find looks a channel up by its name or id.
func (r *run) find(ctx context.Context, want string) (rest.Channel, error) {
	want = strings.TrimPrefix(want, "#")
	var named rest.Channel
	for c, err := range r.o.Client.Channels(ctx, r.ws.ID) {
		if err != nil {
			return c, fmt.Errorf("list the channels: %w", err)
		}
		r.view.channels[c.ID] = c
		if string(c.ID) == want {
			return c, nil
		}
		if c.Name == want && want != "" && (named.ID == "" || named.Archived) {
			named = c
		}
	}
	if named.ID == "" {
		return named, &client.Error{Code: fault.NotFound, Message: "there is no channel #" + plain.Line(want) + " among those that you see"}
	}
	return named, nil
}

// enter opens a channel, and comes into it.
func (r *run) enter(ctx context.Context, c rest.Channel) error {
	if !c.Joined {
		joined, err := r.o.Client.Join(ctx, c.ID)
		if err != nil {
			return err
		}
		c = joined
	}
	r.view.channels[c.ID], r.view.here = c, c.ID
	for m, err := range r.o.Client.ChannelMembers(ctx, c.ID) {
		if err != nil {
			return fmt.Errorf("list the members: %w", err)
		}
		r.learn(m)
	}
	return nil
}

// first opens the channel that was asked for. That it is not there is the person's mistake.
func (r *run) first(ctx context.Context) error {
	c, err := r.find(ctx, r.o.Channel)
	if err == nil {
		err = r.enter(ctx, c)
	}
	if code := client.CodeOf(err); code == fault.NotFound || code == fault.Forbidden {
		return config.Problemf("--channel: %w", err)
	}
	return err
}

// maxPeople is how many names are kept.
const maxPeople = 10_000

func (r *run) learn(m rest.Member) {
	if len(r.view.people) < maxPeople {
		r.view.people[m.UserID] = m.Login
	}
}

// online waits for the first socket. From then on nothing is missed, so history is read after it.
func (r *run) online(ctx context.Context, other func(live.Event)) error {
	for {
		select {
		case e, open := <-r.conn.Events():
			if !open {
				return errConnEnded
			}
			other(e)
			if _, is := e.(live.Online); is {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rest shows what has come before the last answer.
func (r *run) rest(show func(live.Event)) error {
	for {
		select {
		case e, open := <-r.conn.Events():
			if !open {
				return errConnEnded
			}
			show(e)
		default:
			return nil
		}
	}
}
