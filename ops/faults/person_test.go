package faults_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// person is somebody with a socket that is open for as long as the site is, and all that came over it.
type person struct {
	*live.Conn
	client        *client.Client
	login, region string
	id            chat.UserID
	gateway       *local.Process // the socket leads to it; nil: to any of the region, through its front

	mu sync.Mutex
	// Guarded by mu.
	began    bool
	from     chat.Seq
	heard    []heard
	last     chat.Seq // of heard
	open     bool
	offline  []error // one for each time that the socket was lost, or could not be opened
	resyncs  int
	typing   map[chat.UserID]int    // frames
	presence map[chat.UserID]string // the last text
	own      []message              // acknowledged
}

// heard is told as it came.
type heard struct {
	rest.Message
	resync, gap bool
}

// arrives opens a socket.
func (w *site) arrives(p local.Person, c *client.Client, gateway *local.Process) *person {
	url := ""
	if gateway != nil {
		url = w.Socket(gateway)
	}
	in := &person{
		// A gap is told, and not filled by the client: gateways let none come.
		Conn:   live.Connect(c, live.Options{Workspace: w.workspace, URL: url, NoFill: true}),
		client: c, login: p.Login, region: p.Region, id: c.Account().User.ID, gateway: gateway,
		typing: map[chat.UserID]int{}, presence: map[chat.UserID]string{},
	}
	ctx, stop := context.WithCancel(context.Background())
	ended, read := make(chan error, 1), make(chan struct{})
	go func() { ended <- in.Run(ctx) }()
	go func() {
		defer close(read)
		for e := range in.Events() {
			in.note(e)
		}
	}()
	w.whole.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.whole.Errorf("the client of %s ended with %v", in.login, err)
		}
		<-read
	})
	return in
}

func (p *person) note(e live.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case live.Online:
		if p.open = true; !p.began {
			p.began, p.from = true, e.Cursor.Seq
		}
	case live.Offline:
		p.open = false
		p.offline = append(p.offline, e.Err)
	case live.Posted:
		p.heard, p.last = append(p.heard, heard{Message: e.Message}), e.Message.Seq
	case live.Resync:
		p.resyncs++
		p.heard, p.last = append(p.heard, heard{Message: rest.Message{Seq: e.Head}, resync: true}), e.Head
	case live.Gap:
		p.heard = append(p.heard, heard{Message: rest.Message{Seq: e.Through, ChannelID: e.ChannelID}, gap: true})
	case live.Typing:
		p.typing[e.UserID]++
	case live.Presence:
		p.presence[e.UserID] = e.Text
	}
}

// state says whether the socket is open, and why it last was not.
func (p *person) state() (open bool, last error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.offline); n > 0 {
		last = p.offline[n-1]
	}
	return p.open, last
}

// losses are how often the socket was lost or not to be had, and why it last was.
func (p *person) losses() (n int, last error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n = len(p.offline); n > 0 {
		last = p.offline[n-1]
	}
	return n, last
}

// hasHeard reports whether everything up to a message came.
func (p *person) hasHeard(seq chat.Seq) (bool, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last >= seq, fmt.Sprintf("%s has heard all up to %d, and not %d; open %t, %v", p.login, p.last, seq, p.open, p.offline)
}

func (p *person) reader(w *site) reader {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := reader{name: p.login, from: p.from}
	for _, h := range p.heard {
		r.told = append(r.told, told{message: w.messageOf(h.Message), resync: h.resync, gap: h.gap})
	}
	return r
}

func (p *person) typed(by *person) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.typing[by.id]
}

func (p *person) sees(of *person) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.presence[of.id]
}

func (p *person) noteOwn(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own = append(p.own, m)
}

// acked is how many of the person's messages are acknowledged, and the n-th before last of them.
func (p *person) acked(before int) (n int, m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n = len(p.own); n > before {
		m = p.own[n-1-before]
	}
	return n, m
}
