package stranger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger"
)

// open connects a conn.
func (p *place) open(h *stranger.Hand, conn, cursor string) record.Op {
	p.t.Helper()
	return p.do(h, record.Op{F: record.Connect, Conn: conn, Cursor: cursor})
}

// Each thing that a person does, over the socket and over REST, with the line that it leaves and what others are told of it.
func TestEverythingAPersonDoes(t *testing.T) {
	p := up(t)
	p.channels()
	alice, bob := p.hand("alice", "alice/1"), p.hand("bob", "bob/1")
	p.open(alice, "alice/1/1", "")
	p.open(bob, "bob/1/1", "")
	for _, over := range []string{record.Socket, record.REST} {
		t.Run(over, func(t *testing.T) {
			p.t = t
			p.writing(alice, over)
		})
	}
	t.Run("membership", func(t *testing.T) {
		p.t = t
		p.belonging(alice, bob)
	})
	t.Run("what passes", func(t *testing.T) {
		p.t = t
		p.passing(alice, bob)
	})
	p.t = t
	p.noGap()
	t.Run("sign-ins", func(t *testing.T) {
		p.t = t
		p.signing(alice, bob)
	})
}

// writing does what is stored.
func (p *place) writing(alice *stranger.Hand, over string) {
	op := record.Op{Over: over, Conn: "alice/1/1", Channel: p.general}
	with := func(f record.F, message int64, change func(*record.Op)) record.Op {
		o := op
		o.F, o.Message = f, message
		if change != nil {
			change(&o)
		}
		return o
	}
	id := "id-" + over
	say := with(record.Send, 0, func(o *record.Op) { o.ID, o.Body = id, "hello over "+over })
	first := p.do(alice, say)
	if got := p.at("bob/1/1", first.Seq); got.Body != say.Body || got.ID != id || got.Channel != p.general || got.T != record.Posted {
		p.t.Errorf("bob was told %+v", got)
	}
	say.Again = true
	if again := p.do(alice, say); again.Seq != first.Seq || !again.Duplicate {
		p.t.Errorf("sent again: %+v", again)
	}
	say.Body = "something else"
	p.ends(alice, record.Refused, "conflict", say)
	reply := p.do(alice, with(record.Send, 0, func(o *record.Op) { o.ID, o.Body, o.Thread = id+"r", "a reply", first.Seq }))
	if got := p.at("bob/1/1", reply.Seq); got.Thread != first.Seq {
		p.t.Errorf("the reply is %+v", got)
	}
	edit := p.do(alice, with(record.Edit, first.Seq, func(o *record.Op) { o.Body = "edited" }))
	if got := p.at("bob/1/1", edit.Seq); got.Kind != "message.edited" || got.Message != first.Seq || got.Body != "edited" {
		p.t.Errorf("the edit is %+v", got)
	}
	like := p.do(alice, with(record.React, first.Seq, func(o *record.Op) { o.Emoji = "👍🏽" }))
	if got := p.at("bob/1/1", like.Seq); got.Kind != "reaction.added" || got.Emoji != "👍🏽" {
		p.t.Errorf("the reaction is %+v", got)
	}
	if page := p.pageOf(alice, record.Op{Before: first.Seq + 1, Limit: 1}); len(page.Messages) != 1 || !page.More || page.Complete < first.Seq ||
		page.Messages[0].Body != "edited" || !page.Messages[0].Edited || page.Messages[0].ID != id || len(page.Messages[0].Reactions) != 1 {
		p.t.Errorf("the page is %+v", page)
	}
	p.at("bob/1/1", p.do(alice, with(record.Unreact, first.Seq, func(o *record.Op) { o.Emoji = "👍🏽" })).Seq)
	gone := p.do(alice, with(record.Delete, first.Seq, nil))
	if got := p.at("bob/1/1", gone.Seq); got.Kind != "message.deleted" || got.Message != first.Seq {
		p.t.Errorf("the delete is %+v", got)
	}
	p.ends(alice, record.Refused, "not_found", with(record.Edit, first.Seq, func(o *record.Op) { o.Body = "too late" }))
	p.ends(alice, record.Refused, "not_found", with(record.Send, 0, func(o *record.Op) { o.Channel, o.ID, o.Body = "nosuch", "x", "x" }))
	if mark := p.do(alice, with(record.Mark, reply.Seq, nil)); mark.Seq != reply.Seq {
		p.t.Errorf("read up to %d, want %d", mark.Seq, reply.Seq)
	}
	marks := p.do(alice, record.Op{F: record.Marks})
	if !slices.ContainsFunc(marks.Read, func(r record.ReadAt) bool { return r.Channel == p.general && r.Seq == reply.Seq && r.Unread == 0 }) {
		p.t.Errorf("the marks are %+v", marks.Read)
	}
	p.ends(alice, record.Refused, "not_found", record.Op{F: record.Search, Body: "hello"})
}

// pageOf reads until the store has caught up.
func (p *place) pageOf(h *stranger.Hand, op record.Op) record.Op {
	p.t.Helper()
	op.F, op.Channel = record.Page, p.general
	return p.do(h, op)
}

// belonging has bob in a channel twice.
func (p *place) belonging(alice, bob *stranger.Hand) {
	club := p.channel("club", "public")
	say := func(body string) int64 {
		p.t.Helper()
		return p.do(alice, record.Op{F: record.Send, Conn: "alice/1/1", Channel: club, ID: body, Body: body}).Seq
	}
	before := say("before")
	p.do(bob, record.Op{F: record.Join, Channel: club})
	inside := say("inside")
	p.do(bob, record.Op{F: record.Leave, Channel: club})
	say("outside")
	p.do(alice, record.Op{F: record.Add, Channel: club, Target: "bob"})
	back := say("back")
	p.do(alice, record.Op{F: record.Kick, Channel: club, Target: "bob"})
	p.ends(alice, record.Refused, "not_found", record.Op{F: record.Add, Channel: club, Target: "nobody"})
	p.do(bob, record.Op{F: record.Leave, Channel: club}) // who is not in it may leave it
	p.at("bob/1/1", inside)
	p.at("bob/1/1", back)
	var kinds []string
	p.await("bob/1/1", "that he is out", func(t record.Told) bool { return t.Channel == club && t.Kind == "member.left" && t.Seq > back })
	for _, t := range p.told("bob/1/1") {
		if t.Channel == club && t.Seq > before {
			kinds = append(kinds, t.Kind+t.Body)
		}
	}
	if want := []string{"member.joined", "inside", "member.left", "member.joined", "back", "member.left"}; !slices.Equal(kinds, want) {
		p.t.Errorf("bob was told of the club: %q, want %q", kinds, want)
	}
}

// passing does what is stored nowhere, or with the socket alone.
func (p *place) passing(alice, bob *stranger.Hand) {
	p.do(alice, record.Op{F: record.Typing, Conn: "alice/1/1", Channel: p.general})
	p.await("bob/1/1", "of typing", func(t record.Told) bool { return t.T == record.Typed && t.Channel == p.general && t.User != "" })
	p.do(alice, record.Op{F: record.Status, Conn: "alice/1/1", Body: "at lunch"})
	p.await("bob/1/1", "of a presence", func(t record.Told) bool { return t.T == record.Presence && t.Body == "online at lunch" })
	p.do(bob, record.Op{F: record.Mark, Channel: p.general, Message: p.say(alice, "to be read")})
	p.await("bob/1/1", "of a mark", func(t record.Told) bool { return t.T == record.Marked && t.Channel == p.general })

	stalled := make(chan record.Op, 1)
	go func() { // it is over when its context is
		ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		defer cancel()
		op := record.Op{F: record.Stall, Conn: "bob/1/1", Limit: 60_000}
		bob.Do(ctx, &op)
		stalled <- op
	}()
	for i := range 5 {
		p.say(alice, fmt.Sprint("while bob does not read ", i))
	}
	if op := <-stalled; op.Outcome != record.OK {
		p.t.Errorf("the stall ended %+v", op)
	}
	p.at("bob/1/1", p.say(alice, "bob reads on"))

	p.open(alice, "alice/1/2", "")
	if got := alice.Open(); !slices.Equal(got, []string{"alice/1/1", "alice/1/2"}) {
		p.t.Errorf("open are %q", got)
	}
	p.do(alice, record.Op{F: record.Close, Conn: "alice/1/2"})
	p.await("alice/1/2", "that it ended", func(t record.Told) bool { return t.T == record.Offline && t.Code == "closed by the client" })
	if cursor, open := alice.Told("alice/1/2"); open || cursor == "" || cursor != alice.Cursor("alice/1/2") {
		p.t.Errorf("alice/1/2 stands at %q, open: %v", cursor, open)
	}
	p.ends(alice, record.Unknown, "no such socket is open", record.Op{F: record.Close, Conn: "alice/1/2"})
	p.ends(alice, record.Refused, "not_found", record.Op{F: record.Connect, Conn: "alice/1/3", Workspace: "nosuch"})
}

// say has alice say something in general.
func (p *place) say(alice *stranger.Hand, body string) int64 {
	p.t.Helper()
	return p.do(alice, record.Op{F: record.Send, Channel: p.general, ID: fmt.Sprintf("say-%d", time.Now().UnixNano()), Body: body}).Seq
}

// signing ends sign-ins in every way.
func (p *place) signing(alice, bob *stranger.Hand) {
	other := p.hand("alice", "alice/2")
	p.open(other, "alice/2/1", "")
	p.do(alice, record.Op{F: record.Revoke, Target: "alice/2"})
	p.await("alice/2/1", "that it ended", func(t record.Told) bool { return t.T == record.Offline && t.Code[:4] == "4501" })
	p.ends(other, record.Refused, "unauthenticated", record.Op{F: record.Marks})
	p.ends(other, record.Refused, "unauthenticated", record.Op{F: record.Connect, Conn: "alice/2/2"})
	p.ends(alice, record.Refused, "not_found", record.Op{F: record.Revoke, Target: "alice/2"})
	p.do(other, record.Op{F: record.Login})
	p.open(other, "alice/2/3", "")
	p.do(other, record.Op{F: record.Logout})
	p.await("alice/2/3", "that it ended", func(t record.Told) bool { return t.T == record.Offline && t.Code[:4] == "4501" })
	p.ends(bob, record.Refused, "forbidden", record.Op{F: record.Ban, Target: "alice"})
	p.do(alice, record.Op{F: record.Ban, Target: "bob"})
	end := p.await("bob/1/1", "that it ended", func(t record.Told) bool { return t.T == record.Offline })
	if end.Code[0] != '4' || end.Code[1] != '5' {
		p.t.Errorf("bob's socket ended with %q", end.Code)
	}
	p.ends(bob, record.Refused, "not_found", record.Op{F: record.Page, Channel: p.general})
}

// A socket that begins with the cursor of another is told exactly what came between; a replay is told all, and history agrees.
func TestResumeAndReplay(t *testing.T) {
	p := up(t)
	p.channels()
	alice, bob := p.hand("alice", "alice/1"), p.hand("bob", "bob/1")
	p.open(bob, "bob/1/1", "")
	seen := p.say(alice, "bob is there")
	p.at("bob/1/1", seen)
	p.do(bob, record.Op{F: record.Close, Conn: "bob/1/1"})
	cursor := bob.Cursor("bob/1/1")
	if cursor != fmt.Sprintf("1.%d", seen) {
		t.Errorf("the cursor is %q after %d", cursor, seen)
	}
	var missed []int64
	for i := range 3 {
		missed = append(missed, p.say(alice, fmt.Sprint("missed ", i)))
	}
	p.do(alice, record.Op{F: record.Delete, Channel: p.general, Message: missed[1]})
	if op := p.open(bob, "bob/1/2", cursor); !op.Resumed || op.Cursor != cursor {
		t.Errorf("resumed: %+v", op)
	}
	last := p.say(alice, "bob is back")
	p.at("bob/1/2", last)
	var got []int64
	for _, told := range p.told("bob/1/2") {
		if told.T == record.Posted {
			got = append(got, told.Seq)
		}
	}
	t.Logf("missed %v, then told %v", missed, got)
	if !slices.Contains(got, missed[0]) || !slices.Contains(got, missed[2]) || got[len(got)-1] != last {
		t.Errorf("bob was told %v, of %v and %d", got, missed, last)
	}
	p.noGap()

	all, err := bob.Replay(t.Context(), stranger.Replaying{Until: last})
	if err != nil {
		t.Fatal(err)
	}
	history, complete, err := bob.History(t.Context(), p.general)
	if err != nil || complete < last {
		t.Fatalf("history: %v, complete through %d", err, complete)
	}
	if all[0].T != record.Hello || !all[0].Resumed || all[0].Cursor != "1.0" {
		t.Errorf("the replay begins with %+v", all[0])
	}
	replayed := make(map[int64]string)
	for _, told := range all {
		if told.T == record.Posted && told.Channel == p.general {
			replayed[told.Seq] = told.Body
		}
		if told.T == record.Gap || told.T == record.Trouble || told.T == record.Offline || told.T == record.Resync {
			t.Errorf("the replay has %+v", told)
		}
	}
	for _, m := range history {
		if body, there := replayed[m.Seq]; body != m.Body || !there && !m.Deleted {
			t.Errorf("%d is %q in the replay, in history %+v", m.Seq, body, m)
		}
	}
	quiet, err := bob.Replay(t.Context(), stranger.Replaying{Until: 1 << 40, Quiet: 300 * time.Millisecond})
	if err != nil || lastOf(quiet) != last {
		t.Errorf("a replay up to what never comes ends at %d, want %d: %v", lastOf(quiet), last, err)
	}
}

// lastOf is the seq of the last stored event that was told.
func lastOf(all []record.Told) (seq int64) {
	for _, t := range all {
		if t.T == record.Posted || t.T == record.Changed {
			seq = t.Seq
		}
	}
	return seq
}
