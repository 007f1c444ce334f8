// Package client is Canopy's client for Go, together with edge/client/live: what bots, scripts and the terminal client are
// written with (DESIGN §9). This half is REST: signing in and staying signed in, workspaces, channels, people, history
// and invites. The other half is one socket a workspace, for everything that happens as it happens; its doc
// comment has a bot in twenty lines.
//
//	c, err := client.Login(ctx, "https://chat.example", "robot", password, "reports")
//	if err != nil {
//		return err
//	}
//	ack, err := c.Post(ctx, client.Message{ChannelID: channel, Body: "The build is green."})
//
// A Client refreshes its access token by itself, before it ends and when it is refused. Calls that can be repeated
// are, while the server is busy or does not answer: reads, posts (under one client_msg_id), what makes something (under
// one Idempotency-Key), and what is the same when done twice. A refusal is an *Error, whose Code says what to do.
//
// The package shares the formats of the server (schemas/*), and nothing else of it.
package client
