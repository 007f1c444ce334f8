package client

import (
	"context"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// maxFill is how many messages of a gap are read before the next event is told. Who missed more reads history.
const maxFill = 1000

// Gap is a part of a channel's history: after After, up to and with Through.
type Gap struct {
	ChannelID chat.ChannelID
	After     chat.Seq
	Through   chat.Seq
}

// Fill reads the messages of a gap, oldest first: at most some thousand. The error says why they are not all there.
func (c *Client) Fill(ctx context.Context, g Gap) ([]rest.Message, error) {
	var all []rest.Message
	for after := max(g.After, FromBeginning); ; {
		page, err := c.History(ctx, g.ChannelID, Page{After: after, Limit: chat.MaxPageSize})
		if err != nil {
			return nil, fmt.Errorf("read what is missing: %w", err)
		}
		if page.CompleteThrough < g.Through {
			return nil, fmt.Errorf("history is complete up to %d only", page.CompleteThrough)
		}
		for _, m := range slices.Backward(page.Messages) {
			if m.Seq > g.Through {
				return all, nil // it comes over the socket
			}
			if m.Seq > after {
				all, after = append(all, m), m.Seq
			}
		}
		switch {
		case !page.HasMore || len(page.Messages) == 0 || after >= g.Through:
			return all, nil
		case len(all) >= maxFill:
			return nil, fmt.Errorf("more than %d messages are missing", maxFill)
		}
	}
}
