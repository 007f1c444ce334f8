package ingest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
)

// in runs a test in a bubble of time.
func in(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t)) })
}

func TestAPostIsStoredWithItsFields(t *testing.T) {
	in(t, func(w *world) {
		root := w.ok(w.post("root"))
		c := w.post("hello")
		c.Thread, c.TraceParent = root.Seq, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		c.Attachments = []chat.Attachment{{ID: "a1", Name: "plan.pdf", Size: 12, Type: "application/pdf"}}
		c.Emoji, c.MessageSeq = "x", 99 // not fields of a post
		r := w.ok(c)
		e := w.log.all[r.Seq-1]
		if r.Duplicate || !r.At.Equal(e.At) || e.MsgID != "u1."+string(c.ClientMsgID) || e.TraceParent != c.TraceParent {
			t.Errorf("receipt %+v of entry %+v", r, e)
		}
		want := `{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c1","sender_id":"u1","client_msg_id":"` +
			string(c.ClientMsgID) + `","thread":1,"body":"hello","attachments":[{"id":"a1","name":"plan.pdf","size":12,"type":"application/pdf"}]}`
		if string(e.Payload) != want {
			t.Errorf("stored %s\nwant   %s", e.Payload, want)
		}
		if w.history.asked.Load() != 0 {
			t.Error("a fresh id was looked up in the store")
		}
	})
}

func TestWhatIsMalformedIsRefused(t *testing.T) {
	in(t, func(w *world) {
		seq := w.ok(w.post("a message")).Seq
		for _, c := range []struct {
			name string
			kind fault.Kind
			make func() event.Change
		}{
			{"a channel id with a wildcard", fault.Invalid, func() event.Change { c := w.post("x"); c.ChannelID = "*"; return c }},
			{"a workspace id with a dot", fault.Invalid, func() event.Change { c := w.post("x"); c.Workspace = "a.b"; return c }},
			{"a user id with a NUL", fault.Invalid, func() event.Change { c := w.post("x"); c.UserID = "a\x00"; return c }},
			{"the outbox as a user", fault.Invalid, func() event.Change { c := w.post("x"); c.UserID = "outbox"; return c }},
			{"no body", fault.Invalid, func() event.Change { return w.post("  ") }},
			{"no UTF-8", fault.Invalid, func() event.Change { return w.post("\xff") }},
			{"a long body", fault.TooLarge, func() event.Change { return w.post(strings.Repeat("x", chat.MaxBody+1)) }},
			{"a body that JSON makes long", fault.TooLarge, func() event.Change { return w.post("x" + strings.Repeat("\x01", chat.MaxBody-1)) }},
			{"a bad client_msg_id", fault.Invalid, func() event.Change { c := w.post("x"); c.ClientMsgID = "a b"; return c }},
			{"too many attachments", fault.Invalid, func() event.Change {
				c := w.post("x")
				c.Attachments = make([]chat.Attachment, chat.MaxAttachments+1)
				return c
			}},
			{"an attachment without an id", fault.Invalid, func() event.Change { c := w.post("x"); c.Attachments = make([]chat.Attachment, 1); return c }},
			{"an edit of nothing", fault.Invalid, func() event.Change { c := w.change(event.MessageEdited); c.Body = "x"; return c }},
			{"an edit to nothing", fault.Invalid, func() event.Change { c := w.change(event.MessageEdited); c.MessageSeq = seq; return c }},
			{"a bad emoji", fault.Invalid, func() event.Change {
				c := w.change(event.ReactionAdded)
				c.MessageSeq, c.Emoji = seq, "a b"
				return c
			}},
			{"a member event", fault.Unsupported, func() event.Change { return w.change(event.MemberJoined) }},
		} {
			t.Log(c.name)
			w.fails(c.kind, c.make())
		}
	})
}

func TestStandingDecides(t *testing.T) {
	in(t, func(w *world) {
		mine := w.ok(w.post("mine")).Seq
		on := func(kind event.Kind, user chat.UserID, s chat.Standing) event.Change {
			c := w.change(kind)
			c.UserID, c.Standing, c.MessageSeq = user, s, mine
			switch kind {
			case event.MessagePosted:
				c.ClientMsgID, c.Body, c.MessageSeq = idAt(time.Now(), 1000+w.stored()), "x", 0
			case event.MessageEdited:
				c.Body = "changed"
			case event.ReactionAdded, event.ReactionRemoved:
				c.Emoji = "👍"
			}
			return c
		}
		member := chat.Standing{Role: chat.RoleMember, Type: chat.ChannelPublic, InIt: true}
		admin, archived, outside, stranger := member, member, member, member
		admin.Role, archived.Archived, outside.InIt, stranger.Role = chat.RoleAdmin, true, false, ""
		for _, kind := range []event.Kind{
			event.MessagePosted, event.MessageEdited, event.MessageDeleted, event.ReactionAdded, event.ReactionRemoved,
			event.PinAdded, event.PinRemoved,
		} {
			w.fails(fault.NotFound, on(kind, "u1", outside))
			w.fails(fault.NotFound, on(kind, "u1", stranger))
			w.fails(fault.Forbidden, on(kind, "u1", archived))
		}
		w.fails(fault.Forbidden, on(event.MessageEdited, "u2", admin))
		w.fails(fault.Forbidden, on(event.MessageDeleted, "u2", member))
		w.ok(on(event.ReactionAdded, "u2", member))
		w.ok(on(event.PinAdded, "u2", member))
		w.ok(on(event.MessageEdited, "u1", member))
		w.ok(on(event.MessageDeleted, "u2", admin))
	})
}

func TestWhatAChangeIsAboutMustBeAMessageOfTheChannel(t *testing.T) {
	in(t, func(w *world) {
		root := w.ok(w.post("root")).Seq
		reply := w.post("reply")
		reply.Thread = root
		replied := w.ok(reply).Seq
		pin := w.change(event.PinAdded)
		pin.MessageSeq = root
		pinned := w.ok(pin).Seq
		elsewhere := w.post("elsewhere")
		elsewhere.ChannelID = "c2"
		other := w.ok(elsewhere).Seq
		foreign := w.post("foreign")
		foreign.Workspace = "w2"
		inW2 := w.ok(foreign).Seq
		w.log.all = append(w.log.all, bus.Entry{Seq: chat.Seq(w.stored() + 1), At: time.Now(), Payload: []byte("by hand"), Foreign: true})
		garbage := chat.Seq(w.stored())

		for _, seq := range []chat.Seq{pinned, other, inW2, garbage, 1000} {
			c := w.change(event.ReactionAdded)
			c.MessageSeq, c.Emoji = seq, "👍"
			w.fails(fault.NotFound, c)
			p := w.post("a reply to it")
			p.Thread = seq
			w.fails(fault.NotFound, p)
		}
		p := w.post("a reply to a reply")
		p.Thread = replied
		w.fails(fault.Invalid, p)
	})
}

func TestAMessageThatTheLogForgotIsFoundInTheStore(t *testing.T) {
	in(t, func(w *world) {
		seq := w.ok(w.post("old")).Seq
		w.ok(w.post("young"))
		w.history.through = 2
		w.log.forget(2)
		w.restart()
		edit := w.change(event.MessageEdited)
		edit.MessageSeq, edit.Body = seq, "changed"
		w.ok(edit)
		edit.UserID = "u2"
		w.fails(fault.Forbidden, edit)
		edit.ChannelID = "c2"
		w.fails(fault.NotFound, edit)

		w.restart()
		w.history.down = true
		edit = w.change(event.MessageEdited)
		edit.MessageSeq, edit.Body = seq, "again"
		w.fails(fault.Unavailable, edit)
	})
}

func TestADeletedMessageIsNotChanged(t *testing.T) {
	in(t, func(w *world) {
		seq := w.ok(w.post("soon gone")).Seq
		del := w.change(event.MessageDeleted)
		del.MessageSeq = seq
		w.ok(del)
		edit := w.change(event.MessageEdited)
		edit.MessageSeq, edit.Body = seq, "back"
		w.fails(fault.NotFound, edit)
		w.ok(del) // the wish is fulfilled already, and is taken again
		reply := w.post("about what was deleted")
		reply.Thread = seq
		w.ok(reply)

		w.history.through = chat.Seq(w.stored())
		w.log.forget(chat.Seq(w.stored()))
		w.restart() // now only the store knows
		w.fails(fault.NotFound, edit)
	})
}

// What is left of a deleted message is in its delete, whoever knew the message: the log, or the store once the log has it no more.
func TestADeleteSaysWhatIsLeft(t *testing.T) {
	in(t, func(w *world) {
		root := w.ok(w.post("root"))
		c := w.post("soon gone")
		c.Thread = root.Seq
		sent := w.ok(c)
		del := w.change(event.MessageDeleted)
		del.MessageSeq, del.UserID, del.Standing.Role = sent.Seq, "u2", chat.RoleAdmin
		says := func() *event.PostState {
			t.Helper()
			e, err := event.Parse(w.log.all[w.ok(del).Seq-1].Payload)
			if err != nil || e.Kind != event.MessageDeleted || e.SenderID != "u2" || e.MessageSeq != sent.Seq || e.ClientMsgID != "" || e.Thread != 0 {
				t.Errorf("stored %+v, %v", e, err)
			}
			return e.Post
		}
		want := &event.PostState{Epoch: 1, SenderID: "u1", ClientMsgID: c.ClientMsgID, Thread: root.Seq, At: sent.At.UTC()}
		for _, known := range []string{"by the log", "by this process", "by the store, which has it deleted"} {
			if diff := cmp.Diff(want, says()); diff != "" {
				t.Errorf("%s: %s", known, diff)
			}
			if known == "by this process" {
				w.history.through = chat.Seq(w.stored())
				w.log.erase(sent.Seq)
				w.restart()
			}
		}
		w.history.early = true
		w.restart()
		if left := says(); left != nil {
			t.Errorf("of a store that does not tell the epoch: %+v", left)
		}
	})
}

func TestAReplicaThatIsBehindIsAskedAgain(t *testing.T) {
	in(t, func(w *world) {
		seq := w.ok(w.post("just stored")).Seq
		w.log.hidden, w.log.shows = seq, 3
		c := w.change(event.ReactionAdded)
		c.MessageSeq, c.Emoji = seq, "👍"
		w.ok(c)

		late := w.post("its stamp comes late")
		w.log.hidden, w.log.shows = chat.Seq(w.stored()+1), 3
		w.ok(late)

		w.log.hidden, w.log.shows = chat.Seq(w.stored()+1), 1000
		if _, err := w.ingest.Submit(w.t.Context(), w.post("its stamp never comes")); !fault.Is(err, fault.Unavailable) {
			t.Errorf("without a stamp: %v", err)
		}
	})
}

func TestWithoutTheLogNothingIsTaken(t *testing.T) {
	in(t, func(w *world) {
		seq := w.ok(w.post("before")).Seq
		w.restart()
		w.log.down = true
		w.fails(fault.Unavailable, w.post("x"))
		c := w.change(event.PinAdded)
		c.MessageSeq = seq
		w.fails(fault.Unavailable, c)
		old := w.post("x")
		old.Retry = true
		w.fails(fault.Unavailable, old)
	})
}
