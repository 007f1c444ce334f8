package cassandra

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

const (
	insertSend = `INSERT INTO sends_by_client_id (workspace_id, slot, sender_id, client_msg_id, version, channel_id) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	readSend   = `SELECT version, channel_id FROM sends_by_client_id WHERE workspace_id = ? AND slot = ? AND sender_id = ? AND client_msg_id = ?`
)

const (
	// slotStep is the time whose ids share a slot of time: long enough that posts which were stored together are in one slot
	// or two, although their senders' clocks are some seconds apart, and so short that a workspace with 6,000 posts a second
	// has 24,000 rows in a slot, some 3 MB.
	slotStep = 4 * time.Second

	// slotReach is how far the time in an id may be from when its post was stored, to have a slot of time: as far as clocks
	// are apart in networks that keep time at all (Kerberos allows as much). It bounds a slot that is filled on purpose by
	// what a workspace posts in twice this time.
	slotReach = 5 * time.Minute
)

// sendTimestamp falls as versions grow, so that of two sends in a slot the first wins.
func sendTimestamp(v chat.Version) int64 { return int64(store.DeleteBit - v) }

// slotOf is the slot that a post's send is written to. It is a function of the post alone: whoever applies it, and when and how
// often, it is the same row.
func slotOf(post *event.Stored) int64 {
	if made, ok := post.ClientMsgID.Time(); ok && made.Sub(post.At).Abs() <= slotReach {
		return slotOfTime(made)
	}
	return slotOfHash(post.SenderID, post.ClientMsgID)
}

// slotsOf is all slots that a send can be in: when its post was stored is not in the key.
func slotsOf(key store.SendKey) []int64 {
	slots := []int64{slotOfHash(key.SenderID, key.ClientMsgID)}
	if made, ok := key.ClientMsgID.Time(); ok {
		slots = append(slots, slotOfTime(made))
	}
	return slots
}

// slotOfTime is 0 or above.
func slotOfTime(made time.Time) int64 { return made.UnixMilli() / slotStep.Milliseconds() }

// slotOfHash is below 0. A slot for each send, and by a hash that nobody finds collisions of in numbers: ids are what
// clients make up.
func slotOfHash(sender chat.UserID, id chat.ClientMsgID) int64 {
	sum := sha256.Sum256([]byte(string(sender) + "/" + string(id)))
	return int64(binary.BigEndian.Uint64(sum[:]) | 1<<63)
}

// rowOfSend is what a post writes, so that its send is found.
func rowOfSend(post *event.Stored) rows.Row {
	v, slot := post.Version(), slotOf(post)
	return row(rows.Partition{Table: sendsByClientID, Key: string(post.WorkspaceID), Number: slot}, 0,
		insertSend, string(post.WorkspaceID), slot, string(post.SenderID), string(post.ClientMsgID), int64(v), string(post.ChannelID), sendTimestamp(v))
}

// Send implements store.Messages. The same id may be in both of its slots, when it was posted again later: the lowest
// version is the first send.
func (m *Messages) Send(ctx context.Context, key store.SendKey) (store.SendPlace, error) {
	slots := slotsOf(key)
	answers := make([][]sent, len(slots))
	group, ctx := errgroup.WithContext(ctx)
	for i, slot := range slots { // one question each, so that each goes to a node that has the slot
		group.Go(func() (err error) {
			answers[i], err = rows.Query(ctx, m.db, ring.Read{Statement: readSend,
				Args: []any{string(key.WorkspaceID), slot, string(key.SenderID), string(key.ClientMsgID)}}, scanSent)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return store.SendPlace{}, fmt.Errorf("look a send up: %w", err)
	}
	var first sent
	for _, found := range answers {
		for _, s := range found {
			if first.version == 0 || s.version < first.version {
				first = s
			}
		}
	}
	if first.version == 0 {
		return store.SendPlace{}, fault.New(fault.NotFound, "There is no such send.")
	}
	return store.SendPlace{ChannelID: first.channel, Seq: first.version.Seq(), Epoch: epochOf(int64(first.version))}, nil
}

// sent is a post's place as a slot has it.
type sent struct {
	version chat.Version // never 0: a log's first seq is 1
	channel chat.ChannelID
}

func scanSent(r ring.Row) (sent, error) {
	var version int64
	var channel string
	err := r.Scan(&version, &channel)
	return sent{chat.Version(version), chat.ChannelID(channel)}, err
}
