package courier

import (
	"cmp"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/wire"
)

// Request is a change on its way to the log, and what its answer must name.
type Request struct {
	Change event.Change
	About  wire.Inbound // without its text
}

// NewRequest is what a frame asks for. Where its user stands is for the caller to say when it goes.
func NewRequest(in wire.Inbound, user chat.UserID, place fanout.Place) Request {
	r := Request{About: in, Change: event.Change{
		Kind: in.Kind(), Workspace: place.WorkspaceID, Shard: place.Shard, Epoch: place.Epoch, ChannelID: in.ChannelID, UserID: user,
		ClientMsgID: in.ClientMsgID, Retry: in.Retry, MessageSeq: in.Seq, Thread: in.Thread,
		Body: in.Body, Emoji: in.Emoji, Attachments: in.Attachments,
	}}
	r.About.Body, r.About.Attachments = "", nil
	return r
}

// AppendAck writes the frame that says where the log stored it.
func (r *Request) AppendAck(dst []byte, receipt event.Receipt) []byte {
	if r.Change.Kind != event.MessagePosted {
		return wire.AppendAck(dst, r.About.Ref, receipt.Seq)
	}
	return wire.AppendMessageAck(dst, wire.Ack{
		ClientMsgID: r.Change.ClientMsgID, ChannelID: r.Change.ChannelID, Epoch: cmp.Or(receipt.Epoch, r.Change.Epoch),
		Seq: receipt.Seq, At: receipt.At, Duplicate: receipt.Duplicate,
	})
}
