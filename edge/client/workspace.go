package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// Workspaces are those of the user, oldest first.
func (c *Client) Workspaces(ctx context.Context) ([]rest.Workspace, error) {
	var list rest.WorkspaceList
	err := c.do(ctx, call{method: http.MethodGet, path: "/workspaces", out: &list, safe: true})
	return list.Workspaces, err
}

// Channels are those of a workspace that the user can see, by id. It reads page after page while they are asked for;
// an error is the last thing that it yields.
func (c *Client) Channels(ctx context.Context, ws chat.WorkspaceID) iter.Seq2[rest.Channel, error] {
	return paged(func(cursor string) ([]rest.Channel, string, error) {
		var list rest.ChannelList
		err := c.list(ctx, "/workspaces/"+string(ws)+"/channels", cursor, &list)
		return list.Channels, list.NextCursor, err
	})
}

// Members are the people of a workspace, by id; as Channels.
func (c *Client) Members(ctx context.Context, ws chat.WorkspaceID) iter.Seq2[rest.Member, error] {
	return c.people(ctx, "/workspaces/"+string(ws)+"/members")
}

// ChannelMembers are the people of a channel, by id; as Channels.
func (c *Client) ChannelMembers(ctx context.Context, ch chat.ChannelID) iter.Seq2[rest.Member, error] {
	return c.people(ctx, channelPath(ch)+"/members")
}

func (c *Client) people(ctx context.Context, path string) iter.Seq2[rest.Member, error] {
	return paged(func(cursor string) ([]rest.Member, string, error) {
		var list rest.MemberList
		err := c.list(ctx, path, cursor, &list)
		return list.Members, list.NextCursor, err
	})
}

func (c *Client) list(ctx context.Context, path, cursor string, into any) error {
	query := url.Values{"limit": {strconv.Itoa(chat.MaxPageSize)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return c.do(ctx, call{method: http.MethodGet, path: path + "?" + query.Encode(), out: into, safe: true})
}

// paged goes through all pages of a list.
func paged[T any](page func(cursor string) (rows []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			rows, next, err := page(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = next
		}
	}
}

func channelPath(ch chat.ChannelID) string { return "/channels/" + string(ch) }

// Channel is one channel.
func (c *Client) Channel(ctx context.Context, ch chat.ChannelID) (rest.Channel, error) {
	return c.channel(ctx, call{method: http.MethodGet, path: channelPath(ch), safe: true})
}

// CreateChannel makes a public or private channel, with the user in it.
func (c *Client) CreateChannel(ctx context.Context, ws chat.WorkspaceID, n rest.NewChannel) (rest.Channel, error) {
	return c.channel(ctx, call{method: http.MethodPost, path: "/workspaces/" + string(ws) + "/channels", in: n, keyed: true})
}

// EditChannel changes what a channel says of itself, or archives it.
func (c *Client) EditChannel(ctx context.Context, ch chat.ChannelID, e rest.EditChannel) (rest.Channel, error) {
	return c.channel(ctx, call{method: http.MethodPatch, path: channelPath(ch), in: e, safe: true})
}

// ReadStates is what the user has read, and which messages are unread, of each channel of a workspace that they are in.
func (c *Client) ReadStates(ctx context.Context, ws chat.WorkspaceID) ([]rest.ReadState, error) {
	var list rest.ReadCursorList
	err := c.do(ctx, call{method: http.MethodGet, path: "/workspaces/" + string(ws) + "/read?messages=true", out: &list, safe: true})
	return list.Cursors, err
}

// MarkRead says that the user has read a channel up to a message, and answers what counts then: it never goes back. Whoever
// has a socket calls live.Conn.Read.
func (c *Client) MarkRead(ctx context.Context, ch chat.ChannelID, seq chat.Seq) (rest.ReadCursor, error) {
	var out rest.ReadCursor
	err := c.do(ctx, call{method: http.MethodPost, path: channelPath(ch) + "/read", in: rest.MarkRead{Seq: seq}, out: &out, safe: true})
	return out, err
}

// OpenDirect is the direct message channel of the user and these people: always the same one.
func (c *Client) OpenDirect(ctx context.Context, ws chat.WorkspaceID, with ...chat.UserID) (rest.Channel, error) {
	in := rest.NewDirect{UserIDs: with}
	return c.channel(ctx, call{method: http.MethodPost, path: "/workspaces/" + string(ws) + "/dms", in: in, safe: true})
}

// Join comes into a public channel; being in it already is no error.
func (c *Client) Join(ctx context.Context, ch chat.ChannelID) (rest.Channel, error) {
	return c.channel(ctx, call{method: http.MethodPost, path: channelPath(ch) + "/join", safe: true})
}

// Leave goes out of a channel.
func (c *Client) Leave(ctx context.Context, ch chat.ChannelID) error {
	return c.do(ctx, call{method: http.MethodPost, path: channelPath(ch) + "/leave"})
}

func (c *Client) channel(ctx context.Context, k call) (rest.Channel, error) {
	var out rest.Channel
	k.out = &out
	err := c.do(ctx, k)
	return out, err
}

// CreateInvite makes an invite to a workspace. Only this answer has its code.
func (c *Client) CreateInvite(ctx context.Context, ws chat.WorkspaceID, n rest.NewInvite) (rest.Invite, error) {
	var out rest.Invite
	err := c.do(ctx, call{method: http.MethodPost, path: "/workspaces/" + string(ws) + "/invites", in: n, out: &out, keyed: true})
	return out, err
}
