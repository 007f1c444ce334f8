package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/confirm"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/wire"
)

// Options say what a Conn is to be. The zero value is good for a member of one workspace.
type Options struct {
	Workspace chat.WorkspaceID // may be empty for a member of only one
	Cursor    chat.Cursor      // go on after it; zero: begin with what happens from now on
	URL       string           // ws:// or wss:// of a gateway, up to /socket; that of the client.Client when empty
	Buffer    int              // events that wait to be read; 256 when 0
	Outbox    int              // things sent that have no answer yet; 256 when 0
	InFlight  int              // of them on their way at once; 1 when 0, which keeps their order also through refusals
	NoFill    bool             // do not read from history what is missing: tell the Gap alone
	Raw       bool             // tell each frame as a Frame, too
	NoConfirm bool             // do not say what has come: the user is pushed what they have seen here
	Watch     func(Event)      // told each event right before it is put into Events, in order; it must not wait; nil: nobody
}

// defaultRoom is how much waits on either side of a Conn.
const defaultRoom = 256

// Conn is a user in one workspace: its events, and what is sent there, over one socket after another. All methods may
// be used from many goroutines.
//
// Events are a bounded queue, and nothing of it is ever dropped: when its reader is slow, the Conn reads nothing
// more from the socket until there is room, so the server sees a slow reader and holds the rest in the log.
type Conn struct {
	// Immutable after Connect.
	client *client.Client
	o      Options
	events chan Event    // closed by Run
	kick   chan struct{} // holds one: there may be something to write
	room   chan struct{} // holds one: there may be room in the outbox
	done   chan struct{} // closed by Run before it ends what is in the outbox

	// Owned by Run's goroutine.
	order   *order
	paused  client.Backoff
	another bool          // the token was refused, and the next one will be another
	away    time.Duration // what the server asked for before it closed

	mu      sync.Mutex
	confirm confirm.Taken
	mute    bool // the server takes no confirmations
	outbox  outbox
	loose   [][]byte             // frames that want no answer, for this connection only
	stands  map[wire.Type][]byte // the last presence.set and presence.query: each socket begins with them
	open    bool                 // hello has come, and the socket is not gone
	ended   bool
	ran     bool
	at      chat.Cursor // order's, for Cursor
}

// maxLoose bounds the frames that want no answer; the oldest is dropped, as typing of long ago means nothing.
const maxLoose = 16

// Connect makes a Conn of somebody who is signed in. It opens nothing: Run does.
func Connect(c *client.Client, o Options) *Conn {
	for _, room := range []*int{&o.Buffer, &o.Outbox} {
		if *room <= 0 {
			*room = defaultRoom
		}
	}
	return &Conn{
		client: c, o: o, events: make(chan Event, o.Buffer), kick: make(chan struct{}, 1), room: make(chan struct{}, 1),
		done: make(chan struct{}), order: newOrder(o.Cursor), at: o.Cursor,
		outbox: outbox{limit: o.Outbox, window: max(o.InFlight, 1)}, stands: map[wire.Type][]byte{},
	}
}

// Events are what happens, in order. The channel is closed when Run has ended. Events must be read: see Conn.
func (c *Conn) Events() <-chan Event { return c.events }

// Cursor is where another Conn would go on: everything up to it has been put into Events. A program that wants to go on
// after its own end remembers the cursor of the last event that it has dealt with instead.
func (c *Conn) Cursor() chat.Cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Run connects, and connects again after any loss that may pass, until ctx ends, which is no error. It ends by itself when
// the server says not to come back, with a *client.Error or a *wsconn.CloseError. Call it once.
func (c *Conn) Run(ctx context.Context) error {
	c.mu.Lock()
	ran := c.ran
	c.ran = true
	c.mu.Unlock()
	if ran {
		return errors.New("live: Run was called twice")
	}
	defer c.finish()
	refreshed := false
	for {
		err := c.connection(ctx, func() { refreshed = false })
		if ctx.Err() != nil {
			return nil
		}
		v := judge(err)
		pause := c.paused.Next(rand.Float64(), max(v.atLeast, c.away))
		switch {
		case v.signIn && c.another && !refreshed:
			refreshed, pause = true, 0
		case v.final:
			return v.err
		}
		if c.tell(ctx, Offline{Err: v.err, Retry: pause}) != nil || client.Wait(ctx, pause) != nil {
			return nil
		}
	}
}

// finish ends what has no answer.
func (c *Conn) finish() {
	c.mu.Lock()
	c.ended = true
	c.outbox.end(ErrClosed)
	c.mu.Unlock()
	close(c.done)
	close(c.events)
}

// Times of a socket.
const (
	dialTimeout      = 20 * time.Second
	writeTimeout     = 10 * time.Second
	defaultHeartbeat = 30 * time.Second
	patience         = 3                // heartbeats without a word after which a socket counts as dead
	healthyAfter     = 10 * time.Second // of a socket: the next loss begins with a short pause again
)

// connection is one socket from its dial to its end. opened is called when the server has said hello.
func (c *Conn) connection(ctx context.Context, opened func()) error {
	c.another, c.away = false, 0
	token, err := c.client.Token(ctx)
	if err != nil {
		return err
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	socket, err := wsconn.Dial(dialing, c.address(), http.Header{"Authorization": {"Bearer " + token}})
	cancel()
	if err != nil {
		c.distrust(err, token)
		return err
	}
	began := time.Now()
	alive, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	var writing error
	others.Go(func() {
		<-alive.Done()
		_ = socket.Close() // it may be gone already
	})
	hello := make(chan time.Duration, 1) // the heartbeat, once
	others.Go(func() {
		if writing = c.write(alive, socket, hello); writing != nil {
			stop()
		}
	})
	err = c.read(ctx, socket, func(heartbeat time.Duration) {
		opened()
		hello <- heartbeat
	})
	stop()
	others.Wait()
	c.lost()
	if time.Since(began) > healthyAfter {
		c.paused.Reset()
	}
	c.distrust(err, token)
	var closed *wsconn.CloseError
	if writing != nil && !errors.As(err, &closed) {
		return writing
	}
	return err
}

// distrust says that a token was refused, if that is what err says.
func (c *Conn) distrust(err error, token string) {
	c.another = judge(err).signIn && c.client.Distrust(token)
}

// address is where to connect, with the cursor to go on from.
func (c *Conn) address() string {
	to := c.o.URL
	if to == "" {
		to = "ws" + strings.TrimPrefix(c.client.URL(), "http") + "/socket"
	}
	query := url.Values{}
	if c.o.Workspace != "" {
		query.Set("workspace", string(c.o.Workspace))
	}
	if at := c.order.at(); at != (chat.Cursor{}) {
		query.Set("cursor", at.String())
	}
	if len(query) == 0 {
		return to
	}
	return to + "?" + query.Encode()
}

// read takes frames until the socket ends. What it has taken is told whatever becomes of the socket meanwhile: the cursor
// is behind it already. So ctx is Run's. opened is called with the heartbeat when the server has said hello.
func (c *Conn) read(ctx context.Context, socket *wsconn.Client, opened func(time.Duration)) error {
	heartbeat := defaultHeartbeat
	for first := true; ; first = false {
		// The time that the reader of Events takes is none of the server's.
		if err := socket.Conn().SetReadDeadline(time.Now().Add(patience * heartbeat)); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		data, err := socket.Read()
		if err != nil {
			return err
		}
		f, err := parse(data)
		if err != nil {
			return err
		}
		if first {
			if f.Type != frameHello {
				return fmt.Errorf("the server began with %.40q and not with hello", f.Type)
			}
			if f.HeartbeatS > 0 {
				heartbeat = time.Duration(f.HeartbeatS) * time.Second
			}
			c.begin(&f)
			opened(heartbeat)
		}
		if c.o.Raw && !ownPong(&f) {
			if err := c.tell(ctx, Frame{Data: data}); err != nil {
				return err
			}
		}
		if err := c.handle(ctx, &f, first); err != nil {
			return err
		}
	}
}

// begin opens the way for what waits in the outbox.
func (c *Conn) begin(f *frame) {
	c.order.hello(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.confirm.Begin(f.Resumed, c.order.at().Seq)
	c.mute = c.o.NoConfirm
	c.open = true
	c.loose = nil
	for _, frame := range c.stands {
		c.loose = append(c.loose, frame)
	}
	c.at = c.order.at()
}

// lost takes back what was on its way.
func (c *Conn) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = false
	c.loose = nil // it was for those who looked then
	c.outbox.lost()
}

// tell puts an event into the queue, and waits while that is full.
func (c *Conn) tell(ctx context.Context, e Event) error {
	if c.o.Watch != nil {
		c.o.Watch(e)
	}
	select {
	case c.events <- e:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.confirm.Tell()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
