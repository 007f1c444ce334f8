package directory

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// Census implements store.Census.
func (d *Directory) Census(ctx context.Context, workspace chat.WorkspaceID) (store.Counts, error) {
	type count struct {
		of chat.ChannelID // empty: the workspace
		n  int
	}
	scan := func(r relational.Row) (c count, err error) { return c, r.Scan(&c.of, &c.n) }
	all, err := list(ctx, d, relational.Ask("count", `SELECT '', count(*) FROM members WHERE workspace_id = ?1
		UNION ALL SELECT c.id, count(*) FROM channels AS c JOIN tenures AS t INDEXED BY open_tenures ON t.channel_id = c.id
			WHERE c.workspace_id = ?1 AND t.left_by IS NULL GROUP BY c.id`, scan), workspace)
	if err != nil {
		return store.Counts{}, err
	}
	counts := store.Counts{Channels: make(map[chat.ChannelID]int, len(all))}
	for _, c := range all {
		if c.of == "" {
			counts.Members = c.n
		} else {
			counts.Channels[c.of] = c.n
		}
	}
	return counts, nil
}
