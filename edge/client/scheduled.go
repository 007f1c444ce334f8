package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// Schedule has a message of the user's sent to a channel at n.At, at most chat.MaxScheduleAhead ahead.
func (c *Client) Schedule(ctx context.Context, ch chat.ChannelID, n rest.NewScheduled) (rest.Scheduled, error) {
	var out rest.Scheduled
	err := c.do(ctx, call{method: http.MethodPost, path: channelPath(ch) + "/scheduled", in: n, out: &out, keyed: true})
	return out, err
}

// Remind has the user told n.Text at n.At, in a channel of only themselves.
func (c *Client) Remind(ctx context.Context, ws chat.WorkspaceID, n rest.NewReminder) (rest.Scheduled, error) {
	var out rest.Scheduled
	err := c.do(ctx, call{method: http.MethodPost, path: workspacePath(ws) + "/reminders", in: n, out: &out, keyed: true})
	return out, err
}

// Scheduled is what waits for its time, of the user's in a workspace, the next first.
func (c *Client) Scheduled(ctx context.Context, ws chat.WorkspaceID) ([]rest.Scheduled, error) {
	var list rest.ScheduledList
	err := c.do(ctx, call{method: http.MethodGet, path: workspacePath(ws) + "/scheduled", out: &list, safe: true})
	return list.Scheduled, err
}

// CancelScheduled takes one of them back; not_found when it is not there, or was sent already.
func (c *Client) CancelScheduled(ctx context.Context, ws chat.WorkspaceID, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: workspacePath(ws) + "/scheduled/" + url.PathEscape(id)})
}

func workspacePath(ws chat.WorkspaceID) string { return "/workspaces/" + string(ws) }
