package store

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// Messages is the history of all channels, and what is kept beside it of who got and read what.
type Messages interface {
	History
	Threads
	Progress
	ReadCursors
	DeviceCursors
	Deliveries
}

// History is what services/persist writes and services/history reads.
type History interface {
	// Apply writes what events cause. Events may come in any order, any number of times and from several
	// writers at once; the end state is that of the log's order:
	//
	//   - a message's text is that of its latest edit, also when the edit was applied before the post;
	//   - a reaction or pin stands when its latest event added it;
	//   - a delete dominates: whatever the order, also of an edit stored after it, the text is gone for good;
	//   - of two posts with one (sender, client_msg_id) the one with the lowest version is that id's message;
	//     both are in the channel.
	//
	// "Latest" is by event.Stored.Version, so that it holds over epochs too; State is this rule as code. A message
	// is named by its channel and seq: a workspace uses no seq twice, and a new epoch begins above every seq of the one
	// before it, so that seqs rise with versions. Kinds that change no message (members,
	// channels, users, unknown ones) leave no row. When it returns nil everything is durable; after an error any
	// part of it may have been written, and it can be called again.
	Apply(ctx context.Context, events []event.Stored) error

	// Page reads messages of a channel or of a thread in it, newest first. A message that was edited,
	// reacted to or deleted before its post was applied is not there yet. A deleted message is Erased: its
	// place, sender and time are left. Of its reactions a message carries the first chat.MaxReactions pairs, by
	// emoji and user. Times are those of the log to the nanosecond, in UTC. The error is Invalid for a
	// query that PageQuery.Check refuses.
	Page(ctx context.Context, q PageQuery) (Page, error)

	// Pins reads the pinned, not deleted messages of a channel, newest first, at most chat.MaxPins.
	Pins(ctx context.Context, channel chat.ChannelID) ([]chat.Message, error)

	// Message reads one message. A deleted one is there, without its text. The error is NotFound.
	Message(ctx context.Context, channel chat.ChannelID, seq chat.Seq) (chat.Message, error)

	// Send finds the message that a sender's client_msg_id stands for in a workspace. The error is NotFound.
	Send(ctx context.Context, key SendKey) (SendPlace, error)
}

// Progress is how far the history has come. It is noted after what it tells of is durable, so it may be behind.
type Progress interface {
	// Progress is the seq up to which every event of a shard's stream has been applied; 0 at first.
	Progress(ctx context.Context, shard int) (chat.Seq, error)

	// NoteProgress records that everything of a shard up to seq has been applied. A lower seq than the
	// recorded one changes nothing.
	NoteProgress(ctx context.Context, shard int, seq chat.Seq) error
}

// PageQuery says which messages of a channel to read. At most one of Before, After and Around is not 0;
// with none of them the page is the newest.
type PageQuery struct {
	ChannelID chat.ChannelID
	Thread    chat.Seq // replies to this root only, without the root; 0: the channel with all its messages
	Before    chat.Seq // messages with a lower seq, those nearest to it
	After     chat.Seq // messages with a higher seq, those nearest to it
	Around    chat.Seq // half of the page up to and with this seq, half after it
	Limit     int      // 1 to chat.MaxPageSize
}

// Check says what makes q a query that no store can answer. The error is Invalid.
func (q PageQuery) Check() error {
	borders := 0
	for _, b := range []chat.Seq{q.Before, q.After, q.Around} {
		if b != 0 {
			borders++
		}
	}
	switch {
	case borders > 1:
		return fault.New(fault.Invalid, "Give only one of before, after and around.")
	case q.Limit < 1 || q.Limit > chat.MaxPageSize:
		return fault.New(fault.Invalid, "A limit is 1 to %d.", chat.MaxPageSize)
	}
	return nil
}

// Halves is how many messages an Around query reads up to and with its seq, and how many after it.
func (q PageQuery) Halves() (upTo, after int) { return (q.Limit + 1) / 2, q.Limit / 2 }

// Page is a piece of a channel.
type Page struct {
	Messages []chat.Message // newest first, deleted ones included, without their text
	HasMore  bool           // there is more in the direction of the query (older, unless After was given)
}

// SendKey is the client's name for a send.
type SendKey struct {
	WorkspaceID chat.WorkspaceID
	SenderID    chat.UserID
	ClientMsgID chat.ClientMsgID
}

// SendPlace is where a send ended up.
type SendPlace struct {
	ChannelID chat.ChannelID
	Seq       chat.Seq
	Epoch     chat.Epoch
}
