package crew

import (
	"context"
	"slices"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// look reads a page, or how far channels are read.
func look(ctx context.Context, c *client.Client, workspace string, op *record.Op) error {
	if op.F == record.Marks {
		all, err := c.ReadStates(ctx, chat.WorkspaceID(workspace))
		for _, s := range all {
			op.Read = append(op.Read, record.ReadAt{Channel: string(s.ChannelID), Seq: int64(s.Seq), Unread: s.Unread, Mentions: s.Mentions})
		}
		return err
	}
	page, err := c.History(ctx, chat.ChannelID(op.Channel), client.Page{
		Before: chat.Seq(op.Before), After: chat.Seq(op.After), Limit: op.Limit,
	})
	if err != nil {
		return err
	}
	op.Complete, op.More = int64(page.CompleteThrough), page.HasMore
	for _, m := range page.Messages {
		op.Messages = append(op.Messages, messageOf(m))
	}
	return nil
}

func messageOf(m rest.Message) record.Message {
	out := record.Message{
		Seq: int64(m.Seq), Sender: string(m.SenderID), ID: string(m.ClientMsgID), Body: m.Body, Thread: int64(m.Thread),
		Edited: m.EditedAt != nil, Deleted: m.Deleted,
	}
	for _, r := range m.Reactions {
		for _, id := range r.UserIDs {
			out.Reactions = append(out.Reactions, r.Emoji+" "+string(id))
		}
	}
	slices.Sort(out.Reactions)
	return out
}
