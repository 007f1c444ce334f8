package live_test

import (
	"context"
	"fmt"
	"os"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
)

// A bot that answers whoever says hello.
func Example() {
	ctx := context.Background()
	c, err := client.Login(ctx, "https://chat.example", "robot", os.Getenv("ROBOT_PASSWORD"), "greeter")
	if err != nil {
		fmt.Println(err)
		return
	}
	conn := live.Connect(c, live.Options{Workspace: c.Account().Workspaces[0].ID})
	ended := make(chan error, 1)
	go func() { ended <- conn.Run(ctx) }()
	for e := range conn.Events() {
		switch e := e.(type) {
		case live.Posted:
			if e.Message.SenderID == c.Account().User.ID || e.Message.Body != "hello" {
				continue
			}
			if _, err := conn.Send(ctx, client.Message{ChannelID: e.Message.ChannelID, Body: "Hello to you!"}); err != nil {
				fmt.Println(err)
			}
		case live.Resync:
			fmt.Println("missed something:", e.Reason)
		}
	}
	fmt.Println(<-ended)
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
