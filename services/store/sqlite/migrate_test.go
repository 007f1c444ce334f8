package sqlite_test

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store"
)

// firstVersion makes a file as a program that knew only the first migration left it, with rows.
func firstVersion(t *testing.T, migrations fs.FS, rows string) string {
	t.Helper()
	path := newPath(t)
	names, err := fs.Glob(migrations, "00001_*.sql")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	text, err := fs.ReadFile(migrations, names[0])
	if err != nil {
		t.Fatal(err)
	}
	up, _, _ := strings.Cut(string(text), "-- +goose Down")
	raw(t, path, `PRAGMA journal_mode=WAL`)
	raw(t, path, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
			is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
		INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1);`+up+rows)
	return path
}

// TestADirectoryOfTheFirstMigration opens a folder's file with people, who are then what they would be had they come
// later: who created a channel and is in it manages it.
func TestADirectoryOfTheFirstMigration(t *testing.T) {
	const rows = `
		INSERT INTO users VALUES ('ann', 'ann', 'Ann', 0, 'hash', 1), ('bob', 'bob', 'Bob', 0, '', 2);
		INSERT INTO workspaces VALUES ('ws', 'Demo', 3, 1, 5), ('other', 'Other', 4, 1, 5);
		INSERT INTO members VALUES ('ws', 'ann', 'owner', 1, 10), ('ws', 'bob', 'member', 2, 90), ('other', 'bob', 'owner', 3, 7);
		INSERT INTO channels VALUES
			('general', 'ws', 'general', NULL, 'public', '', 0, 'ann', 6), ('plans', 'ws', 'plans', NULL, 'private', '', 0, 'bob', 6),
			('dm', 'ws', NULL, 'ann bob', 'dm', '', 0, 'ann', 6);
		INSERT INTO tenures VALUES
			('general', 'ann', 4, NULL, 20, 0), ('general', 'bob', 5, NULL, 30, 0),
			('plans', 'bob', 6, 7, 40, 100), ('plans', 'ann', 8, NULL, 0, 0),
			('dm', 'ann', 9, NULL, 50, 0), ('dm', 'bob', 10, NULL, 60, 0);
		INSERT INTO signing_keys VALUES ('k', x'00', 1);
		INSERT INTO outbox (id, workspace_id, shard, event, created_at) VALUES
			(8, 'ws', 3, '{"v":1,"kind":"member.joined","epoch":1,"channel_id":"plans","sender_id":"ann","user_id":"ann","role":"owner"}', 9);`
	ctx := context.Background()
	path := firstVersion(t, ddl.SQLiteDirectory(), rows)
	for range 2 { // opening it again changes nothing
		d := openDirectory(t, path)
		for _, want := range []struct {
			channel chat.ChannelID
			user    chat.UserID
			is      chat.Standing
		}{
			{"general", "ann", chat.Standing{Role: chat.RoleOwner, Type: chat.ChannelPublic, InIt: true, Manages: true}},
			{"general", "bob", chat.Standing{Role: chat.RoleMember, Type: chat.ChannelPublic, InIt: true}},
			{"plans", "bob", chat.Standing{Role: chat.RoleMember, Type: chat.ChannelPrivate}}, // created it and left
			{"plans", "ann", chat.Standing{Role: chat.RoleOwner, Type: chat.ChannelPrivate, InIt: true}},
			{"dm", "ann", chat.Standing{Role: chat.RoleOwner, Type: chat.ChannelDM, InIt: true}},
		} {
			got, _, err := d.Standing(ctx, want.channel, want.user)
			if diff := cmp.Diff(want.is, got); err != nil || diff != "" {
				t.Errorf("%s in %s: %v, (-want +got):\n%s", want.user, want.channel, err, diff)
			}
		}
		for shard, want := range map[int]chat.Seq{3: 100, 4: 7, 5: 0} {
			if got, err := d.Recorded(ctx, shard); err != nil || got != want {
				t.Errorf("of shard %d %d is recorded, %v; want %d", shard, got, err, want)
			}
		}
		rows, err := d.Unpublished(ctx, 10)
		if err != nil || len(rows) != 1 || rows[0].ID != 8 {
			t.Errorf("the outbox has %+v, %v", rows, err)
		}
	}
	d := openDirectory(t, path)
	if err := d.Record(ctx, []store.OutboxDone{{ID: 8, Seq: 110}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.RemoveMember(ctx, "ws", "ann", "bob"); err != nil {
		t.Fatal(err)
	}
	rowsAfter, err := d.Unpublished(ctx, 10)
	if err != nil || len(rowsAfter) != 2 || rowsAfter[0].ID <= 8 {
		t.Errorf("the outbox has %+v, %v", rowsAfter, err)
	}
	if got, err := d.Recorded(ctx, 3); err != nil || got != 110 {
		t.Errorf("%d is recorded, %v; want 110", got, err)
	}
}

// TestMessagesOfTheFirstMigration opens a history that has no cursors and no deliveries.
func TestMessagesOfTheFirstMigration(t *testing.T) {
	ctx := context.Background()
	m := openMessages(t, firstVersion(t, ddl.SQLiteMessages(), `
		INSERT INTO messages (channel_id, seq, post_version, text_version, sender_id, body) VALUES ('c', 1, (1 << 48) + 1, (1 << 48) + 1, 'ann', 'hi');
		INSERT INTO messages (channel_id, seq, post_version, text_version, sender_id, thread) VALUES ('c', 2, (1 << 48) + 2, (1 << 48) + 2, 'bob', 1);
		INSERT INTO progress VALUES (0, 1);`))
	if got, err := m.Message(ctx, "c", 1); err != nil || got.Body != "hi" {
		t.Errorf("the message is %+v, %v", got, err)
	}
	r := store.ReadCursor{WorkspaceID: "ws", ChannelID: "c", UserID: "ann", Cursor: chat.Cursor{Epoch: 1, Seq: 1}}
	if got, err := m.SetRead(ctx, r); err != nil || got != r {
		t.Errorf("the read cursor is %+v, %v", got, err)
	}
	if got, err := m.Participants(ctx, "c", 1); err != nil || !slices.Equal(got, []chat.UserID{"bob", "ann"}) {
		t.Errorf("in the thread are %v, %v", got, err)
	}
	d := store.DeviceCursor{WorkspaceID: "ws", UserID: "ann", DeviceID: "phone", Cursor: r.Cursor}
	if err := m.SetDelivered(ctx, []store.DeviceCursor{d}); err != nil {
		t.Error(err)
	}
	if got, err := m.DevicesOf(ctx, "ws", []chat.UserID{"ann"}); err != nil || !slices.Equal(got, []store.DeviceCursor{d}) {
		t.Errorf("the device cursors are %+v, %v", got, err)
	}
}

// TestTheLastMigrationCanBeTakenBack runs the way down, which the program itself never does, and up again.
func TestTheLastMigrationCanBeTakenBack(t *testing.T) {
	for name, files := range map[string]fs.FS{"directory": ddl.SQLiteDirectory(), "messages": ddl.SQLiteMessages()} {
		path := firstVersion(t, files, "")
		open := func() {
			t.Helper()
			if name == "directory" {
				openDirectory(t, path)
			} else {
				openMessages(t, path)
			}
		}
		open()
		names, err := fs.Glob(files, "*.sql")
		if err != nil || len(names) < 2 {
			t.Fatal(names, err)
		}
		text, err := fs.ReadFile(files, names[len(names)-1])
		if err != nil {
			t.Fatal(err)
		}
		_, down, _ := strings.Cut(string(text), "-- +goose Down")
		raw(t, path, down+fmt.Sprintf(`; DELETE FROM goose_db_version WHERE version_id = %d`, len(names)))
		open()
	}
}
