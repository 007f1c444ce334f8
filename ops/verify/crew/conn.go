package crew

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// buffer is how many events a conn holds that nobody takes: few, so that one whose reader stands still soon reads nothing from its socket.
const buffer = 8

// conn is a live.Conn, and what it was told.
type conn struct {
	*live.Conn
	name, at string
	hand     *Hand
	hello    chan struct{} // closed when the first socket has said it
	first    live.Online   // set before that
	done     chan struct{} // closed when all has ended
	run      context.Context
	stop     context.CancelFunc // ends it
	pause    chan chan struct{} // the reader stands still until what comes over it is closed

	// Owned by the goroutine that reads the socket.
	last    frame // what the next event is made of
	greeted bool  // hello is closed

	mu sync.Mutex
	// Guarded by mu.
	cursor chat.Cursor
	doubts int // times that a send could have been taken without an answer: lost sockets, and answers that leave it open
	online bool
	err    error // what it ended with
}

// frame is what the client's events do not say.
type frame struct {
	Type string     `json:"type"`
	Seq  int64      `json:"seq"`
	Prev int64      `json:"prev"`
	Head int64      `json:"head"`
	Code fault.Kind `json:"code"`
}

// connect opens a conn and waits until its first socket is open, or it ended in vain. One that is not open in time is closed again.
func (h *Hand) connect(ctx context.Context, op *record.Op) error {
	c, err := h.newConn(op)
	if err != nil {
		return err
	}
	var parts sync.WaitGroup
	parts.Go(func() { c.ends(c.Run(c.run)) })
	parts.Go(c.read)
	go func() { // close, or the end of the conn, waits for it by done
		parts.Wait()
		close(c.done)
	}()
	patience := time.NewTimer(connectBudget)
	defer patience.Stop()
	select {
	case <-c.hello:
		op.Resumed, op.Cursor = c.first.Resumed, c.first.Cursor.String()
		return nil
	case <-c.done:
		return c.ended()
	case <-patience.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.stop()
	<-c.done
	return err
}

// newConn makes a conn, and names it in the op.
func (h *Hand) newConn(op *record.Op) (*conn, error) {
	var from chat.Cursor
	if op.Cursor != "" {
		var err error
		if from, err = chat.ParseCursor(op.Cursor); err != nil {
			return nil, fmt.Errorf("a cursor that no hand told: %w", err)
		}
	}
	url := ""
	if op.At != "" {
		if url = h.as.Sockets[op.At]; url == "" {
			return nil, errGateway
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client == nil {
		return nil, errSignedOut
	}
	open := 0
	for _, c := range h.conns {
		if c.open() {
			open++
		}
	}
	if open >= maxConns {
		return nil, errFull
	}
	h.forget()
	h.made++
	c := &conn{
		name: fmt.Sprintf("%s/%d", h.as.Device, h.made), at: op.At, hand: h, cursor: from,
		hello: make(chan struct{}), done: make(chan struct{}), pause: make(chan chan struct{}),
	}
	c.run, c.stop = context.WithCancel(context.Background())
	c.Conn = live.Connect(h.client, live.Options{
		Workspace: chat.WorkspaceID(h.as.Workspace), Cursor: from, URL: url, Buffer: buffer, Raw: true, Watch: c.note,
	})
	h.conns = append(h.conns, c)
	op.Conn = c.name
	return c, nil
}

// remembered is how many conns of the past somebody may still ask for.
const remembered = 8

// forget lets the oldest conns go that have ended.
func (h *Hand) forget() {
	for i := 0; i < len(h.conns) && len(h.conns) > remembered; {
		if h.conns[i].open() {
			i++
			continue
		}
		h.conns = slices.Delete(h.conns, i, i+1)
	}
}

// read takes events, which note has written down, and stands still when it is told to.
func (c *conn) read() {
	for {
		select {
		case _, more := <-c.Events():
			if !more {
				return
			}
		case until := <-c.pause:
			<-until
		}
	}
}

// ends notes why a conn has ended.
func (c *conn) ends(err error) {
	c.mu.Lock()
	was := c.online
	c.online, c.err = false, err
	c.mu.Unlock()
	if was || err != nil {
		c.tell(record.Told{T: record.Offline, Code: reason(err)})
	}
}

func (c *conn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return live.ErrClosed
	}
	return c.err
}

// open reports whether it has not ended.
func (c *conn) open() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// stood is up to where it was told.
func (c *conn) stood() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cursor == (chat.Cursor{}) {
		return ""
	}
	return c.cursor.String()
}

func (c *conn) doubt() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doubts
}

// close ends a conn and waits until it has. What is remembered of it is where it stood.
func (h *Hand) close(op *record.Op) error {
	c := h.conn(op.Conn)
	if c == nil {
		return errNoConn
	}
	c.stop()
	patience := time.NewTimer(closeBudget)
	defer patience.Stop()
	select {
	case <-c.done:
		return nil
	case <-patience.C:
		return context.DeadlineExceeded
	}
}

// stall has a conn read nothing until ctx ends.
func (h *Hand) stall(ctx context.Context, op *record.Op) error {
	c := h.conn(op.Conn)
	if c == nil {
		return errNoConn
	}
	ctx, cancel := context.WithTimeout(ctx, stallBudget)
	defer cancel()
	until := make(chan struct{})
	defer close(until)
	select {
	case c.pause <- until:
	case <-c.done:
		return live.ErrClosed
	case <-ctx.Done():
		return nil // another stall lasted as long
	}
	select {
	case <-ctx.Done():
	case <-c.done:
	}
	return nil
}

// passing is what a code says that leaves open what became of what it answers.
func (f frame) passing() bool {
	e := client.Error{Code: f.Code}
	return f.Type == "error" && f.Code != fault.RateLimited && (e.Passes() || f.Code == fault.Internal)
}

// take keeps of a frame what the event behind it does not say.
func (c *conn) take(data []byte) {
	c.last = frame{}
	if json.Unmarshal(data, &c.last) != nil {
		c.last = frame{} // the client cannot read it either, and gives the socket up
	}
	if c.last.passing() {
		c.mu.Lock()
		c.doubts++
		c.mu.Unlock()
	}
}
