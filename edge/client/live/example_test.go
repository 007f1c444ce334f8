package live_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
)

// A bot that answers whoever says hello.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := client.Login(ctx, os.Getenv("CANOPY_URL"), "robot", os.Getenv("CANOPY_PASSWORD"), "greeter")
	if err != nil {
		fmt.Println(err)
		return
	}
	me := c.Account()
	conn := live.Connect(c, live.Options{Workspace: me.Workspaces[0].ID})
	ended := make(chan error, 1)
	go func() { ended <- conn.Run(ctx) }()
	for e := range conn.Events() {
		switch e := e.(type) {
		case live.Posted:
			if m := e.Message; m.SenderID != me.User.ID && m.Body == "hello" {
				if _, err := conn.Send(ctx, client.Message{ChannelID: m.ChannelID, Body: "Hello to you!"}); err != nil {
					fmt.Println(err)
				}
			}
		case live.Resync:
			fmt.Println("missed something:", e.Reason)
		}
	}
	if err := <-ended; err != nil {
		fmt.Println(err)
	}
}

// A send is stored when its Receipt comes, and not before.
func ExamplePending_Wait() {
	ctx := context.Background()
	var conn *live.Conn // made by live.Connect; its Run and its Events are served elsewhere
	p, err := conn.Send(ctx, client.Message{ChannelID: "c1", Body: "Deployed."})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := p.Wait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("stored as", r.ServerMsgID)
}
