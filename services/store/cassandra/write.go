package cassandra

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

// The writes of Apply. Each carries its version as the timestamp.
const (
	insertPost = `INSERT INTO messages_by_channel (channel_id, bucket, seq, version, sender_id, client_msg_id, thread, posted_at, attachments, body, edited_at) ` +
		`VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) USING TIMESTAMP ?`
	insertReply = `INSERT INTO replies_by_thread (channel_id, thread, seq, sender_id) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`
	updateText  = `UPDATE messages_by_channel USING TIMESTAMP ? SET body = ?, edited_at = ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
	// Values, and no null: a null is a tombstone, which is forgotten one day, and then an older text could come back.
	updateDeleted  = `UPDATE messages_by_channel USING TIMESTAMP ? SET body = '', attachments = '', edited_at = 0, deleted = true WHERE channel_id = ? AND bucket = ? AND seq = ?`
	updatePinned   = `UPDATE messages_by_channel USING TIMESTAMP ? SET pinned = ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
	updatePin      = `UPDATE pins_by_channel USING TIMESTAMP ? SET pinned = ? WHERE channel_id = ? AND seq = ?`
	addReaction    = `UPDATE messages_by_channel USING TIMESTAMP ? SET reactions = reactions + ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
	removeReaction = `UPDATE messages_by_channel USING TIMESTAMP ? SET reactions = reactions - ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
)

// The tables that it writes to.
const (
	messagesByChannel = "messages_by_channel"
	repliesByThread   = "replies_by_thread"
	pinsByChannel     = "pins_by_channel"
	sendsByClientID   = "sends_by_client_id"
)

// row makes a row of p. size is that of its texts.
func row(p rows.Partition, size int, s ring.Statement, args ...any) rows.Row {
	return rows.Row{Partition: p, Write: ring.Write{Statement: s, Args: args}, Size: rows.Overhead + size}
}

// rowsOf is what e writes. bucket is that of its message.
func rowsOf(e *event.Stored, bucket chat.Seq) ([]rows.Row, error) {
	target, ok := store.TargetOf(e)
	if !ok {
		return nil, nil
	}
	channel, b, seq, v := string(target.ChannelID), int64(bucket), int64(target.Seq), int64(e.Version())
	message := func(size int, s ring.Statement, args ...any) rows.Row {
		return row(rows.Partition{Table: messagesByChannel, Key: channel, Number: b}, size, s, args...)
	}
	switch e.Kind {
	case event.MessagePosted:
		return rowsOfPost(e, message)
	case event.MessageEdited:
		return []rows.Row{message(len(e.Body), updateText, v, e.Body, e.At.UnixNano(), channel, b, seq)}, nil
	case event.MessageDeleted:
		return []rows.Row{message(0, updateDeleted, int64(store.TextVersion(e)), channel, b, seq)}, nil
	case event.PinAdded, event.PinRemoved:
		pinned := e.Kind == event.PinAdded
		return []rows.Row{
			message(0, updatePinned, v, pinned, channel, b, seq),
			row(rows.Partition{Table: pinsByChannel, Key: channel}, 0, updatePin, v, pinned, channel, seq),
		}, nil
	case event.ReactionAdded:
		return []rows.Row{message(len(e.Emoji), addReaction, v, element(e), channel, b, seq)}, nil
	case event.ReactionRemoved:
		return []rows.Row{message(len(e.Emoji), removeReaction, v, element(e), channel, b, seq)}, nil
	}
	return nil, fmt.Errorf("no write for the kind %s", e.Kind)
}

func rowsOfPost(e *event.Stored, message func(int, ring.Statement, ...any) rows.Row) ([]rows.Row, error) {
	attachments := ""
	if len(e.Attachments) > 0 {
		text, err := json.Marshal(e.Attachments)
		if err != nil {
			return nil, fmt.Errorf("attachments: %w", err)
		}
		attachments = string(text)
	}
	channel, seq, v := string(e.ChannelID), int64(e.Seq), e.Version()
	post := message(len(e.Body)+len(attachments), insertPost)
	post.Write.Args = []any{channel, post.Partition.Number, seq, int64(v), string(e.SenderID), string(e.ClientMsgID), int64(e.Thread),
		e.At.UnixNano(), attachments, e.Body, int64(v)}
	all := []rows.Row{post, rowOfSend(e)}
	if e.Thread != 0 {
		all = append(all, row(rows.Partition{Table: repliesByThread, Key: channel, Number: int64(e.Thread)}, 0,
			insertReply, channel, int64(e.Thread), seq, string(e.SenderID), int64(v)))
	}
	return all, nil
}

// element is the one element of a reaction's set. Neither an emoji nor an id has a slash.
func element(e *event.Stored) []string { return []string{e.Emoji + "/" + string(e.SenderID)} }

// aboutNothing reports whether e is about a message that cannot be there: one that is not below e itself. A log names what it
// has, and each epoch begins above the one before. Written like any other, an event that names chat.MaxSeq would raise the
// ceiling to it, and the channel's newest bucket would never end.
func aboutNothing(e *event.Stored, seq chat.Seq) bool {
	return e.Kind != event.MessagePosted && seq >= e.Seq
}

// targets is the messages that events are about, by channel: seqs rise, each once.
func targets(events []event.Stored) map[chat.ChannelID][]chat.Seq {
	of := map[chat.ChannelID][]chat.Seq{}
	for i := range events {
		if t, ok := store.TargetOf(&events[i]); ok && !aboutNothing(&events[i], t.Seq) {
			of[t.ChannelID] = append(of[t.ChannelID], t.Seq)
		}
	}
	for channel, seqs := range of {
		slices.Sort(seqs)
		of[channel] = slices.Compact(seqs)
	}
	return of
}
