package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/app/stores"
	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/streams"
)

// lost is a deployment whose people have talked, and whose hub is lost then.
type lost struct {
	*absence
	copied string   // a copy of the hub's files from before most of the talk; empty: there is none
	said   []string // in general, by ada
	posts  []reply
	ids    []string
}

// hub is the folder of the hub's files.
func (l *lost) hub() string { return filepath.Join(l.cfg.Data, datadir.Hub) }

// goesOn starts the deployment again, with the same people.
func (l *lost) goesOn() {
	l.t.Helper()
	before := l.deployment.run
	l.deployment = up(l.t, l.cfg)
	l.deployment.run.Workspace = before.Workspace
	l.ada, l.bob = l.ada.at(l.deployment), l.bob.at(l.deployment)
}

// says posts a message of ada's.
func (l *lost) says(body string) reply {
	l.t.Helper()
	id := newMsgID()
	r := l.ada.post(l.general, map[string]any{"body": body, "client_msg_id": id})
	l.said, l.posts, l.ids = append(l.said, body), append(l.posts, r), append(l.ids, id)
	return r
}

// stops ends the deployment when its store has everything up to a seq.
func (l *lost) stops(seq uint64) {
	l.t.Helper()
	messages, closes, err := stores.Messages(l.t.Context(), l.cfg, testLog())
	if err != nil {
		l.t.Fatal(err)
	}
	awaits(l.t, "the store has everything", func() bool {
		through := uint64(0)
		for shard := range streams.Shards {
			p, err := messages.Progress(l.t.Context(), shard)
			if err != nil {
				l.t.Fatal(err)
			}
			through = max(through, uint64(p))
		}
		return through >= seq
	})
	if err := closes(); err != nil {
		l.t.Fatal(err)
	}
	l.stop()
}

// refuses checks that no process starts.
func (l *lost) refuses() {
	l.t.Helper()
	a, err := app.New(l.cfg, app.AllRoles, testLog())
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	err = a.Run(ctx, func(app.Running) { cancel() })
	if err == nil || !strings.Contains(err.Error(), "not the hub that held the data") || !strings.Contains(err.Error(), "canopy hub renew") {
		l.t.Fatalf("the start ends with %v", err)
	}
}

// renew is the command.
func (l *lost) renew(args ...string) string {
	l.t.Helper()
	var out, problem bytes.Buffer
	args = append([]string{"hub", "renew", "--run-hub", "--data", l.cfg.Data, "--set", "log_level=error"}, args...)
	if code := cli.Main(args, cli.System{Stdout: &out, Stderr: &problem}); code != 0 {
		l.t.Fatalf("it ends with %d: %s", code, &problem)
	}
	return out.String()
}

// After the hub was lost, or set back to an older copy, people go on: with their history, and what they had read, in new logs.
func TestTheHubIsLost(t *testing.T) {
	t.Parallel()
	for name, older := range map[string]bool{"emptied": false, "an older copy": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &lost{absence: absent(t)}
			l.says("one")
			if older {
				l.stops(l.posts[0].Seq)
				l.copied = filepath.Join(t.TempDir(), "hub")
				if err := os.CopyFS(l.copied, os.DirFS(l.hub())); err != nil {
					t.Fatal(err)
				}
				l.goesOn()
			}
			b := l.bob.open()
			for _, body := range []string{"two", "three", "four", "five"} {
				l.says(body)
			}
			cursor := l.posts[4].Seq
			b.until(cursor)
			b.send(map[string]any{"type": "cursor.read", "channel_id": l.general, "seq": l.posts[2].Seq, "ref": "r"})
			b.want("cursor.read")
			b.send(map[string]any{"type": "cursor.delivered", "seq": cursor})
			b.cut()
			away := l.says("@bob where are you")
			if k := l.asked.next(t); k.told.Seq != away.Seq {
				t.Errorf("the webhook is told %+v", k.told)
			}
			l.becomes(away.Seq, l.bob, "delivered")
			l.stops(away.Seq)
			l.lose()
			l.refuses()
			if text := l.renew(); !strings.Contains(text, "epoch 1→2") || !strings.Contains(text, "nothing was changed") {
				t.Errorf("it would do\n%s", text)
			}
			l.refuses()
			if text := l.renew("--yes", "--all"); !strings.Contains(text, "epoch 1→2") || !strings.Contains(text, "done: start") {
				t.Errorf("it did\n%s", text)
			}
			l.goesOn()
			l.talksOn(cursor, away.Seq)
		})
	}
}

// lose takes the hub's files away, and puts the older ones in their place, when there are any.
func (l *lost) lose() {
	l.t.Helper()
	if err := os.RemoveAll(l.hub()); err != nil {
		l.t.Fatal(err)
	}
	if l.copied == "" {
		return
	}
	if err := os.CopyFS(l.hub(), os.DirFS(l.copied)); err != nil {
		l.t.Fatal(err)
	}
}

// talksOn is what happens after the logs have begun anew. bob had everything up to cursor, and was told of what came after it.
func (l *lost) talksOn(cursor, last uint64) {
	t := l.t
	// An id of before, which is young: answered as it was, and stored once.
	again := l.ada.store(http.StatusOK, "POST", "/channels/"+l.general+"/messages", map[string]any{"body": "five", "client_msg_id": l.ids[4]})
	if !again.Duplicate || again.Seq != l.posts[4].Seq || again.ServerMsgID != l.posts[4].ServerMsgID || again.TS != l.posts[4].TS {
		t.Errorf("sent again it is %+v, and was %+v", again, l.posts[4])
	}
	if n := l.unread(); n != 3 { // four, five and the one that he was told of
		t.Errorf("%d are unread", n)
	}

	// Who is not there is owed what is new, and nothing of before.
	missed := l.says("@bob we go on")
	if k := l.asked.next(t); k.told.Seq != missed.Seq {
		t.Errorf("the webhook is told %+v, not of %d", k.told, missed.Seq)
	}
	if missed.Seq <= last+1<<29 || missed.ServerMsgID != fmt.Sprintf("2.%d", missed.Seq) {
		t.Errorf("the first message of the new log is %+v", missed)
	}

	// Who comes back with a cursor of before is told to read the history, and then has everything new.
	b := l.bob.open(cursor)
	if b.hello.Resumed || b.hello.Epoch != 2 || b.hello.Head < missed.Seq {
		t.Errorf("hello is %s", b.hello.raw)
	}
	for f := b.next(); f.Type != "resync"; f = b.next() {
		if f.Seq > 0 {
			t.Fatalf("before the resync comes %s", f.raw)
		}
	}
	a := l.ada.open()
	edited := a.do("message.edit", map[string]any{"channel_id": l.general, "seq": l.posts[0].Seq, "body": "uno"})
	deleted := a.do("message.delete", map[string]any{"channel_id": l.general, "seq": l.posts[3].Seq})
	reacted := a.do("reaction.add", map[string]any{"channel_id": l.general, "seq": l.posts[1].Seq, "emoji": "👍"})
	live := l.says("and on")
	var kinds []string
	for _, f := range b.until(live.Seq) {
		if f.ChannelID == l.general {
			kinds = append(kinds, fmt.Sprint(f.Type, f.Kind, " ", f.Seq, " ", f.MessageSeq))
		}
	}
	want := []string{
		fmt.Sprint("eventmessage.edited ", edited, " ", l.posts[0].Seq), fmt.Sprint("eventmessage.deleted ", deleted, " ", l.posts[3].Seq),
		fmt.Sprint("eventreaction.added ", reacted, " ", l.posts[1].Seq), fmt.Sprint("message.deliver ", live.Seq, " 0"),
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("bob is given %q, not %q", kinds, want)
	}
	l.shown(live.Seq)

	if n := l.unread(); n != 4 { // five, and the three that came after it
		t.Errorf("then %d are unread", n)
	}
	b.send(map[string]any{"type": "cursor.read", "channel_id": l.general, "seq": live.Seq, "ref": "r"})
	b.want("cursor.read")
	b.send(map[string]any{"type": "cursor.read", "channel_id": l.general, "seq": l.posts[1].Seq, "ref": "old"})
	b.want("cursor.read")
	if n := l.unread(); n != 0 {
		t.Errorf("when all is read %d are unread", n)
	}
	// Somebody who comes now: what the directory owes to the log is of the new epoch.
	cleo, _ := l.ada.invite("cleo", "member")
	cleo.open()
	for f := b.stored(); f.Kind != "member.joined" || f.UserID != cleo.id; f = b.stored() {
		if f.Epoch != 2 {
			t.Errorf("before cleo comes %s", f.raw)
		}
	}
	if ends := l.renewsNothing(); ends != "" {
		t.Error(ends)
	}
}

// renewsNothing is the command while everything runs: it is refused.
func (l *lost) renewsNothing() string {
	var out, problem bytes.Buffer
	code := cli.Main([]string{"hub", "renew", "--yes", "--data", l.cfg.Data, "--set", "hub.url=" + l.run.Hub}, cli.System{Stdout: &out, Stderr: &problem})
	if code != 2 || !strings.Contains(problem.String(), "stop every process") || !strings.Contains(problem.String(), "gateway ") {
		return fmt.Sprintf("while everything runs it ends with %d: %s%s", code, &out, &problem)
	}
	return ""
}

// unread is how many messages of general bob has not read.
func (l *lost) unread() int {
	l.t.Helper()
	var list struct {
		Cursors []struct {
			ChannelID string `json:"channel_id"`
			Unread    int
		}
	}
	l.bob.must(http.StatusOK, "GET", l.bob.workspace("/read"), nil, &list)
	for _, c := range list.Cursors {
		if c.ChannelID == l.general {
			return c.Unread
		}
	}
	l.t.Fatalf("bob is not in general: %+v", list)
	return 0
}

// shown checks the history: everything once, in its order, as it stands now, from the pages that the log has and when the store has
// all of it.
func (l *lost) shown(through uint64) {
	l.t.Helper()
	check := func() {
		l.t.Helper()
		all, complete := l.bob.history(l.general)
		var bodies []string
		for i, m := range all {
			bodies = append(bodies, m.Body)
			if i < len(l.posts) && (m.Seq != l.posts[i].Seq || m.ServerMsgID != l.posts[i].ServerMsgID) {
				l.t.Errorf("message %d is %+v, and was %+v", i, m, l.posts[i])
			}
		}
		want := slices.Clone(l.said)
		want[0], want[3] = "uno", ""
		if !slices.Equal(bodies, want) || !all[3].Deleted || len(all[1].Reactions) != 1 || complete < through {
			l.t.Errorf("up to %d history has %q; want %q", complete, bodies, want)
		}
	}
	check()
	messages, closes, err := stores.Messages(l.t.Context(), l.cfg, testLog())
	if err != nil {
		l.t.Fatal(err)
	}
	awaits(l.t, "the store goes on", func() bool {
		for shard := range streams.Shards {
			if p, err := messages.Progress(l.t.Context(), shard); err == nil && uint64(p) >= through {
				return true
			}
		}
		return false
	})
	if err := closes(); err != nil {
		l.t.Fatal(err)
	}
	check()
}
