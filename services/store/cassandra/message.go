package cassandra

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

const (
	columns = `SELECT seq, next_bucket, version, sender_id, client_msg_id, thread, posted_at, attachments, body, edited_at, deleted, pinned, reactions ` +
		`FROM messages_by_channel WHERE channel_id = ? AND bucket = ? `

	readOlder = columns + `AND seq >= ? AND seq <= ? LIMIT ?` // newest first is the order of the table
	readNewer = columns + `AND seq >= ? AND seq <= ? ORDER BY seq ASC LIMIT ?`
	readSeqs  = columns + `AND seq IN ?`

	readProgress = `SELECT seq FROM progress WHERE shard = ?`
	noteProgress = `UPDATE progress USING TIMESTAMP ? SET seq = ? WHERE shard = ?`
)

// entry is one row of messages_by_channel.
type entry struct {
	seq     chat.Seq
	next    chat.Seq // where the next bucket begins; 0: none that has a row
	posted  bool     // its post was applied: message is there
	message chat.Message
}

// entryOf reads rows of a channel.
func entryOf(channel chat.ChannelID) func(ring.Row) (entry, error) {
	return func(r ring.Row) (entry, error) {
		var (
			seq, next, version, thread, posted, edited int64
			sender, client, attachments                string
			reactions                                  []string
			m                                          = chat.Message{ChannelID: channel}
		)
		err := r.Scan(&seq, &next, &version, &sender, &client, &thread, &posted, &attachments, &m.Body, &edited, &m.Deleted, &m.Pinned, &reactions)
		e := entry{seq: chat.Seq(seq), next: chat.Seq(next), posted: version != 0}
		if err != nil || !e.posted {
			return e, err
		}
		m.Seq, m.Epoch, m.PostedAt = e.seq, epochOf(version), time.Unix(0, posted).UTC()
		m.SenderID, m.ClientMsgID, m.Thread = chat.UserID(sender), chat.ClientMsgID(client), chat.Seq(thread)
		if m.Deleted {
			e.message = store.Erased(m)
			return e, nil
		}
		if edited != 0 {
			m.EditedAt = time.Unix(0, edited).UTC()
		}
		if attachments != "" {
			if err := json.Unmarshal([]byte(attachments), &m.Attachments); err != nil {
				return e, fmt.Errorf("attachments of %d: %w", e.seq, err)
			}
		}
		m.Reactions = reactionsOf(reactions)
		e.message = m
		return e, nil
	}
}

// reactionsOf is the first chat.MaxReactions of a set's elements, by emoji and user. The set's own order is another: a
// slash is not the lowest character.
func reactionsOf(elements []string) []chat.Reaction {
	pairs := make([][2]string, 0, len(elements))
	for _, e := range elements {
		i := strings.LastIndexByte(e, '/')
		if i < 0 {
			continue // written by nobody
		}
		pairs = append(pairs, [2]string{e[:i], e[i+1:]})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	return store.GroupReactions(pairs[:min(len(pairs), chat.MaxReactions)])
}

func epochOf(version int64) chat.Epoch { return chat.Epoch(uint64(version) >> 48) }

// Message implements store.Messages.
func (m *Messages) Message(ctx context.Context, channel chat.ChannelID, seq chat.Seq) (chat.Message, error) {
	found, err := m.messages(ctx, channel, []chat.Seq{seq})
	if err != nil {
		return chat.Message{}, fmt.Errorf("read a message: %w", err)
	}
	if len(found) == 0 {
		return chat.Message{}, fault.New(fault.NotFound, "There is no such message.")
	}
	return found[0], nil
}

const (
	seqsAtOnce   = 50  // rows that one question names
	readsAtOnce  = 8   // questions for one answer
	pinsAtOnce   = 250 // entries of the index
	fewestAtOnce = 16  // rows of a question for a page: some may be of messages whose post is not there
)

// messages reads those of seqs that are there, newest first.
func (m *Messages) messages(ctx context.Context, channel chat.ChannelID, seqs []chat.Seq) ([]chat.Message, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	l, err := m.places.decided(ctx, channel, slices.Max(seqs))
	if err != nil {
		return nil, err
	}
	byBucket := map[chat.Seq][]int64{}
	for _, seq := range seqs {
		if l.decides(seq) { // nobody writes what is not decided
			byBucket[l.bucketOf(seq)] = append(byBucket[l.bucketOf(seq)], int64(seq))
		}
	}
	var reads []ring.Read
	for bucket, seqs := range byBucket {
		for part := range slices.Chunk(seqs, seqsAtOnce) {
			reads = append(reads, ring.Read{Statement: readSeqs, Args: []any{string(channel), int64(bucket), part}})
		}
	}
	answers := make([][]entry, len(reads))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, q := range reads {
		group.Go(func() (err error) {
			answers[i], err = rows.Query(ctx, m.db, q, entryOf(channel))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var found []chat.Message
	for _, e := range slices.Concat(answers...) {
		if e.posted {
			found = append(found, e.message)
		}
	}
	slices.SortFunc(found, func(a, b chat.Message) int { return cmp.Compare(b.Seq, a.Seq) })
	return found, nil
}

// Progress implements store.Messages.
func (m *Messages) Progress(ctx context.Context, shard int) (chat.Seq, error) {
	found, err := rows.Query(ctx, m.db, ring.Read{Statement: readProgress, Args: []any{shard}}, scanSeq)
	if err != nil {
		return 0, fmt.Errorf("read progress: %w", err)
	}
	if len(found) == 0 {
		return 0, nil
	}
	return found[0], nil
}

// NoteProgress implements store.Messages. The seq is its own timestamp.
func (m *Messages) NoteProgress(ctx context.Context, shard int, seq chat.Seq) error {
	n := int64(min(seq, chat.MaxSeq))
	if err := m.db.Batch(ctx, []ring.Write{{Statement: noteProgress, Args: []any{n, n, shard}}}); err != nil {
		return fmt.Errorf("note progress: %w", err)
	}
	return nil
}
