//go:build linux

package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/bench/rig"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// Place is where people go.
type Place struct {
	Address   string // host and port of REST and sockets
	Workspace string
}

// frame is what is read of any frame of the server's.
type frame struct {
	Type      string         `json:"type"`
	Epoch     chat.Epoch     `json:"epoch"`
	Head      chat.Seq       `json:"head"`
	Resumed   bool           `json:"resumed"`
	Seq       chat.Seq       `json:"seq"`
	ChannelID chat.ChannelID `json:"channel_id"`
	Code      string         `json:"code"`
}

// person is one socket that comes back.
type person struct {
	call     rig.Call         // its path without a cursor
	channels []chat.ChannelID // that the person is in, general among them

	mu     sync.Mutex
	socket *rig.Socket // nil: there is none
	cursor chat.Cursor // of the last frame that had a seq; zero: there was none
	own    place       // the newest message of this person
	seen   place       // the newest message of anybody
}

// place is where a message lies.
type place struct {
	channel chat.ChannelID
	seq     chat.Seq
}

func newPerson(at Place, token, source string) *person {
	return &person{call: rig.Call{Address: at.Address, Source: source, Path: "/socket?workspace=" + at.Workspace, Token: token}}
}

// connect opens a socket at the cursor and reads its hello.
func (p *person) connect(ctx context.Context) (*rig.Socket, frame, error) {
	call := p.call
	p.mu.Lock()
	if p.cursor != (chat.Cursor{}) {
		call.Path += "&cursor=" + p.cursor.String()
	}
	p.mu.Unlock()
	s, err := rig.Connect(ctx, call)
	if err != nil {
		return nil, frame{}, err
	}
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	hello, err := next(s)
	if err == nil && hello.Type != "hello" {
		err = errors.New("instead of hello came " + hello.Type)
	}
	if err != nil {
		s.Cut()
		return nil, hello, err
	}
	p.mu.Lock()
	p.socket = s
	if !hello.Resumed {
		p.cursor = chat.Cursor{Epoch: hello.Epoch, Seq: hello.Head}
	}
	p.mu.Unlock()
	return s, hello, nil
}

// next reads a frame.
func next(s *rig.Socket) (f frame, err error) {
	text, err := s.Read()
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(text, &f)
}

// note keeps what a frame says.
func (p *person) note(f frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f.Type {
	case "message.deliver":
		p.cursor.Seq = f.Seq
		p.seen = place{f.ChannelID, f.Seq}
	case "event":
		p.cursor.Seq = f.Seq
	case "message.ack":
		p.own = place{f.ChannelID, f.Seq}
	case "resync":
		p.cursor.Seq = f.Head
	}
}

// gone says that the socket has ended.
func (p *person) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.socket = nil
}

// open is the socket, or nil.
func (p *person) open() *rig.Socket {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.socket
}

// Pauses before another try when the server does not say one (DESIGN §8: clients come back with jitter).
const (
	firstPause = 500 * time.Millisecond
	maxPause   = 15 * time.Second
)

// pauseAfter is how long a client waits after tries failures in a row, the last of which was err: as long as the
// server says and up to as long again; when it says nothing, a time that doubles, give or take a half.
func pauseAfter(err error, tries int, dice func() float64) time.Duration {
	var r *rig.Refused
	if errors.As(err, &r) && r.RetryAfter > 0 {
		return time.Duration(float64(r.RetryAfter) * (1 + dice()))
	}
	d := firstPause
	for i := 1; i < tries && d < maxPause; i++ {
		d *= 2
	}
	return time.Duration(float64(min(d, maxPause)) * (0.5 + dice()))
}

// hopeless reports whether coming back is useless: the server said no, not later.
func hopeless(err error) bool {
	var r *rig.Refused
	return errors.As(err, &r) && !fault.Reconnect(fault.Kind(r.Code).CloseCode())
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// between is a moment of that span, by chance.
func between(least, most time.Duration) time.Duration { return least + rand.N(most-least) }
