package light_test

import (
	"fmt"
	"testing"

	"github.com/canopychat/canopy/edge/light"
	"github.com/canopychat/canopy/schemas/chat"
)

func presence(user, frame string) light.Item {
	return light.Item{WorkspaceID: "w", UserID: chat.UserID(user), Channels: []chat.ChannelID{"c", "d"}, Frame: []byte(frame)}
}

func typing(user, channel, frame string) light.Item {
	return light.Item{WorkspaceID: "w", UserID: chat.UserID(user), Typing: true, Channels: []chat.ChannelID{chat.ChannelID(channel)}, Frame: []byte(frame)}
}

func TestTheNewestOfAUserTakesThePlaceOfWhatWaits(t *testing.T) {
	var g light.Gather
	for i, it := range []light.Item{
		presence("alice", "a1"), typing("alice", "c", "t1"), presence("bob", "b1"), typing("alice", "d", "t2"), presence("alice", "a2"), typing("alice", "c", "t3"),
		{WorkspaceID: "other", UserID: "alice", Frame: []byte("x")},
	} {
		if first, kept := g.Add(it); first != (i == 0) || !kept {
			t.Errorf("item %d: first %t, kept %t", i, first, kept)
		}
	}
	var got string
	for _, it := range g.Take() {
		got += string(it.Frame) + " "
	}
	if got != "a2 t3 b1 t2 x " {
		t.Errorf("%s", got)
	}
	if len(g.Take()) != 0 {
		t.Error("it was taken and is still there")
	}
	if first, _ := g.Add(presence("alice", "a3")); !first {
		t.Error("the first after a Take is not")
	}
}

func read(user, channel string, seq chat.Seq) light.Item {
	return light.Item{WorkspaceID: "w", UserID: chat.UserID(user), Read: seq, Channels: []chat.ChannelID{chat.ChannelID(channel)}, Frame: fmt.Append(nil, channel, seq)}
}

func TestTheFurthestReadMarkOfAChannelWaits(t *testing.T) {
	var g light.Gather
	for _, it := range []light.Item{
		read("alice", "c", 5), presence("alice", "a1"), typing("alice", "c", "t1"), read("alice", "c", 9), read("alice", "c", 7), read("alice", "d", 1), read("bob", "c", 2),
	} {
		if _, kept := g.Add(it); !kept {
			t.Errorf("%+v is lost", it)
		}
	}
	var got string
	for _, it := range g.Take() {
		got += string(it.Frame) + " "
	}
	if got != "c9 a1 t1 d1 c2 " {
		t.Errorf("%s", got)
	}
}

func TestItIsBounded(t *testing.T) {
	var g light.Gather
	for i := range light.Max {
		if _, kept := g.Add(presence(fmt.Sprint(i), "x")); !kept {
			t.Fatalf("number %d is lost", i)
		}
	}
	if _, kept := g.Add(presence("one more", "x")); kept {
		t.Error("one more is kept")
	}
	if _, kept := g.Add(presence("7", "newer")); !kept {
		t.Error("what stands in place of another is lost")
	}
	if n := len(g.Take()); n != light.Max {
		t.Errorf("%d", n)
	}
}
