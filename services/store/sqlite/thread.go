package sqlite

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

const readParticipants = `
SELECT sender_id FROM (
	SELECT * FROM (
		SELECT seq, sender_id FROM messages
		WHERE channel_id = ?1 AND thread = ?2 AND thread > 0 AND post_version > 0 ORDER BY seq DESC LIMIT ?3)
	UNION ALL
	SELECT seq, sender_id FROM messages WHERE channel_id = ?1 AND seq = ?2 AND post_version > 0)
GROUP BY sender_id ORDER BY max(seq) DESC LIMIT ?4`

// Participants implements store.Threads.
func (m *Messages) Participants(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]chat.UserID, error) {
	ask := relational.Ask("thread", readParticipants, relational.Scalar[chat.UserID])
	return relational.List(ctx, m.db.Source(), ask, string(channel), int64(min(root, chat.MaxSeq+1)), store.MaxThreadRead, chat.MaxFollowers)
}
