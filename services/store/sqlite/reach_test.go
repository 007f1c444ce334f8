package sqlite_test

import (
	"fmt"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
)

// tenThousand is a channel of as many, who came one after the other, and as many times that had ended before.
const tenThousand = `
	INSERT INTO users (id, login, display_name, deactivated, password_hash, created_at) VALUES ('ann', 'ann', 'Ann', 0, '', 1);
	INSERT INTO workspaces VALUES ('ws', 'Demo', 3, 1, 5);
	INSERT INTO channels (id, workspace_id, name, type, topic, archived, creator_id, created_at) VALUES ('general', 'ws', 'general', 'public', '', 0, 'ann', 6);
	CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 10000 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) SELECT i FROM n;
	INSERT INTO users (id, login, display_name, deactivated, password_hash, created_at) SELECT 'u' || i, 'u' || i, 'U', 0, '', 1 FROM n;
	INSERT INTO members (workspace_id, user_id, role, joined_by, joined_seq) SELECT 'ws', 'u' || i, 'member', i, i FROM n;
	INSERT INTO tenures (channel_id, user_id, joined_by, left_by, joined_seq, left_seq) SELECT 'general', 'u' || i, i + 20000, i + 40000, 1, 2 FROM n;
	INSERT INTO tenures (channel_id, user_id, joined_by, joined_seq) SELECT 'general', 'u' || i, i + 60000, i FROM n;`

func TestReachOfALargeChannel(t *testing.T) {
	path := newPath(t)
	d := openDirectory(t, path)
	raw(t, path, tenThousand+`INSERT INTO follows (channel_id, root, user_id, follows, at) SELECT 'general', 7, 'u' || i, i % 2, i FROM n;`)
	t.Run("its members come in pages", func(t *testing.T) { membersInPages(t, d) })
	t.Run("of its followers the latest", func(t *testing.T) { latestFollows(t, d) })
}

func membersInPages(t *testing.T, d store.Directory) {
	for seq, want := range map[chat.Seq]int{0: 0, 1: 10_000, 3: 0, 14_999: 5_000, 19_999: 10_000} {
		got := 0
		for q := (store.MembersQuery{ChannelID: "general", Seq: seq, Limit: store.MaxRecipients}); ; {
			users, settled, err := d.MembersAt(t.Context(), q)
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

func latestFollows(t *testing.T, d store.Directory) {
	all, err := d.FollowsOf(t.Context(), "general", 7)
	if err != nil || len(all) != chat.MaxFollowers {
		t.Fatal(len(all), err)
	}
	for i, f := range all {
		if want := fmt.Sprint("u", 19_999-i); string(f.UserID) != want || f.Follows != (i%2 == 0) {
			t.Fatalf("the follower %d is %+v; want %s", i, f, want)
		}
	}
}
