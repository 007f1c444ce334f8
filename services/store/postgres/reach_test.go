package postgres_test

import (
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
)

// tenThousand is a channel of as many, who came one after the other, and as many times that had ended before.
const tenThousand = `
	INSERT INTO users VALUES ('ann', 'ann', 'Ann', FALSE, '', 1);
	INSERT INTO workspaces VALUES ('ws', 'Demo', 3, 1, 5);
	INSERT INTO channels (id, workspace_id, name, type, topic, archived, creator_id, created_at) VALUES ('general', 'ws', 'general', 'public', '', FALSE, 'ann', 6);
	INSERT INTO users SELECT 'u' || i, 'u' || i, 'U', FALSE, '', 1 FROM generate_series(10000, 19999) AS i;
	INSERT INTO members (workspace_id, user_id, role, joined_by, joined_seq) SELECT 'ws', 'u' || i, 'member', i, i FROM generate_series(10000, 19999) AS i;
	INSERT INTO tenures (channel_id, user_id, joined_by, left_by, joined_seq, left_seq)
		SELECT 'general', 'u' || i, i + 20000, i + 40000, 1, 2 FROM generate_series(10000, 19999) AS i;
	INSERT INTO tenures (channel_id, user_id, joined_by, joined_seq) SELECT 'general', 'u' || i, i + 60000, i FROM generate_series(10000, 19999) AS i;`

// TestMembersOfALargeChannelComeInPages, of tables that the planner knows nothing of yet.
func TestMembersOfALargeChannelComeInPages(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	if err := exec(dsn, tenThousand); err != nil {
		t.Fatal(err)
	}
	d := open(t, dsn)
	for seq, want := range map[chat.Seq]int{0: 0, 1: 10_000, 3: 0, 14_999: 5_000, 19_999: 10_000} {
		got := 0
		for q := (store.MembersQuery{ChannelID: "general", Seq: seq, Limit: store.MaxRecipients}); ; {
			users, settled, err := d.MembersAt(within(t), q)
			if err != nil || !settled {
				t.Fatal(settled, err)
			}
			for _, u := range users {
				if u <= q.After {
					t.Fatalf("%s comes after %s", u, q.After)
				}
				q.After = u
			}
			if got += len(users); len(users) < q.Limit {
				break
			}
		}
		if got != want {
			t.Errorf("%d members at %d; want %d", got, seq, want)
		}
	}
}
