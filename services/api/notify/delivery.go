package notify

import (
	"cmp"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/api/entry"
)

// delivery answers what became of the message of the path. The ledger trusts who asks it, so it is asked only for those
// who manage the workspace, about a channel that they may see.
func (n notify) delivery(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	seq, err := entry.Seq(c)
	if err != nil {
		return err
	}
	after, limit, err := entry.Page(c, cursorRecipients)
	if err != nil {
		return err
	}
	user := chat.UserID(c.QueryParam("user_id"))
	if user != "" {
		if _, err := chat.ParseUserID(string(user)); err != nil {
			return fault.Wrap(fault.Invalid, err, "user_id: %v", chat.ErrBadID)
		}
	}
	ctx := c.Request().Context()
	channel, standing, err := n.cfg.Channels.Channel(ctx, me.ID, id)
	if err != nil {
		return err
	}
	if !standing.Role.Administers() {
		return fault.New(fault.Forbidden, "owners and administrators of the workspace may ask what became of a message")
	}
	reply, err := n.cfg.Ledger.Show(ctx, rpc.LedgerRequest{
		WorkspaceID: channel.WorkspaceID, ChannelID: id, Seq: seq, UserID: user, After: chat.UserID(after), Limit: limit,
	})
	if err != nil {
		return err
	}
	if reply.ChannelID != id { // a seq names one message of its workspace: this one is in another channel
		return fault.New(fault.NotFound, "there is no such message")
	}
	return entry.Answer(c, http.StatusOK, deliveryOf(reply))
}

// deliveryOf is what the ledger says as those who manage the workspace read it.
func deliveryOf(l rpc.LedgerReply) rest.Delivery {
	out := rest.Delivery{
		ChannelID: l.ChannelID, Seq: l.Seq, ServerMsgID: chat.Cursor{Epoch: l.Epoch, Seq: l.Seq}.String(), SenderID: l.SenderID,
		StoredAt: rest.Time(l.StoredAt), Deleted: l.Deleted, Routed: l.Routed, Recipients: make([]rest.Recipient, len(l.Recipients)),
	}
	for i, r := range l.Recipients {
		out.Recipients[i] = recipientOf(r)
	}
	if l.Next != "" {
		out.NextCursor = entry.CursorAfter(cursorRecipients, string(l.Next))
	}
	return out
}

func recipientOf(r rpc.Recipient) rest.Recipient {
	out := rest.Recipient{
		UserID: r.UserID, Login: r.Login, Status: r.Status, Why: r.Why, At: known(r.At), Device: cmp.Or(r.Device, r.DeviceID), Next: known(r.Next),
		Attempts: r.Attempts, Error: r.Error, Reason: r.Reason, Rounds: r.Rounds, Story: make([]rest.Step, len(r.Story)),
	}
	for i, s := range r.Story {
		out.Story[i] = rest.Step{At: known(s.At), What: s.What, Text: s.Text}
	}
	return out
}

// known is a moment, or nothing when it is not known.
func known(at time.Time) *rest.Time {
	if at.IsZero() {
		return nil
	}
	t := rest.Time(at)
	return &t
}
