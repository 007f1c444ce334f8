package crew_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/verify/crew"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload"
	"github.com/canopychat/canopy/ops/verify/workload/capacity"
	"github.com/canopychat/canopy/ops/verify/workload/device"
	"github.com/canopychat/canopy/ops/verify/workload/phrase"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// patience bounds every wait.
const patience = time.Minute

// text is a record that is read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.b.Bytes())
}

// town is a whole Canopy in this process, with alice, who owns it, and bob; and a workspace that is not bob's.
type town struct {
	*testing.T
	rec   *record.Recorder
	text  *text
	as    map[string]crew.Access // by login
	alpha string
	away  rest.Channel
	hands map[string]*crew.Hand
}

func start(t *testing.T) *town {
	t.Helper()
	cfg := config.Default(config.Together)
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Edge.DrainSpread = 100 * time.Millisecond
	a, err := app.New(cfg, app.AllRoles, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Running, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { ready <- r }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the deployment ended with: %v", err)
		}
	})
	var run app.Running
	select {
	case run = <-ready:
	case <-time.After(patience):
		t.Fatal("the deployment did not start in time")
	}
	w := &town{T: t, text: new(text), as: map[string]crew.Access{}, hands: map[string]*crew.Hand{}}
	w.rec = record.NewRecorder(w.text)
	w.rec.Add(record.Line{Run: &record.Run{}})
	people := map[string]string{}
	for _, l := range run.Logins {
		c, err := client.Login(t.Context(), run.HTTP, l.Login, l.Password, "settle")
		if err != nil {
			t.Fatal(err)
		}
		people[l.Login] = string(c.Account().User.ID)
		w.as[l.Login] = crew.Access{
			URL: run.HTTP, Sockets: map[string]string{"gate": "ws" + strings.TrimPrefix(run.HTTP, "http") + "/socket"}, Workspace: run.Workspace.ID,
			Login: l.Login, Password: l.Password, People: people,
		}
		if l.Login == "alice" {
			w.settle(c, chat.WorkspaceID(run.Workspace.ID))
		}
	}
	return w
}

// settle makes a channel, and a workspace that nobody else is in.
func (w *town) settle(c *client.Client, space chat.WorkspaceID) {
	w.Helper()
	alpha, err := c.CreateChannel(w.Context(), space, rest.NewChannel{Name: "alpha"})
	if err != nil {
		w.Fatal(err)
	}
	w.alpha = string(alpha.ID)
	secret, err := c.CreateChannel(w.Context(), space, rest.NewChannel{Name: "secret", Type: chat.ChannelPrivate})
	if err != nil {
		w.Fatal(err)
	}
	w.away = secret
}

// do does an op on a device, which comes when it is first named.
func (w *town) do(device string, op record.Op) record.Op {
	w.Helper()
	login, _, _ := strings.Cut(device, "/")
	h := w.hands[device]
	if h == nil {
		as := w.as[login]
		as.Device = device
		var err error
		if h, err = crew.New(w.rec, as); err != nil {
			w.Fatal(err)
		}
		w.hands[device] = h
	}
	op.Who, op.Device, op.Workspace = login, device, w.as[login].Workspace
	h.Do(w.Context(), &op)
	return op
}

// ok does what must be answered well.
func (w *town) ok(device string, op record.Op) record.Op {
	w.Helper()
	if op = w.do(device, op); op.Outcome != record.OK {
		w.Fatalf("%s of %s is %s: %s", op.F, device, op.Outcome, op.Code)
	}
	return op
}

// refused does what must be refused, with that code.
func (w *town) refused(device, code string, op record.Op) {
	w.Helper()
	if op = w.do(device, op); op.Outcome != record.Refused || op.Code != code {
		w.Errorf("%s %q of %s is %s: %q instead of %q", op.F, op.Body[:min(len(op.Body), 100)], device, op.Outcome, op.Code, code)
	}
}

// record is all that was written so far.
func (w *town) record() *record.Record {
	w.Helper()
	if err := w.rec.Flush(); err != nil {
		w.Fatal(err)
	}
	r, err := record.Read(bytes.NewReader(w.text.bytes()))
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// told is all that a conn was told.
func (w *town) told(conn string) (all []record.Told) {
	w.Helper()
	for _, t := range w.record().Told {
		if t.Conn == conn {
			all = append(all, t)
		}
	}
	return all
}

// hears waits until a conn was told such a thing.
func (w *town) hears(conn, what string, is func(record.Told) bool) record.Told {
	w.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		all := w.told(conn)
		for _, t := range all {
			if is(t) {
				return t
			}
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s was not told %s, but %+v", conn, what, all)
		}
	}
}

func posted(seq int64) func(record.Told) bool {
	return func(t record.Told) bool { return t.T == record.Posted && t.Seq == seq }
}

var n int

// send is a new message.
func send(channel, conn string) record.Op {
	n++
	op := record.Op{F: record.Send, Over: record.REST, Channel: channel, ID: string(client.NewMsgID())}
	if conn != "" {
		op.Over, op.Conn = record.Socket, conn
	}
	op.Body = phrase.Body("x", n, op.ID)
	return op
}

// enters signs in on a device and opens a socket.
func (w *town) enters(device string) (conn string) {
	w.Helper()
	w.ok(device, record.Op{F: record.Login})
	op := w.ok(device, record.Op{F: record.Connect, At: "gate"})
	if op.Conn != device+"/1" || op.Resumed || op.Cursor == "" {
		w.Errorf("the connect is %+v", op)
	}
	w.hears(op.Conn, "hello", func(t record.Told) bool {
		return t.T == record.Hello && t.Space == op.Workspace && t.Cursor == op.Cursor && t.At == "gate"
	})
	return op.Conn
}

var _ device.Listener = (*crew.Hand)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCrew(t *testing.T) {
	w := start(t)
	alice, bob := w.enters("alice/1"), w.enters("bob/1")
	w.ok("bob/1", record.Op{F: record.Join, Channel: w.alpha})
	w.hears(bob, "that he came in", func(t record.Told) bool {
		return t.T == record.Changed && t.Kind == "member.joined" && t.Channel == w.alpha && t.User == w.as["bob"].People["bob"]
	})
	for _, part := range []struct {
		name string
		do   func(*town, string, string)
	}{
		{"sends", sends}, {"changes", changes}, {"reads", reads}, {"membership", membership}, {"what nobody waits for", loose},
		{"probes", probes}, {"resume", resume}, {"stall", stall}, {"ends", ends},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			w.T = t
			part.do(w, alice, bob)
		})
		w.T = t
		if !ok {
			break
		}
	}
	for _, h := range w.hands {
		h.Shut()
		if open := h.Open(); len(open) > 0 {
			t.Errorf("open are still %v", open)
		}
	}
}

func sends(w *town, alice, bob string) {
	op := w.ok("alice/1", send(w.alpha, alice))
	got := w.hears(bob, "the message", posted(op.Seq))
	if got.Body != op.Body || got.ID != op.ID || got.Prev <= 0 || got.Channel != w.alpha || got.Sender != w.as["bob"].People["alice"] {
		w.Errorf("told %+v", got)
	}
	again := op
	again.Again, again.Over, again.Conn = true, record.REST, ""
	if again = w.ok("alice/1", again); again.Seq != op.Seq || !again.Duplicate {
		w.Errorf("sent again it is %+v", again)
	}
	other := op
	other.Body += "!"
	w.refused("alice/1", "conflict", other)
	byREST := w.ok("bob/1", send(w.alpha, ""))
	if next := w.hears(alice, "what was posted", posted(byREST.Seq)); next.Prev != op.Seq {
		w.Errorf("told %+v", next)
	}
	w.refused("bob/1", "not_found", send(string(w.away.ID), bob))
	for body, code := range map[string]string{"": "invalid", strings.Repeat("x", phrase.MaxBody+1): "too_large"} {
		bad := send(w.alpha, alice)
		bad.Body = body
		w.refused("alice/1", code, bad)
	}
	bad := send(w.alpha, alice)
	bad.ID = "a.b"
	w.refused("alice/1", "invalid", bad)
	measured := send(w.alpha, alice)
	measured.Phase = capacity.Peak
	if measured = w.ok("alice/1", measured); measured.Over != record.REST || measured.Conn != "" {
		w.Errorf("a send that measures is %+v", measured)
	}
	var several sync.WaitGroup
	var seqs [5]int64
	for i := range seqs {
		next := send(w.alpha, alice)
		several.Go(func() { seqs[i] = w.ok("alice/1", next).Seq })
	}
	several.Wait()
	for _, seq := range seqs {
		w.hears(bob, "one of several at once", posted(seq))
	}
}

func changes(w *town, alice, bob string) {
	op := w.ok("alice/1", send(w.alpha, alice))
	for _, over := range []string{record.Socket, record.REST} {
		change := func(f record.F) record.Op {
			c := record.Op{F: f, Over: over, Channel: w.alpha, Message: op.Seq, Emoji: "👍"}
			if over == record.Socket {
				c.Conn = alice
			}
			return c
		}
		edit := change(record.Edit)
		edit.Body = phrase.Body("alice", 100, over)
		edit = w.ok("alice/1", edit)
		got := w.hears(bob, "the edit", func(t record.Told) bool { return t.T == record.Changed && t.Seq == edit.Seq })
		if got.Message != op.Seq || got.Body != edit.Body || got.Kind != "message.edited" || got.Prev <= 0 {
			w.Errorf("told %+v", got)
		}
		for _, f := range []record.F{record.React, record.Unreact} {
			r := w.ok("alice/1", change(f))
			if got := w.hears(bob, "a reaction", func(t record.Told) bool { return t.T == record.Changed && t.Seq == r.Seq }); got.Emoji != "👍" {
				w.Errorf("told %+v", got)
			}
		}
	}
	foreign := record.Op{F: record.Edit, Over: record.Socket, Conn: bob, Channel: w.alpha, Message: op.Seq, Body: "mine"}
	w.refused("bob/1", "forbidden", foreign)
	foreign.Over, foreign.Conn = record.REST, ""
	w.refused("bob/1", "forbidden", foreign)
	w.ok("alice/1", record.Op{F: record.Delete, Over: record.Socket, Conn: alice, Channel: w.alpha, Message: op.Seq})
	page := w.ok("bob/1", record.Op{F: record.Page, Channel: w.alpha, Before: op.Seq + 1, Limit: 1})
	if len(page.Messages) != 1 || !page.Messages[0].Deleted || page.Messages[0].Body != "" || !page.More || page.Complete < op.Seq {
		w.Errorf("the page is %+v", page)
	}
}

func reads(w *town, alice, bob string) {
	op := w.ok("alice/1", send(w.alpha, alice))
	w.ok("bob/1", record.Op{F: record.React, Over: record.REST, Channel: w.alpha, Message: op.Seq, Emoji: "🎉"})
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		page := w.ok("bob/1", record.Op{F: record.Page, Channel: w.alpha, Limit: 2})
		if len(page.Messages) == 2 && page.Messages[0].Seq == op.Seq && len(page.Messages[0].Reactions) == 1 {
			m := page.Messages[0]
			if m.Body != op.Body || m.ID != op.ID || m.Reactions[0] != "🎉 "+w.as["bob"].People["bob"] || page.Messages[1].Seq >= m.Seq {
				w.Errorf("the page is %+v", page)
			}
			break
		}
		if time.Now().After(deadline) {
			w.Fatalf("the page is %+v", page)
		}
	}
	first := w.ok("bob/1", record.Op{F: record.Mark, Over: record.Socket, Conn: bob, Channel: w.alpha, Message: op.Seq})
	second := w.ok("bob/1", record.Op{F: record.Mark, Over: record.REST, Channel: w.alpha, Message: op.Seq - 1})
	if first.Seq != op.Seq || second.Seq != op.Seq {
		w.Errorf("marked up to %d and %d, and not %d", first.Seq, second.Seq, op.Seq)
	}
	w.hears(bob, "the mark", func(t record.Told) bool { return t.T == record.Marked && t.Channel == w.alpha && t.Seq == op.Seq })
	found := false
	for _, r := range w.ok("bob/1", record.Op{F: record.Marks}).Read {
		found = found || r.Channel == w.alpha && r.Seq == op.Seq && r.Unread == 0
	}
	if !found {
		w.Error("the mark is not among the marks")
	}
}

func membership(w *town, alice, bob string) {
	w.refused("bob/1", "forbidden", record.Op{F: record.Kick, Channel: w.alpha, Target: "alice"})
	w.ok("alice/1", record.Op{F: record.Kick, Channel: w.alpha, Target: "bob"})
	w.hears(bob, "that he is out", func(t record.Told) bool { return t.T == record.Changed && t.Kind == "member.left" })
	op := w.do("bob/1", send(w.alpha, bob))
	if op.Outcome != record.Refused {
		w.Errorf("a send of who was taken out is %s: %s", op.Outcome, op.Code)
	}
	w.ok("alice/1", record.Op{F: record.Add, Channel: w.alpha, Target: "bob"})
	w.ok("bob/1", record.Op{F: record.Leave, Channel: w.alpha})
	w.ok("bob/1", record.Op{F: record.Join, Channel: w.alpha})
	w.refused("bob/1", "not_found", record.Op{F: record.Join, Channel: string(w.away.ID)})
	joins := func() (n int) {
		for _, t := range w.told(bob) {
			if t.Kind == "member.joined" && t.Channel == w.alpha {
				n++
			}
		}
		return n
	}
	w.hears(bob, "that he came in twice more", func(record.Told) bool { return joins() == 3 })
}

func loose(w *town, alice, bob string) {
	w.ok("bob/1", record.Op{F: record.Typing, Over: record.Socket, Conn: bob, Channel: w.alpha})
	w.hears(alice, "who writes", func(t record.Told) bool {
		return t.T == record.Typed && t.Channel == w.alpha && t.User == w.as["bob"].People["bob"]
	})
	w.ok("bob/1", record.Op{F: record.Status, Over: record.Socket, Conn: bob, Body: "busy"})
	w.hears(alice, "that bob is busy", func(t record.Told) bool { return t.T == record.Presence && t.Body == "busy" })
}

func probes(w *town, _, bob string) {
	secret := string(w.away.ID)
	for _, c := range []struct{ over, body string }{
		{record.REST, "GET /channels/" + secret + "/messages"},
		{record.REST, "GET /channels/%3E/messages"},
		{record.REST, "GET /channels/%2E%2E/messages"},
		{record.REST, "GET /channels/a%00/messages"},
		{record.REST, "POST /channels/" + secret + `/messages {"body":"x", "client_msg_id":"x"}`},
		{record.REST, "GET /workspaces/%2A/channels"},
		{record.Socket, `{"type":"message.send","channel_id":">","body":"x","client_msg_id":"y"}`},
		{record.Socket, `{"type":"reaction.add","channel_id":"` + secret + `","seq":1,"emoji":"x","ref":"p1"}`},
		{device.Connecting, "workspace=%3E"},
		{device.Connecting, "workspace=0123"},
	} {
		op := record.Op{F: record.Probe, Over: c.over, Body: c.body, At: "gate"}
		if c.over == record.Socket {
			op.Conn = bob
		}
		if op = w.do("bob/1", op); op.Outcome != record.Refused {
			w.Errorf("%s %s is %s: %s", c.over, c.body, op.Outcome, op.Code)
		}
	}
	in := record.Op{F: record.Probe, Over: device.Connecting, Body: "workspace=" + w.as["bob"].Workspace}
	w.ok("bob/1", in) // it would be seen
}

// Who closes a socket and opens another one with the cursor is told what came between.
func resume(w *town, alice, bob string) {
	w.ok("bob/1", record.Op{F: record.Close, Conn: bob})
	cursor, open := w.hands["bob/1"].Cursor(bob), w.hands["bob/1"].Open()
	if len(open) > 0 || cursor == "" {
		w.Fatalf("a conn that was closed stands at %q; open are %v", cursor, open)
	}
	op := w.ok("alice/1", send(w.alpha, alice))
	back := w.ok("bob/1", record.Op{F: record.Connect, Cursor: cursor})
	if back.Conn != "bob/1/2" || !back.Resumed || back.Cursor != cursor {
		w.Errorf("the connect is %+v", back)
	}
	w.hears(back.Conn, "what it missed", posted(op.Seq))
	if open := w.hands["bob/1"].Open(); !slices.Equal(open, []string{back.Conn}) {
		w.Errorf("open are %v", open)
	}
}

// Who reads nothing is told no more than has room, and then all of it.
func stall(w *town, alice, _ string) {
	const bob, many = "bob/1/2", 40
	ctx, enough := context.WithCancel(w.Context())
	var stalling sync.WaitGroup
	op := record.Op{Who: "bob", Device: "bob/1", F: record.Stall, Conn: bob}
	stalling.Go(func() { w.hands["bob/1"].Do(ctx, &op) })
	var last int64
	for range many {
		last = w.ok("alice/1", send(w.alpha, alice)).Seq
	}
	enough()
	stalling.Wait()
	if op.Outcome != record.OK || op.N == 0 {
		w.Errorf("the stall is %+v", op)
	}
	w.hears(bob, "all, in the end", posted(last))
}

func ends(w *town, alice, _ string) {
	const old = "bob/1/2"
	second := w.enters("bob/2")
	w.ok("bob/2", record.Op{F: record.Revoke, Target: "bob/1"})
	w.hears(old, "that it is over", func(t record.Told) bool { return t.T == record.Offline && t.Code == "4501" })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if len(w.hands["bob/1"].Open()) == 0 {
			break
		}
		if time.Now().After(deadline) {
			w.Fatal("it counts as open")
		}
	}
	w.refused("bob/1", "unauthenticated", record.Op{F: record.Connect})
	w.ok("alice/1", record.Op{F: record.Ban, Target: "bob"})
	w.hears(second, "that bob is out", func(t record.Told) bool { return t.T == record.Offline })
	w.refused("bob/2", "unauthenticated", send(w.alpha, ""))
	if op := w.do("bob/3", record.Op{F: record.Login}); op.Outcome != record.Refused {
		w.Errorf("the login of who was banned is %s: %s", op.Outcome, op.Code)
	}
	w.ok("alice/1", record.Op{F: record.Logout})
	w.hears(alice, "that it is over", func(t record.Told) bool { return t.T == record.Offline })
	w.refused("alice/1", "unauthenticated", send(w.alpha, ""))
	w.refused("alice/1", "unauthenticated", record.Op{F: record.Page, Channel: w.alpha}) // by the server, which is shown the old token
}

// A whole workload by this hand: every op ends, nothing is let in that must not be, and its people are told what was stored.
func TestACrewAtWork(t *testing.T) {
	w := start(t)
	space := record.Workspace{ID: w.as["alice"].Workspace, Channels: []record.Channel{
		{ID: w.alpha, Type: "public"}, {ID: string(w.away.ID), Type: "private"},
	}}
	for login, id := range w.as["alice"].People {
		space.People = append(space.People, record.Person{Login: login, ID: id, Hand: "crew"})
	}
	var people []workload.Person
	for _, p := range space.People {
		people = append(people, workload.Person{Person: p, Workspace: space, Owner: p.Login == "alice", Open: func(device string) (workload.Hand, error) {
			as := w.as[p.Login]
			as.Device = device
			return crew.New(w.rec, as)
		}})
	}
	work, err := workload.New(workload.Config{Seed: 1, Rate: 200, People: people, Gateways: []string{"gate"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, enough := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- work.Run(ctx) }()
	var ops []record.Op
	for deadline := time.Now().Add(patience); len(ops) < 150 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ops = w.record().Ops
	}
	enough()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	work.LastWord(t.Context())
	words := 0
	for _, l := range work.Listening() {
		if l.Word > 0 {
			words++
			w.hears(l.Conn, "the last word", func(t record.Told) bool { return t.Seq >= l.Word || t.T == record.Resync && t.Head >= l.Word })
		}
	}
	if words == 0 {
		t.Error("nobody had the last word")
	}
	work.LookBack(t.Context())
	work.Leave(t.Context())
	outcomes := map[string]int{}
	for _, op := range w.record().Ops {
		outcomes[string(op.F)+" "+string(op.Outcome)]++
		if op.F == record.Probe && op.Outcome == record.OK {
			t.Errorf("%s %.200q at %q is %s: %s", op.Over, op.Body, op.At, op.Outcome, op.Code)
		}
	}
	if outcomes["send ok"] < 20 || outcomes["page ok"] == 0 {
		t.Errorf("what came of it: %v", outcomes)
	}
}
