package wish_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/chat/line"
	"github.com/canopychat/canopy/ops/chat/wish"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

func TestWishes(t *testing.T) {
	p := rest.Preferences{Muted: []chat.ChannelID{"c1", "c2"}, Keywords: []string{"engine"}}
	for _, step := range []struct {
		typed, said string
		muted       []chat.ChannelID
	}{
		{"/mute", "nothing in this channel wakes you", []chat.ChannelID{"c1", "c2", "c3"}},
		{"/mute", "nothing in this channel wakes you", []chat.ChannelID{"c1", "c2", "c3"}},
		{"/quiet 22:00-07:30", "nothing in this channel wakes you; nothing at all does from 22:00 to 07:30 (Europe/Berlin)", []chat.ChannelID{"c1", "c2", "c3"}},
		{"/unmute", "what is for you wakes you; nothing at all does from 22:00 to 07:30 (Europe/Berlin)", []chat.ChannelID{"c1", "c2"}},
		{"/quiet off", "what is for you wakes you", []chat.ChannelID{"c1", "c2"}},
	} {
		c, err := line.Parse(step.typed)
		if err != nil {
			t.Fatal(err)
		}
		if p, err = wish.Apply(p, c, "c3", "Europe/Berlin"); err != nil {
			t.Errorf("%s: %v", step.typed, err)
		}
		if said := wish.Said(p, "c3"); said != step.said || !slices.Equal(p.Muted, step.muted) || !slices.Equal(p.Keywords, []string{"engine"}) {
			t.Errorf("%s: %s: %+v", step.typed, said, p)
		}
	}
	if _, err := wish.Apply(p, line.Command{Name: "quiet", Word: "22:00-07:30"}, "c3", ""); !errors.Is(err, wish.ErrNoZone) {
		t.Error(err)
	}
	if _, err := wish.Apply(p, line.Command{Name: "quiet", Word: "never"}, "c3", "UTC"); err == nil {
		t.Error("never is no time of day")
	}
}

func TestZoneName(t *testing.T) {
	t.Setenv("TZ", ":Europe/Berlin")
	if name := wish.ZoneName(time.Local); name != "Europe/Berlin" {
		t.Error(name)
	}
	if name := wish.ZoneName(time.UTC); name != "UTC" {
		t.Error(name)
	}
}
