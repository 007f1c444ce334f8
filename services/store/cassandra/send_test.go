package cassandra_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
)

// sends is posts with these ids, stored at a time.
func sends(at time.Time, ids ...chat.ClientMsgID) []event.Stored {
	var all []event.Stored
	for i, id := range ids {
		e := aPost("a", chat.Seq(i+1), "x")
		e.At, e.ClientMsgID = at, id
		all = append(all, e)
	}
	return all
}

func keyOf(post event.Stored) store.SendKey {
	return store.SendKey{WorkspaceID: post.WorkspaceID, SenderID: post.SenderID, ClientMsgID: post.ClientMsgID}
}

// slotsOf is the slots that posts are written to, each once.
func slotsOf(posts []event.Stored) []int64 {
	var all []int64
	for i := range posts {
		all = append(all, cassandra.SlotOf(&posts[i]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Who looks a send up knows its key alone.
func TestASendIsInOneOfTheSlotsThatItsKeyTells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "stored")).Add(123_456)
		id := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) chat.ClientMsgID {
				return madeAt(time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "made")))
			}),
			rapid.Custom(func(t *rapid.T) chat.ClientMsgID {
				off := rapid.Int64Range(-2*cassandra.SlotReach.Milliseconds(), 2*cassandra.SlotReach.Milliseconds()).Draw(t, "off")
				return madeAt(time.UnixMilli(max(0, at.UnixMilli()+off)))
			}),
			rapid.Map(rapid.StringMatching(`[0-9A-Za-z_-]{1,64}`), func(s string) chat.ClientMsgID { return chat.ClientMsgID(s) }),
		).Draw(t, "id")
		post := sends(at, id)[0]
		slot, told := cassandra.SlotOf(&post), cassandra.SlotsOf(keyOf(post))
		if !slices.Contains(told, slot) {
			t.Fatalf("%s, stored at %s, is in %d; its key tells of %v", id, at, slot, told)
		}
		made, timed := id.Time()
		if near := timed && made.Sub(at).Abs() <= cassandra.SlotReach; near != (slot >= 0) {
			t.Fatalf("%s, made at %s and stored at %s, is in %d", id, made, at, slot)
		}
		later := post
		later.Seq, later.ChannelID, later.Body = 9, "b", "another time, by another process"
		if cassandra.SlotOf(&later) != slot {
			t.Fatal("the slot depends on more than the id and the times")
		}
	})
}

func TestSlotsOfTimeAreShortAndSharedByWhoPostsTogether(t *testing.T) {
	begin := time.UnixMilli(1_800_000_000_000 / cassandra.SlotStep.Milliseconds() * cassandra.SlotStep.Milliseconds())
	last := begin.Add(cassandra.SlotStep - time.Millisecond)
	if got := slotsOf(sends(last, madeAt(begin), madeAt(begin.Add(time.Second)), madeAt(last))); len(got) != 1 {
		t.Errorf("ids of one step are in %v", got)
	}
	if got := slotsOf(sends(last, madeAt(begin.Add(-time.Millisecond)), madeAt(begin), madeAt(last.Add(time.Millisecond)))); len(got) != 3 {
		t.Errorf("ids of three steps are in %v", got)
	}
	at := begin.Add(time.Second)
	for off, slots := range map[time.Duration]int{
		0: 1, cassandra.SlotReach: 1, -cassandra.SlotReach: 1,
		cassandra.SlotReach + time.Millisecond: 5, -cassandra.SlotReach - time.Millisecond: 5, // one for each id
	} {
		var ids []chat.ClientMsgID
		for range 5 {
			ids = append(ids, madeAt(at.Add(off)))
		}
		got := slotsOf(sends(at, ids...))
		if len(got) != slots || (got[0] >= 0) != (slots == 1) {
			t.Errorf("made %s off: the slots are %v", off, got)
		}
	}
}

// Whatever ids somebody makes up, what is not young fills no slot: each has its own.
func TestForgedIDsFillNoSlot(t *testing.T) {
	var ids []chat.ClientMsgID
	for i := range 1000 {
		ids = append(ids, chat.ClientMsgID(fmt.Sprint(i)), chat.ClientMsgID(uuid.NewString()),
			madeAt(dawn.Add(-time.Hour)), madeAt(dawn.AddDate(20, 0, 0)))
	}
	got := slotsOf(sends(dawn, ids...))
	if len(got) != len(ids) || slices.Max(got) >= 0 {
		t.Errorf("%d slots for %d ids, up to %d", len(got), len(ids), slices.Max(got))
	}
	a, b := sends(dawn, "same")[0], sends(dawn, "same")[0]
	b.SenderID = "bob"
	if cassandra.SlotOf(&a) == cassandra.SlotOf(&b) {
		t.Error("two senders of one id share a slot")
	}
}

// What is stored in a second travels in a few batches, in however many channels it is.
func TestYoungSendsTravelTogether(t *testing.T) {
	began := time.UnixMilli(1_800_000_000_000)
	var events []event.Stored
	for i := range chat.Seq(1000) {
		e := aPost(chat.ChannelID(fmt.Sprint("c", i%300)), i+1, "x")
		e.At = began.Add(time.Duration(i) * time.Millisecond)
		e.SenderID, e.ClientMsgID = chat.UserID(fmt.Sprint("u", i%70)), madeAt(e.At.Add(-time.Duration(i%7)*100*time.Millisecond))
		events = append(events, e)
	}
	rows, bytes, batches := 0, 0, 0
	for _, b := range cassandra.Plan(events) {
		if strings.HasPrefix(b[0].Partition, "sends_by_client_id") {
			rows, batches = rows+len(b), batches+1
			for _, row := range b {
				bytes += row.Bytes
			}
		}
	}
	if rows != len(events) || batches > bytes/cassandra.BatchBytes+4 {
		t.Errorf("%d sends are in %d batches", rows, batches)
	}
}

// The table has the first send of each slot, however often, by whom and in which order posts are applied; and both slots
// when the id was used again much later. Nobody's send is anywhere else.
func TestSendsLieInTheirSlots(t *testing.T) {
	t.Parallel()
	workspace := chat.WorkspaceID(newChannel())
	young, text := madeAt(dawn), chat.ClientMsgID("text")
	all := sends(dawn, young, young, text, text, young, text)
	for i := range all {
		all[i].WorkspaceID, all[i].ChannelID = workspace, newChannel()
	}
	for i := 4; i < len(all); i++ {
		all[i].At = dawn.Add(time.Hour) // tried again
	}
	writers := []*cassandra.Messages{apart(t, tiny), apart(t, tiny)}
	for i := range slices.Backward(all) {
		ok(t, writers[i%2].Apply(t.Context(), all[i:]))
	}
	want := map[int64]chat.Version{ // the lowest of each
		cassandra.SlotOf(&all[0]): all[0].Version(), cassandra.SlotOf(&all[2]): all[2].Version(), cassandra.SlotOf(&all[4]): all[4].Version(),
	}
	if len(want) != 3 {
		t.Fatalf("the slots are %v", want)
	}
	got := raw(t, "SELECT slot FROM sends_by_client_id WHERE workspace_id = ? ALLOW FILTERING", string(workspace))
	if len(got) != len(want) {
		t.Errorf("the table has %d rows; want %d", len(got), len(want))
	}
	for slot, version := range want {
		versions := raw(t, "SELECT version FROM sends_by_client_id WHERE workspace_id = ? AND slot = ?", string(workspace), slot)
		if !slices.Equal(versions, []chat.Seq{chat.Seq(version)}) {
			t.Errorf("slot %d has the versions %v; want %d", slot, versions, version)
		}
	}
	for _, first := range []event.Stored{all[0], all[2]} {
		place, err := apart(t, tiny).Send(t.Context(), keyOf(first))
		if want := (store.SendPlace{ChannelID: first.ChannelID, Seq: first.Seq, Epoch: 1}); err != nil || place != want {
			t.Errorf("%s is at %+v, %v; want %+v", first.ClientMsgID, place, err, want)
		}
	}
}

// A look-up asks for the slots of the key, and for no other.
func TestALookUpIsTwoQuestionsAtMost(t *testing.T) {
	t.Parallel()
	var db *counted
	m := cassandra.Through(onRing(t), tiny, func(d cassandra.Database) cassandra.Database {
		db = &counted{Database: d}
		return db
	})
	for id, questions := range map[chat.ClientMsgID]int{"text": 1, chat.ClientMsgID(uuid.NewString()): 1, madeAt(dawn): 2} {
		post := sends(dawn, id)[0]
		post.WorkspaceID = chat.WorkspaceID(newChannel())
		ok(t, m.Apply(t.Context(), []event.Stored{post}))
		before := len(db.since(0))
		_, err := m.Send(t.Context(), keyOf(post))
		ok(t, err)
		if asked := db.since(before); len(asked) != questions {
			t.Errorf("%s is %d questions:\n%s", id, len(asked), strings.Join(asked, "\n"))
		}
	}
}
