package cassandra

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// The writes of Apply. Each carries its version as the timestamp.
const (
	insertPost = `INSERT INTO messages_by_channel (channel_id, bucket, seq, version, sender_id, client_msg_id, thread, posted_at, attachments, body, edited_at) ` +
		`VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) USING TIMESTAMP ?`
	insertReply = `INSERT INTO replies_by_thread (channel_id, thread, seq) VALUES (?, ?, ?) USING TIMESTAMP ?`
	updateText  = `UPDATE messages_by_channel USING TIMESTAMP ? SET body = ?, edited_at = ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
	// Values, and no null: a null is a tombstone, which is forgotten one day, and then an older text could come back.
	updateDeleted  = `UPDATE messages_by_channel USING TIMESTAMP ? SET body = '', attachments = '', edited_at = 0, deleted = true WHERE channel_id = ? AND bucket = ? AND seq = ?`
	updatePinned   = `UPDATE messages_by_channel USING TIMESTAMP ? SET pinned = ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
	updatePin      = `UPDATE pins_by_channel USING TIMESTAMP ? SET pinned = ? WHERE channel_id = ? AND seq = ?`
	addReaction    = `UPDATE messages_by_channel USING TIMESTAMP ? SET reactions = reactions + ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
	removeReaction = `UPDATE messages_by_channel USING TIMESTAMP ? SET reactions = reactions - ? WHERE channel_id = ? AND bucket = ? AND seq = ?`
)

// row is one write, and the partition that it belongs to.
type row struct {
	partition partition
	write     ring.Write
	size      int // bytes, about
}

// partition names a partition of a table.
type partition struct {
	table  table
	key    string
	number int64 // bucket, thread or slot
}

type table uint8

const (
	messagesByChannel table = iota
	repliesByThread
	pinsByChannel
	sendsByClientID
)

// rowSize is what a row takes besides its texts, about, names of columns and timestamps included.
const rowSize = 160

// rowsOf is what e writes. bucket is that of its message.
func rowsOf(e *event.Stored, bucket chat.Seq) ([]row, error) {
	target, ok := store.TargetOf(e)
	if !ok {
		return nil, nil
	}
	channel, b, seq, v := string(target.ChannelID), int64(bucket), int64(target.Seq), int64(e.Version())
	message := func(size int, s ring.Statement, args ...any) row {
		return row{partition{messagesByChannel, channel, b}, ring.Write{Statement: s, Args: args}, rowSize + size}
	}
	switch e.Kind {
	case event.MessagePosted:
		return rowsOfPost(e, message)
	case event.MessageEdited:
		return []row{message(len(e.Body), updateText, v, e.Body, e.At.UnixNano(), channel, b, seq)}, nil
	case event.MessageDeleted:
		return []row{message(0, updateDeleted, int64(store.TextVersion(e)), channel, b, seq)}, nil
	case event.PinAdded, event.PinRemoved:
		pinned := e.Kind == event.PinAdded
		return []row{
			message(0, updatePinned, v, pinned, channel, b, seq),
			{partition{pinsByChannel, channel, 0}, ring.Write{Statement: updatePin, Args: []any{v, pinned, channel, seq}}, rowSize},
		}, nil
	case event.ReactionAdded:
		return []row{message(len(e.Emoji), addReaction, v, element(e), channel, b, seq)}, nil
	case event.ReactionRemoved:
		return []row{message(len(e.Emoji), removeReaction, v, element(e), channel, b, seq)}, nil
	}
	return nil, fmt.Errorf("no write for the kind %s", e.Kind)
}

func rowsOfPost(e *event.Stored, message func(int, ring.Statement, ...any) row) ([]row, error) {
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
	post.write.Args = []any{channel, post.partition.number, seq, int64(v), string(e.SenderID), string(e.ClientMsgID), int64(e.Thread),
		e.At.UnixNano(), attachments, e.Body, int64(v)}
	rows := []row{post, rowOfSend(e)}
	if e.Thread != 0 {
		rows = append(rows, row{
			partition{repliesByThread, channel, int64(e.Thread)},
			ring.Write{Statement: insertReply, Args: []any{channel, int64(e.Thread), seq, int64(v)}},
			rowSize,
		})
	}
	return rows, nil
}

// element is the one element of a reaction's set. Neither an emoji nor an id has a slash.
func element(e *event.Stored) []string { return []string{e.Emoji + "/" + string(e.SenderID)} }

// batchBytes bounds a batch: past it there is little to gain, and a node holds a batch in memory while it is written.
// Cassandra refuses batches of 50 KB, when they are of several partitions. It is some 90 posts, or 200 sends; a bound of 64
// rows besides was no faster (BenchmarkApply).
const batchBytes = 32 << 10

// batched puts rows of one partition together, in batches that are small enough. A row too large for any goes alone.
func batched(rows []row) [][]ring.Write {
	type open struct{ index, bytes int }
	var batches [][]ring.Write
	fill := map[partition]open{}
	for _, r := range rows {
		at, ok := fill[r.partition]
		if !ok || at.bytes+r.size > batchBytes {
			at = open{index: len(batches)}
			batches = append(batches, nil)
		}
		batches[at.index] = append(batches[at.index], r.write)
		at.bytes += r.size
		fill[r.partition] = at
	}
	return batches
}

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
