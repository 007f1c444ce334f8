package stranger

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// helloWait is how long a socket may take until its hello.
const helloWait = 20 * time.Second

// opening is how a socket is asked for.
type opening struct {
	conn, at string
	query    url.Values
	tell     func(record.Told)
}

// at is the query of a socket of a workspace, that goes on after a cursor where there is one.
func at(space, cursor string) url.Values {
	query := url.Values{"workspace": {space}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return query
}

// open opens a socket, reads its hello, and has it read on. After an answer that is not ok there is no socket.
func (h *Hand) open(ctx context.Context, o opening) (*socket.Socket, answer.Answer) {
	ctx, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	to, err := h.address(o.at)
	if err != nil {
		return nil, answer.Lost(err)
	}
	var s *socket.Socket
	a := h.calls.With(ctx, func(token string) (a answer.Answer) {
		s, a = socket.Open(ctx, socket.Opening{
			URL: to, Query: o.query, Conn: o.conn, At: o.at, Who: h.cfg.Login, Tell: o.tell,
			HTTP: h.calls.HTTP(), Beat: h.cfg.Beat, Silence: h.cfg.Silence,
		}, token)
		return a
	})
	if a.Outcome != record.OK {
		return nil, a
	}
	if !h.keep(s) {
		s.Run(h.ctx) // which is over, or about to be
		return nil, answer.Lost(s.Why())
	}
	go func() { // Shut waits for it
		defer h.work.Done()
		s.Run(h.ctx)
	}()
	return s, a
}

// address is where a gateway takes sockets.
func (h *Hand) address(at string) (string, error) {
	if a := h.cfg.Sockets[at]; a != "" {
		return a, nil
	}
	if at != "" {
		return "", fmt.Errorf("there is no gateway %q", at)
	}
	return "ws" + strings.TrimPrefix(h.calls.URL(), "http") + "/socket", nil
}

// maxEnded are the conns that have ended and are still remembered: more than a person has, so that memory stays bounded.
const maxEnded = 64

// keep remembers a socket under its name; false: the hand is shut. Of those that have ended, any make room.
func (h *Hand) keep(s *socket.Socket) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shut {
		return false
	}
	for name, old := range h.conns {
		if len(h.conns) > maxEnded && !old.IsOpen() {
			delete(h.conns, name)
		}
	}
	if s.Conn() != "" {
		h.conns[s.Conn()] = s
	}
	h.work.Add(1)
	return true
}

// Open are the conns whose sockets are open, sorted.
func (h *Hand) Open() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, s := range h.conns {
		if s.IsOpen() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Cursor is what a conn resumes with, also when it has ended: the place of what was told last. It is empty when there was none.
func (h *Hand) Cursor(conn string) string {
	if s := h.conn(conn); s != nil {
		return s.Cursor()
	}
	return ""
}

// Told is up to where a conn was told everything, as Cursor, and whether its socket is open.
func (h *Hand) Told(conn string) (cursor string, open bool) {
	s := h.conn(conn)
	if s == nil {
		return "", false
	}
	return s.Cursor(), s.IsOpen()
}

// conn is the socket that has a name; nil: there was none.
func (h *Hand) conn(name string) *socket.Socket {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns[name]
}

// live is the open socket that has a name; nil: there is none.
func (h *Hand) live(name string) *socket.Socket {
	if s := h.conn(name); s != nil && s.IsOpen() {
		return s
	}
	return nil
}

// newName is the name of a conn that has none.
func (h *Hand) newName() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.named++
	return h.cfg.Device + "/" + strconv.Itoa(h.named)
}

// connect opens a socket of the device, and names it where the op does not. What it says first is in the op.
func (h *Hand) connect(ctx context.Context, op *record.Op) answer.Answer {
	if op.Conn == "" {
		op.Conn = h.newName()
	}
	query := at(cmp.Or(op.Workspace, h.cfg.Workspace), op.Cursor)
	s, a := h.open(ctx, opening{conn: op.Conn, at: op.At, query: query, tell: h.cfg.Rec.Tell})
	if op.Phase != "" {
		a = a.Measured()
	}
	if s != nil {
		op.Cursor, op.Resumed = s.Hello().Cursor, s.Hello().Resumed
	}
	return a
}

// closing ends a socket from this side, and waits until it has ended.
func (h *Hand) closing(ctx context.Context, op *record.Op) answer.Answer {
	s := h.live(op.Conn)
	if s == nil {
		return answer.Lost(socket.ErrNone)
	}
	s.Close()
	select {
	case <-s.Ended():
		return answer.OK()
	case <-ctx.Done():
		return answer.Lost(ctx.Err())
	}
}

// stall stops the reading of a socket for the op's limit of milliseconds (0: there is none), or until ctx ends.
func (h *Hand) stall(ctx context.Context, op *record.Op) answer.Answer {
	s := h.live(op.Conn)
	if s == nil {
		return answer.Lost(socket.ErrNone)
	}
	return s.Stall(ctx, time.Duration(op.Limit)*time.Millisecond)
}

// knock opens a socket that nobody needs, and closes it.
func (h *Hand) knock(ctx context.Context, at string, query url.Values) answer.Answer {
	s, a := h.open(ctx, opening{at: at, query: query, tell: func(record.Told) {}})
	if s != nil {
		s.Close()
		<-s.Ended()
	}
	return a
}
