package client_test

import (
	"context"
	"fmt"
	"os"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/chat"
)

// Everything of a channel, oldest first.
func ExampleClient_History() {
	ctx := context.Background()
	c, err := client.FromToken("https://chat.example", os.Getenv("TOKEN"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for after := client.FromBeginning; ; {
		page, err := c.History(ctx, "c1", client.Page{After: after, Limit: chat.MaxPageSize})
		if err != nil {
			fmt.Println(err)
			return
		}
		for i := len(page.Messages) - 1; i >= 0; i-- {
			fmt.Println(page.Messages[i].Body)
		}
		if !page.HasMore {
			return
		}
		after = page.Messages[0].Seq
	}
}
