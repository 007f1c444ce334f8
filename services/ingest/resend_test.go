package ingest_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/ingest"
)

// A resend answers the first seq: at any age, in any state of the store and the log.
func TestAResendAnswersTheFirstSeq(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(w *world, sent *event.Change)
	}{
		{"at once", func(*world, *event.Change) {}},
		{"within the window", func(*world, *event.Change) { time.Sleep(window - time.Second) }},
		{"within the window, told to be a retry", func(_ *world, c *event.Change) { c.Retry = true }},
		{"after the window, from the store", func(w *world, _ *event.Change) {
			time.Sleep(window + time.Second)
			w.history.through = chat.Seq(w.stored())
		}},
		{"after the window, the persister behind", func(*world, *event.Change) { time.Sleep(window + time.Second) }},
		{"after the window, the store down", func(w *world, _ *event.Change) {
			time.Sleep(window + time.Second)
			w.history.down = true
		}},
		{"after an hour, the store down, in a log that goes back far enough", func(w *world, _ *event.Change) {
			time.Sleep(time.Hour)
			w.history.down = true
			w.log.forget(2)
		}},
		{"after a week, from the store alone", func(w *world, _ *event.Change) {
			time.Sleep(7 * 24 * time.Hour)
			w.history.through = chat.Seq(w.stored())
			w.log.forget(chat.Seq(w.stored() + 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(w *world) {
				for i := range 5 {
					w.ok(w.post(fmt.Sprint("before ", i)))
				}
				time.Sleep(10 * time.Minute)
				sent := w.post("hello")
				first := w.ok(sent)
				for i := range 200 {
					w.ok(w.post(fmt.Sprint("after ", i)))
				}
				c.then(w, &sent)
				w.restart()
				stored := w.stored()
				w.duplicateOf(first, sent)
				sent.Retry = true
				w.duplicateOf(first, sent)
				other := sent
				other.Body = "other"
				w.fails(fault.Conflict, other)
				other = sent
				other.ChannelID = "c2"
				w.fails(fault.Conflict, other)
				other = sent
				other.Thread = 1
				if w.log.first <= 1 {
					w.fails(fault.Conflict, other)
				}
				if w.stored() != stored {
					t.Errorf("%d events were stored", w.stored()-stored)
				}
				if late := w.ok(w.post("new")); late.Duplicate {
					t.Error("a new post is called a duplicate")
				}
			})
		})
	}
}

func TestAnIdThatIsNoUUIDIsKnownForEver(t *testing.T) {
	in(t, func(w *world) {
		c := w.post("numbered")
		c.ClientMsgID = "1"
		first := w.ok(c)
		time.Sleep(time.Hour)
		w.duplicateOf(first, c)
		w.history.down = true
		w.duplicateOf(first, c) // the log has everything
		w.log.forget(first.Seq + 1)
		w.restart()
		w.fails(fault.Unavailable, c) // now only the store can tell
		c.ClientMsgID = "2"
		w.fails(fault.Unavailable, c)
	})
}

// When neither the store nor the log can say whether a post is there, it is refused rather than doubled.
func TestWhatCannotBeKnownIsNotDoubled(t *testing.T) {
	in(t, func(w *world) {
		old := w.post("old")
		w.ok(old)
		time.Sleep(3 * time.Hour)
		w.ok(w.post("young"))
		w.log.forget(2)
		w.history.down = true
		w.restart()
		w.fails(fault.Unavailable, old)
		time.Sleep(window)
		fresh := w.post("fresh")
		fresh.Retry = true
		time.Sleep(10 * time.Minute)
		w.ok(fresh) // the log goes back to before it was made

		w.history.down = false // the persister has been down for longer than the log goes back
		w.restart()
		w.fails(fault.Unavailable, old)
	})
}

func TestAResendOfWhatWasChangedIsNoConflict(t *testing.T) {
	in(t, func(w *world) {
		sent := w.post("first words")
		first := w.ok(sent)
		edit := w.change(event.MessageEdited)
		edit.MessageSeq, edit.Body = first.Seq, "better words"
		w.ok(edit)
		time.Sleep(time.Hour)
		w.history.through = chat.Seq(w.stored())
		w.duplicateOf(first, sent) // the log has what was first sent
		lie := sent
		lie.Body = "other words"
		w.fails(fault.Conflict, lie)

		w.log.forget(chat.Seq(w.stored() + 1))
		w.restart()
		w.duplicateOf(first, sent) // the store has the edited text
		lie.Thread = 7
		w.fails(fault.Conflict, lie)
	})
}

// A message that was deleted is erased from the log. Its client_msg_id still stands for it.
func TestAResendOfWhatWasErasedIsNoNewMessage(t *testing.T) {
	in(t, func(w *world) {
		w.ok(w.post("before"))
		time.Sleep(time.Hour)
		sent := w.post("regretted")
		first := w.ok(sent)
		del := w.change(event.MessageDeleted)
		del.MessageSeq = first.Seq
		w.ok(del)
		w.history.through = chat.Seq(w.stored())
		w.log.erase(first.Seq)
		w.duplicateOf(first, sent) // the log knows the id, and has no text
		lie := sent
		lie.ChannelID = "c2"
		w.fails(fault.Unavailable, lie) // of which channel it was, nobody says
		reply := w.post("about it")
		reply.Thread = first.Seq
		w.ok(reply)
		time.Sleep(10 * time.Minute)
		w.duplicateOf(first, sent) // the store knows it
		w.fails(fault.Conflict, lie)

		young := w.post("sent while the store is down")
		young.Retry = true
		w.history.down = true
		w.restart()
		w.fails(fault.Unavailable, sent) // only the store could know
		w.ok(young)                      // nothing that young was deleted
		del.MessageSeq = w.ok(w.post("regretted as well")).Seq
		w.ok(del)
		w.restart()
		other := w.post("as old as what was deleted")
		other.Retry = true
		w.fails(fault.Unavailable, other)
	})
}

func TestOnePersonsIdsAreNotAnothers(t *testing.T) {
	in(t, func(w *world) {
		a := w.post("a")
		b := a
		b.UserID, b.Retry = "u2", true
		first, second := w.ok(a), w.ok(b)
		if second.Duplicate || second.Seq == first.Seq {
			t.Errorf("%+v after %+v", second, first)
		}
	})
}

// Many clients resend while the persister is down: the log is read once, and then what is new.
// A replica that was cut off for longer than the log remembers Msg-Ids answers, and does not have the first send.
func TestAReplicaThatLagsDoublesNothing(t *testing.T) {
	for name, limit := range map[string]int{"in a tail": 1000, "beyond a tail": 2} {
		t.Run(name, func(t *testing.T) {
			in(t, func(w *world) {
				for i := range 5 {
					w.ok(w.post(fmt.Sprint("before ", i)))
				}
				sent := w.post("hello")
				first := w.ok(sent)
				w.ok(w.post("after"))
				time.Sleep(window + time.Second)
				w.restart()
				ingest.LimitTails(w.ingest, limit)
				w.log.hidden, w.log.shows = first.Seq, 1000
				w.fails(fault.Unavailable, sent)
				w.log.hidden = 0
				w.duplicateOf(first, sent)
			})
		})
	}
}

func TestResendsShareOneSearch(t *testing.T) {
	in(t, func(w *world) {
		var sent []event.Change
		var first []event.Receipt
		for i := range 1000 {
			c := w.post(fmt.Sprint("message ", i))
			sent, first = append(sent, c), append(first, w.ok(c))
		}
		time.Sleep(time.Hour)
		for _, down := range []bool{false, true} {
			w.history.down = down
			w.restart()
			w.log.reads = 0
			var all sync.WaitGroup
			for i := range sent {
				all.Go(func() { w.duplicateOf(first[i], sent[i]) })
			}
			all.Wait()
			// 1000 events in reads of 64, and with the store down a search for where to begin, of some ids.
			if limit := 100; w.log.reads > limit {
				t.Errorf("store down %v: %d reads for 1000 resends, want at most %d", down, w.log.reads, limit)
			}
		}
		if ingest.TailIDs(w.ingest) == 0 {
			t.Error("nothing is remembered")
		}
		time.Sleep(time.Hour)
		w.ok(w.post("the next day"))
		if n := ingest.TailIDs(w.ingest); n != 0 {
			t.Errorf("%d ids are remembered of what nobody asks for", n)
		}
	})
}

// What has no room in memory is searched for all the same, and the store's progress makes room.
func TestATailThatIsTooLongIsSearched(t *testing.T) {
	in(t, func(w *world) {
		ingest.LimitTails(w.ingest, 50)
		var sent []event.Change
		var first []event.Receipt
		for i := range 300 {
			c := w.post(fmt.Sprint("message ", i))
			sent, first = append(sent, c), append(first, w.ok(c))
		}
		time.Sleep(time.Hour)
		for _, through := range []chat.Seq{0, 100, 280} {
			w.history.through = through
			for _, i := range []int{0, 49, 50, 51, 120, 299} {
				w.duplicateOf(first[i], sent[i])
			}
			fresh := w.post("new")
			fresh.Retry = true
			if r := w.ok(fresh); r.Duplicate {
				t.Error("a new post is called a duplicate")
			}
			if n := ingest.TailIDs(w.ingest); n > 50 {
				t.Errorf("%d ids in memory", n)
			}
		}
	})
}

// A log that began anew knows no Msg-Id of the one before it. Who sends again what that one stored is answered with its place there,
// however young the id is, and nobody is looked up any more when ids can only be of the new log.
func TestAResendIntoTheNextLog(t *testing.T) {
	in(t, func(w *world) {
		sent := w.post("hello")
		first := w.ok(sent)
		w.history.through = chat.Seq(w.stored())
		time.Sleep(time.Second)
		w.log.renew()
		w.restart()
		time.Sleep(time.Second)
		sent.Epoch = 2
		w.duplicateOf(first, sent)
		if r := w.ok(sent); r.Epoch != 1 {
			t.Errorf("it is of epoch %d", r.Epoch)
		}

		posted := w.post("hello again")
		posted.Epoch = 2
		again := w.ok(posted)
		if again.Duplicate || again.Epoch != 0 {
			t.Errorf("a new one is %+v", again)
		}
		w.duplicateOf(again, posted)
		time.Sleep(window)
		asked := w.history.asked.Load()
		later := w.post("later")
		later.Epoch = 2
		w.ok(later)
		if n := w.history.asked.Load() - asked; n != 0 {
			t.Errorf("%d questions about an id that is younger than the log", n)
		}
	})
}
