package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
)

// sent is a message that was stored once, to be sent again.
type sent struct {
	id, channel, body string
	thread            uint64
	first             reply // where it was stored
}

func (m sent) frame(fields map[string]any) map[string]any {
	f := map[string]any{"type": "message.send", "client_msg_id": m.id, "channel_id": m.channel, "body": m.body, "ref": "again"}
	if m.thread != 0 {
		f["thread"] = m.thread
	}
	for k, v := range fields {
		f[k] = v
	}
	return f
}

// restBody is the frame as a body of REST.
func (m sent) restBody(fields map[string]any) map[string]any {
	f := m.frame(fields)
	delete(f, "type")
	delete(f, "channel_id")
	delete(f, "ref")
	return f
}

// ids are client_msg_ids of every form: a UUIDv7 of now, texts that have no time in them, a UUIDv7 whose time was
// long ago and one whose time is to come.
func ids(t *testing.T) map[string]string {
	unique := newMsgID()
	return map[string]string{
		"a UUIDv7": newMsgID(), "a word": "word-" + unique[24:], "a UUIDv4": "6f1b2c3d-aaaa-4bbb-8ccc-" + unique[24:],
		"an old UUIDv7": "01800000-0000-7000-8000-" + unique[24:], "a UUIDv7 of the future": "02ffffff-0000-7000-8000-" + unique[24:],
		"one character of each kind": "aZ0_-" + unique[24:],
	}
}

// storeAll sends a message with each id, by socket and REST in turn.
func storeAll(t *testing.T, who *user, channel string) map[string]sent {
	t.Helper()
	s := who.open()
	defer s.cut()
	all := make(map[string]sent)
	root := s.say(channel, "a root")
	n := 0
	for name, id := range ids(t) {
		m := sent{id: id, channel: channel, body: "once: " + name}
		if n++; n%3 == 0 {
			m.thread = root
		}
		if n%2 == 0 {
			m.first = who.post(channel, m.restBody(nil))
		} else {
			s.send(m.frame(nil))
			ack := s.want("message.ack")
			m.first = reply{Seq: ack.Seq, TS: ack.TS}
			if ack.Duplicate || ack.ClientMsgID != id {
				t.Fatalf("%s: %s", name, ack.raw)
			}
		}
		all[name] = m
	}
	return all
}

// checkResends sends everything again over the socket and over REST: it answers the first seq; the same id with
// anything else is a conflict.
func checkResends(t *testing.T, who *user, all map[string]sent) {
	t.Helper()
	s := who.open()
	defer s.cut()
	for name, m := range all {
		for _, retry := range []bool{false, true} {
			ack := s.acked(m.frame(map[string]any{"retry": retry}))
			if ack.Seq != m.first.Seq || !ack.Duplicate || ack.TS != m.first.TS || ack.ClientMsgID != m.id {
				t.Errorf("%s: first %+v, again over the socket: %s", name, m.first, ack.raw)
			}
		}
		again := who.posted(http.StatusOK, m.channel, m.restBody(nil))
		if again.Seq != m.first.Seq || !again.Duplicate || again.TS != m.first.TS {
			t.Errorf("%s: first %+v, again over REST: %+v", name, m.first, again)
		}
		if code := s.refused(m.frame(map[string]any{"body": "something else"})); code != "conflict" {
			t.Errorf("%s with another body over the socket: %s", name, code)
		}
		if code := who.refused(http.StatusConflict, "POST", "/channels/"+m.channel+"/messages", m.restBody(map[string]any{"body": "something else"})); code != "conflict" {
			t.Errorf("%s with another body over REST: %s", name, code)
		}
	}
}

// checkOnce fails when history does not hold each message once.
func checkOnce(t *testing.T, who *user, all map[string]sent) {
	t.Helper()
	for name, m := range all {
		found := 0
		messages, _ := who.history(m.channel)
		for _, h := range messages {
			if h.ClientMsgID == m.id {
				found++
				if h.Seq != m.first.Seq || h.Body != m.body || h.Thread != m.thread {
					t.Errorf("%s: stored %+v, history has %+v", name, m, h)
				}
			}
		}
		if found != 1 {
			t.Errorf("%s: history has it %d times", name, found)
		}
	}
}

func TestAResendAnswersTheFirstSeq(t *testing.T) {
	d := up(t, testConfig(t))
	alice := d.signIn("alice")
	general := alice.channel("general")
	all := storeAll(t, alice, general)
	checkResends(t, alice, all)

	t.Run("the same id of another sender is another message", func(t *testing.T) {
		m := all["a UUIDv7"]
		bob := d.signIn("bob")
		if r := bob.post(general, m.restBody(nil)); r.Duplicate || r.Seq == m.first.Seq {
			t.Errorf("bob's message: %+v", r)
		}
	})
	t.Run("an edit does not make it another message", func(t *testing.T) {
		m := all["a word"]
		alice.store(http.StatusOK, "PATCH", pathOf(general, m.first.Seq), map[string]any{"body": "edited"})
		checkResends(t, alice, map[string]sent{"an edited one": m})
		d.settled()
		checkResends(t, alice, map[string]sent{"an edited one": m})
	})
	t.Run("after a restart of everything", func(t *testing.T) {
		d.stop()
		d = up(t, d.cfg)
		again := d.signIn("alice")
		checkResends(t, again, all)
		delete(all, "a word") // it was edited
		mine := all["a UUIDv7"]
		delete(all, "a UUIDv7") // bob has it as well
		checkOnce(t, again, all)
		all["a UUIDv7"] = mine
	})
}

// The log forgets an id after its window. The store remembers it for ever, and what the store does not have yet
// is found in the log.
func TestAResendAfterTheDedupWindow(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Streams.DedupWindow = time.Second
	d := up(t, cfg)
	alice := d.signIn("alice")
	all := storeAll(t, alice, alice.channel("general"))
	d.settled()
	time.Sleep(3 * time.Second)
	checkResends(t, alice, all)
	checkOnce(t, alice, all)

	t.Run("while the persister is down", func(t *testing.T) {
		d.stop()
		without := start(t, cfg, app.RoleHub, app.RoleLeaf, app.RoleEdge, app.RoleAPI)
		without.inherit(d)
		alice := without.signIn("alice")
		late := storeAll(t, alice, alice.channel("random"))
		time.Sleep(3 * time.Second)
		checkResends(t, alice, late)
		checkResends(t, alice, all)
		checkOnce(t, alice, late)
		without.stop()

		d = up(t, cfg)
		alice = d.signIn("alice")
		d.settled()
		checkResends(t, alice, late)
		checkOnce(t, alice, late)
	})
}

// inherit has the logins of a deployment that ran on the same data.
func (d *deployment) inherit(from *deployment) {
	d.run.Workspace, d.run.Logins = from.run.Workspace, from.run.Logins
}

// secondEdge starts another region beside a deployment whose config says where its leaf nodes connect: a leaf and
// a gateway with a data folder of their own and the deployment's secrets.
func secondEdge(t *testing.T, d *deployment) *deployment {
	t.Helper()
	cfg := config.Config{Region: "east"}
	cfg.Leaf.HubURL = "nats-leaf://" + d.cfg.Hub.LeafListen
	cfg.Edge.Listen, cfg.Leaf.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Edge.DrainSpread = d.cfg.Edge.DrainSpread
	cfg = cfg.WithDefaults(config.Apart)
	cfg.Data, cfg.Streams = t.TempDir(), d.cfg.Streams
	secrets, err := os.ReadFile(filepath.Join(d.cfg.Data, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, "secrets.json"), secrets, 0o600); err != nil {
		t.Fatal(err)
	}
	second := start(t, cfg, app.RoleLeaf, app.RoleEdge)
	second.inherit(d)
	return second
}

// at is the same user at another gateway.
func (u *user) at(d *deployment) *user { return &user{d: d, id: u.id, token: u.token} }

func TestTwoGatewaysAreOne(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Hub.LeafListen = freePort(t)
	d := up(t, cfg)
	east := secondEdge(t, d)
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	here, there := alice.open(), bob.at(east).open()
	var seqs []uint64
	for i := range 20 {
		seqs = append(seqs, here.say(general, fmt.Sprint("west ", i)), there.say(general, fmt.Sprint("east ", i)))
	}
	other, otherSide := bob.open(here.hello.Head), alice.at(east).open(here.hello.Head)
	west, eastern := other.until(seqs[len(seqs)-1]), otherSide.until(seqs[len(seqs)-1])
	for i, f := range west {
		if f.raw != eastern[i].raw || f.Seq != seqs[i] {
			t.Fatalf("west %s\neast %s\nwant %d", f.raw, eastern[i].raw, seqs[i])
		}
	}
	t.Run("a resend at the other one answers the first seq", func(t *testing.T) {
		all := storeAll(t, alice, general)
		s := alice.at(east).open()
		for name, m := range all {
			s.send(m.frame(nil))
			if ack := s.want("message.ack"); ack.Seq != m.first.Seq || !ack.Duplicate || ack.TS != m.first.TS {
				t.Errorf("%s: first %+v, then %s", name, m.first, ack.raw)
			}
			if code := s.refused(m.frame(map[string]any{"body": "other"})); code != "conflict" {
				t.Errorf("%s with another body: %s", name, code)
			}
		}
	})
	t.Run("a cursor of one resumes at the other", func(t *testing.T) {
		cursor := here.say(general, "before")
		after := here.say(general, "after")
		s := bob.at(east).open(cursor)
		got := s.until(after)
		if !s.hello.Resumed || len(got) != 1 {
			t.Errorf("hello %s, then %v", s.hello.raw, got)
		}
	})
	if strings.Contains(d.run.HTTP, east.run.HTTP) {
		t.Error("it is the same gateway")
	}
}
