package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
)

// aPost is the post of seq in a channel.
func aPost(channel chat.ChannelID, seq chat.Seq, body string) event.Stored {
	return event.Stored{
		Event: event.Event{V: event.Version, Kind: event.MessagePosted, Epoch: 1, ChannelID: channel, SenderID: "ann",
			ClientMsgID: chat.ClientMsgID(fmt.Sprintf("%s-%d", channel, seq)), Body: body},
		WorkspaceID: "ws", Seq: seq, At: time.Unix(1_700_000_000, int64(seq)).UTC(),
	}
}

func aChange(of event.Stored, seq chat.Seq, kind event.Kind) event.Stored {
	e := of
	e.Event = event.Event{V: event.Version, Kind: kind, Epoch: 1, ChannelID: of.ChannelID, SenderID: "ann", MessageSeq: of.Seq}
	e.Seq = seq
	return e
}

func TestOnlyTheOwnerMayReadTheFiles(t *testing.T) {
	path := newPath(t)
	m := openMessages(t, path)
	if err := m.Apply(context.Background(), []event.Stored{aPost("c", 1, "hi")}); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Errorf("the folder holds %v; want the file and its log", files)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(f.Name(), filepath.Base(path)) || info.Mode().Perm() != 0o600 {
			t.Errorf("%q has mode %v", f.Name(), info.Mode())
		}
	}
}

func TestWhatWasWrittenIsThereAfterReopening(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	for seq := range chat.Seq(3) {
		m, err := sqlite.OpenMessages(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Apply(ctx, []event.Stored{aPost("c", seq+1, "hi")}); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	p, err := openMessages(t, path).Page(ctx, store.PageQuery{ChannelID: "c", Limit: 10})
	if err != nil || len(p.Messages) != 3 {
		t.Errorf("%d messages, %v; want 3", len(p.Messages), err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	ctx := context.Background()
	for name, open := range map[string]func(path string) error{
		"messages": func(path string) error {
			m, err := sqlite.OpenMessages(ctx, path)
			if err == nil {
				err = m.Close()
			}
			return err
		},
		"directory": func(path string) error {
			d, err := sqlite.OpenDirectory(ctx, path)
			if err == nil {
				err = d.Close()
			}
			return err
		},
	} {
		path := newPath(t)
		if err := open(path); err != nil {
			t.Fatal(err)
		}
		raw(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
		err := open(path)
		var newer *sqlite.NewerSchemaError
		if !errors.As(err, &newer) {
			t.Fatalf("%s: %v; want a NewerSchemaError", name, err)
		}
		if newer.Have != 999 || newer.Known < 1 || newer.Path != path || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v says %q", name, newer, err)
		}
	}
}

// raw runs a statement on the file, as somebody else would.
func raw(t *testing.T, path, statement string) {
	t.Helper()
	db := rawDB(t, path)
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func rawDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23", " ", "%20").Replace(path))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	ctx := context.Background()
	if _, err := sqlite.OpenMessages(ctx, filepath.Join(t.TempDir(), "no such folder", "m.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is missing: %v", err)
	}
	text := newPath(t)
	if err := os.WriteFile(text, bytes.Repeat([]byte("this is no database\n"), 500), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.OpenDirectory(ctx, text); err == nil {
		t.Error("a text file was opened as a database")
	}
}

func TestManyOpenANewFileAtOnce(t *testing.T) {
	for range 10 {
		path := newPath(t)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				<-start
				d, err := sqlite.OpenDirectory(context.Background(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := d.SigningKeys(context.Background()); err != nil {
					t.Error(err)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
	}
}

func TestMigrationWaitsForThatOfAnotherProcess(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	raw(t, path, `PRAGMA journal_mode=WAL`)
	db := rawDB(t, path)
	defer db.Close()
	other, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	exec := func(statement string) {
		t.Helper()
		if _, err := other.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	exec(`BEGIN IMMEDIATE`)
	opened := make(chan error, 1)
	go func() {
		d, err := sqlite.OpenDirectory(ctx, path)
		if err == nil {
			err = d.Close()
		}
		opened <- err
	}()
	// Time for it to look at the file while the other process is at work. If it is late, the test shows less.
	time.Sleep(150 * time.Millisecond)
	exec(`CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`)
	files, err := fs.Glob(ddl.SQLiteDirectory(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for version := range len(files) + 1 {
		exec(fmt.Sprintf(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, 1)`, version))
	}
	exec(`COMMIT`)
	if err := <-opened; err != nil {
		t.Errorf("opening while another process migrates: %v", err)
	}
}

func TestDeletedTextLeavesTheDisk(t *testing.T) {
	const secret = "zebra-quartz-vortex-8841"
	ctx, path := context.Background(), newPath(t)
	m := openMessages(t, path)
	long := aPost("c", 1, strings.Repeat(secret+" ", chat.MaxBody/(len(secret)+1)))
	short := aPost("c", 2, secret)
	short.Attachments = []chat.Attachment{{ID: "1", Name: secret}}
	edit := aChange(short, 3, event.MessageEdited)
	edit.Body = secret + " again"
	later := aChange(short, 7, event.MessageEdited)
	later.Body = secret + " and again"
	apply := func(events ...event.Stored) {
		t.Helper()
		if err := m.Apply(ctx, events); err != nil {
			t.Fatal(err)
		}
	}
	apply(long, short, edit)
	if !onDisk(t, path, secret) {
		t.Fatal("the text is not on the disk before it is deleted, so this test shows nothing")
	}
	apply(aChange(long, 4, event.MessageDeleted), aChange(short, 5, event.MessageDeleted))
	if onDisk(t, path, secret) {
		t.Error("the text of a deleted message is on the disk")
	}
	unseen := short // its delete is applied before its post
	unseen.Seq, unseen.ClientMsgID = 10, "unseen"
	apply(aChange(unseen, 11, event.MessageDeleted))
	apply(unseen, long, short, edit, later)
	if onDisk(t, path, secret) {
		t.Error("the text came back with a redelivery")
	}
}

// onDisk reports whether text is in any file of the database.
func onDisk(t *testing.T, path, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

func TestWaitingForAnotherWriterEndsWithTheContext(t *testing.T) {
	path := newPath(t)
	m := openMessages(t, path)
	db := rawDB(t, path)
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(statement string) {
		t.Helper()
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("BEGIN IMMEDIATE")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := m.Apply(ctx, []event.Stored{aPost("c", 1, "hi")}); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply while another writes: %v; want unavailable, for the deadline", err)
	}
	if _, err := m.Page(context.Background(), store.PageQuery{ChannelID: "c", Limit: 1}); err != nil {
		t.Errorf("reading while another writes: %v", err)
	}
	exec("COMMIT")
	if err := m.Apply(context.Background(), []event.Stored{aPost("c", 1, "hi")}); err != nil {
		t.Errorf("Apply after the other one: %v", err)
	}
}
