package cassandra

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

const (
	readSenders = `SELECT seq, sender_id FROM replies_by_thread WHERE channel_id = ? AND thread = ? AND seq <= ? LIMIT ?`

	sendersAtOnce = 1_000 // replies of one question: few threads have more
	unnamedAtMost = 1_000 // replies whose sender their message has to say: each is a row to read elsewhere
)

// reply is one row of a thread's index.
type reply struct {
	seq    chat.Seq
	sender chat.UserID // empty: stored by a version that did not write it
}

// Participants implements store.Threads. The index says who replied. Of replies that were stored before it did so, the messages
// are read, the latest unnamedAtMost of them; a history that is rebuilt from the log has none.
func (m *Messages) Participants(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]chat.UserID, error) {
	w := &writers{m: m, channel: channel, seen: map[chat.UserID]bool{}, unnamed: unnamedAtMost}
	err := w.replies(ctx, min(root, chat.MaxSeq+1))
	if err == nil && !w.full() {
		err = w.root(ctx, root)
	}
	if err != nil {
		return nil, fmt.Errorf("read who is in a thread: %w", err)
	}
	return w.found, nil
}

// writers gathers who wrote in a thread, the latest first.
type writers struct {
	m       *Messages
	channel chat.ChannelID
	found   []chat.UserID
	seen    map[chat.UserID]bool
	unnamed int // so many messages may still be read
}

func (w *writers) full() bool { return len(w.found) >= chat.MaxFollowers }

func (w *writers) add(user chat.UserID) {
	if !w.seen[user] && !w.full() {
		w.seen[user] = true
		w.found = append(w.found, user)
	}
}

// replies adds who replied, from the latest reply to the earliest that is looked at.
func (w *writers) replies(ctx context.Context, root chat.Seq) error {
	for s, left := (store.Span{To: chat.MaxSeq}), store.MaxThreadRead; left > 0 && !s.Empty() && !w.full(); left -= sendersAtOnce {
		n := min(left, sendersAtOnce)
		page, err := rows.Query(ctx, w.m.db, ring.Read{Statement: readSenders, Args: []any{string(w.channel), int64(root), int64(s.To), n},
			PageSize: n}, scanReply)
		if err != nil {
			return err
		}
		if err := w.name(ctx, page); err != nil {
			return err
		}
		for _, r := range page {
			if r.sender != "" {
				w.add(r.sender)
			}
			s = s.After(r.seq)
		}
		if len(page) < n {
			return nil
		}
	}
	return nil
}

// name fills in who sent those of page that do not say so.
func (w *writers) name(ctx context.Context, page []reply) error {
	at := map[chat.Seq]int{}
	var seqs []chat.Seq
	for i, r := range page {
		if r.sender == "" && w.unnamed > 0 {
			w.unnamed--
			at[r.seq] = i
			seqs = append(seqs, r.seq)
		}
	}
	messages, err := w.m.messages(ctx, w.channel, seqs)
	for _, msg := range messages {
		page[at[msg.Seq]].sender = msg.SenderID
	}
	return err
}

// root adds who wrote the message that the thread is about.
func (w *writers) root(ctx context.Context, seq chat.Seq) error {
	msg, err := w.m.Message(ctx, w.channel, seq)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	}
	w.add(msg.SenderID)
	return nil
}

func scanReply(r ring.Row) (reply, error) {
	var seq int64
	var sender string
	err := r.Scan(&seq, &sender)
	return reply{chat.Seq(seq), chat.UserID(sender)}, err
}
