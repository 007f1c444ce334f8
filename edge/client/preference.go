package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// Preferences is what the user wants to be woken for in a workspace.
func (c *Client) Preferences(ctx context.Context, ws chat.WorkspaceID) (rest.Preferences, error) {
	return c.preferences(ctx, call{method: http.MethodGet, path: workspacePath(ws) + "/preferences", safe: true})
}

// SetPreferences replaces all of them, and answers what is kept.
func (c *Client) SetPreferences(ctx context.Context, ws chat.WorkspaceID, p rest.Preferences) (rest.Preferences, error) {
	return c.preferences(ctx, call{method: http.MethodPut, path: workspacePath(ws) + "/preferences", in: p, safe: true})
}

func (c *Client) preferences(ctx context.Context, k call) (rest.Preferences, error) {
	var out rest.Preferences
	k.out = &out
	err := c.do(ctx, k)
	return out, err
}

// Follow says whether the user wants to be woken for the replies to a message. Who writes in a thread follows it until they
// say otherwise.
func (c *Client) Follow(ctx context.Context, ch chat.ChannelID, root chat.Seq, follows bool) error {
	method := http.MethodPut
	if !follows {
		method = http.MethodDelete
	}
	return c.do(ctx, call{method: method, path: channelPath(ch) + "/messages/" + strconv.FormatUint(uint64(root), 10) + "/follow", safe: true})
}
