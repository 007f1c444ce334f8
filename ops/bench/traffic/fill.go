//go:build linux

package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

const (
	asking      = 8    // requests at once
	fillInTurn  = 16   // messages of one channel that are on their way
	fillerBytes = 4000 // of a message: few of them are many bytes
)

// Prepare asks for everybody's channels and puts so many bytes of messages into each. The server's caches of recent
// messages are of bounded size; they are full from the start then, and do not look like a leak while they fill.
func (m *Mix) Prepare(ctx context.Context, bytesEach int) error {
	group, asked := errgroup.WithContext(ctx)
	group.SetLimit(asking)
	for _, p := range m.people {
		group.Go(func() error { return m.learn(asked, p) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	filler := make(map[chat.ChannelID]*person)
	for _, p := range m.people {
		for _, c := range p.channels {
			if filler[c] == nil {
				filler[c] = p
			}
		}
	}
	group, filling := errgroup.WithContext(ctx)
	group.SetLimit(asking)
	for channel, p := range filler {
		group.Go(func() error {
			return m.fill(filling, newPerson(m.o.Place, p.call.Token, p.call.Source), channel, bytesEach/fillerBytes)
		})
	}
	return group.Wait()
}

// learn asks for a person's channels.
func (m *Mix) learn(ctx context.Context, p *person) error {
	_, text, err := m.rest(ctx, request{method: http.MethodGet, path: "/workspaces/" + m.o.Workspace + "/channels", token: p.call.Token})
	if err != nil {
		return err
	}
	var list rest.ChannelList
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, c := range list.Channels {
		if c.Joined {
			p.channels = append(p.channels, c.ID)
		}
	}
	if len(p.channels) == 0 {
		return errors.New("somebody is in no channel")
	}
	return nil
}

// fill sends messages in one channel, over a socket of its own, and then reads a page: what nobody read is not cached.
func (m *Mix) fill(ctx context.Context, p *person, channel chat.ChannelID, messages int) error {
	s, _, err := p.connect(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	defer s.Cut()
	page := func() error {
		_, _, err := m.rest(ctx, request{method: http.MethodGet, path: "/channels/" + string(channel) + "/messages", token: p.call.Token})
		return err
	}
	if err := page(); err != nil {
		return err
	}
	text := strings.Repeat("x", fillerBytes)
	for sent, acked := 0, 0; acked < messages; {
		for ; sent < messages && sent-acked < fillInTurn; sent++ {
			if err := post(s, channel, text); err != nil {
				return err
			}
		}
		f, err := next(s)
		if err != nil {
			return err
		}
		switch f.Type {
		case "message.ack":
			acked++
		case "error":
			return fmt.Errorf("fill a channel: %s", f.Code)
		}
	}
	return page()
}
