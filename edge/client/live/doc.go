// Package live is the half of Canopy's client for Go that holds a socket: everything that happens in a workspace as it
// happens, and everything that is sent there. The other half, edge/client, signs in and speaks REST.
//
// A bot that answers whoever says hello:
//
//	c, err := client.Login(ctx, "https://chat.example", "robot", password, "greeter")
//	if err != nil {
//		return err
//	}
//	conn := live.Connect(c, live.Options{Workspace: c.Account().Workspaces[0].ID})
//	ended := make(chan error, 1)
//	go func() { ended <- conn.Run(ctx) }()
//	for e := range conn.Events() {
//		switch e := e.(type) {
//		case live.Posted:
//			if e.Message.SenderID == c.Account().User.ID || e.Message.Body != "hello" {
//				continue
//			}
//			if _, err := conn.Send(ctx, client.Message{ChannelID: e.Message.ChannelID, Body: "Hello to you!"}); err != nil {
//				return err
//			}
//		case live.Resync:
//			log.Printf("missed something: %s", e.Reason)
//		}
//	}
//	return <-ended
//
// What a Conn promises: each message of the user's channels is told once, in the order of the log, or a Gap or a
// Resync stands where that could not be proved. It comes back by itself with its cursor after any loss, with a
// pause that grows. What is sent waits in an outbox, goes out in order, and is sent again under the same
// client_msg_id until the server has said that the log has it, so nothing is lost and nothing is doubled.
//
// It confirms by itself what the program has taken from Events, at most once a second: who is given something here need not be
// woken elsewhere. What is unread in each channel counts edge/client/count.
//
// The pure parts are order.go (order and gaps, from each frame's prev), outbox.go (what is sent, when and again), edge/client/confirm (what was taken) and
// verdict.go (what the end of a socket means); conn.go performs what they decide. The package decodes frames with
// structs of its own, as any client would: it shares names with the server (schemas/*), and no code that writes frames.
package live
