package chat

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// pipe is a conversation in frames, for scripts. Each line of In is a frame to send, as it is but for a
// client_msg_id or ref that it gets when it has none. Each line of Out is a frame as it came, or a state line.
type pipe struct {
	*run
	ended <-chan time.Time // when to stop waiting; nil while In goes on
}

// stateLine is a line of the program's own. State is ready, online, offline, gap, filled, resync, invalid or failed.
type stateLine struct {
	Type        string           `json:"type"` // state
	State       string           `json:"state"`
	UserID      chat.UserID      `json:"user_id,omitempty"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id,omitempty"`
	ChannelID   chat.ChannelID   `json:"channel_id,omitempty"`
	Cursor      string           `json:"cursor,omitempty"`
	Resumed     bool             `json:"resumed,omitempty"`
	RetryIn     float64          `json:"retry_in,omitempty"` // seconds
	After       chat.Seq         `json:"after,omitempty"`
	Through     chat.Seq         `json:"through,omitempty"`
	Filled      bool             `json:"filled,omitempty"`
	Reason      string           `json:"reason,omitempty"`
	Message     *rest.Message    `json:"message,omitempty"`
	ClientMsgID chat.ClientMsgID `json:"client_msg_id,omitempty"`
	Error       string           `json:"error,omitempty"`
}

func (p *pipe) loop(ctx context.Context) error {
	if err := p.online(ctx, p.event); err != nil {
		return err
	}
	if err := p.first(ctx); err != nil {
		return err
	}
	p.state(stateLine{State: "ready", UserID: p.me.ID, WorkspaceID: p.ws.ID, ChannelID: p.view.here})
	for p.screen.Err() == nil {
		if p.ended != nil && p.waiting == 0 {
			return p.rest(p.event)
		}
		select {
		case e, open := <-p.conn.Events():
			if !open {
				return errConnEnded
			}
			p.event(e)
		case line, more := <-p.open():
			if !more {
				p.lines, p.ended = nil, time.After(p.o.Linger)
				continue
			}
			if err := p.send(ctx, line); err != nil {
				return err
			}
		case s := <-p.settled:
			p.waiting--
			if s.err != nil {
				p.refused++
				if client.CodeOf(s.err) == "" { // else its frame is there already
					p.state(stateLine{State: "failed", ClientMsgID: s.pending.ID(), Error: s.err.Error()})
				}
			}
		case <-p.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *pipe) send(ctx context.Context, line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	pending, err := p.conn.SendFrame(ctx, []byte(line))
	switch {
	case client.CodeOf(err) != "":
		p.refused++
		p.state(stateLine{State: "invalid", Error: err.Error()})
	case err != nil:
		return err
	case pending != nil:
		p.follow(ctx, pending, "")
	}
	return nil
}

func (p *pipe) event(e live.Event) {
	switch e := e.(type) {
	case live.Frame:
		p.screen.Line(string(e.Data))
	case live.Online:
		p.state(stateLine{State: "online", Cursor: e.Cursor.String(), Resumed: e.Resumed})
	case live.Offline:
		p.state(stateLine{State: "offline", RetryIn: e.Retry.Seconds(), Error: e.Err.Error()})
	case live.Gap:
		s := stateLine{State: "gap", ChannelID: e.ChannelID, After: e.After, Through: e.Through, Filled: e.Filled}
		if e.Err != nil {
			s.Error = e.Err.Error()
		}
		p.state(s)
	case live.Resync:
		p.state(stateLine{State: "resync", Reason: e.Reason, Cursor: e.From.String(), Through: e.Head})
	case live.Posted:
		if e.Filled {
			p.state(stateLine{State: "filled", ChannelID: e.Message.ChannelID, Message: &e.Message})
		}
	case live.Refused:
		p.told(e) // its frame is there already
	}
}

func (p *pipe) state(s stateLine) {
	s.Type = "state"
	text, err := json.Marshal(s)
	if err != nil {
		text = []byte(`{"type":"state","state":"invalid"}`) // a struct of texts and numbers always has a JSON form
	}
	p.screen.Line(string(text))
}
