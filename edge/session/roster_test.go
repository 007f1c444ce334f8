package session_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// A roster is a set of people for each key.
func TestARosterIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r session.Roster[int, string]
		want := map[int]map[string]bool{0: {}, 1: {}}
		for range rapid.IntRange(0, 50).Draw(t, "length") {
			k, who := rapid.IntRange(0, 1).Draw(t, "key"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "who")
			if join := rapid.Bool().Draw(t, "join"); join && !want[k][who] {
				r.Join(k, who)
				want[k][who] = true
			} else if !join {
				r.Part(k, who) // also who is not there
				delete(want[k], who)
			}
			for k := range want {
				if got := slices.Sorted(slices.Values(r.At(k))); !slices.Equal(got, slices.Sorted(maps.Keys(want[k]))) {
					t.Fatalf("%d: %v, not %v", k, got, want[k])
				}
			}
		}
	})
}

// A channel's members are counted once, in whatever order snapshots and events come.
func TestMembersAreCounted(t *testing.T) {
	c := session.NewChannels()
	entry := func(seq chat.Seq, kind event.Kind) *fanout.Entry {
		return &fanout.Entry{Seq: seq, ChannelID: "c1", Event: event.Event{V: 1, Kind: kind, ChannelID: "c1", UserID: "bob"}}
	}
	members := func(want int) {
		t.Helper()
		if ch := c.At(c.Number("c1")); ch.Members != want || ch.Quiet() != (want > chat.BroadcastMembers) {
			t.Errorf("%d members, not %d", ch.Members, want)
		}
	}
	c.Learn(session.Channel{ID: "c1", Type: chat.ChannelPublic, AsOf: 10, Members: chat.BroadcastMembers})
	c.Note(entry(10, event.MemberJoined)) // the snapshot has it
	members(chat.BroadcastMembers)
	c.Note(entry(11, event.MemberJoined))
	members(chat.BroadcastMembers + 1)
	c.Note(entry(11, event.MemberJoined)) // again, by a session that is behind
	members(chat.BroadcastMembers + 1)
	c.Learn(session.Channel{ID: "c1", Type: chat.ChannelPublic, AsOf: 10, Members: 5}) // an older one
	members(chat.BroadcastMembers + 1)
	c.Note(entry(12, event.MemberLeft))
	members(chat.BroadcastMembers)
	c.Learn(session.Channel{ID: "c1", Type: chat.ChannelPublic, AsOf: 12, Members: 7})
	members(7)
}
