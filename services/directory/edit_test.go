package directory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// update asks for a change of a channel.
func (w *town) update(by chat.UserID, c chat.Channel, change store.ChannelChange) (store.ListedChannel, error) {
	change.By, change.ChannelID = by, c.ID
	return w.dir.UpdateChannel(w.t.Context(), change)
}

func name(s string) store.ChannelChange  { return store.ChannelChange{Name: &s} }
func topic(s string) store.ChannelChange { return store.ChannelChange{Topic: &s} }
func archived(b bool) store.ChannelChange {
	return store.ChannelChange{Archived: &b}
}

func TestWhoMayChangeAChannel(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	open := w.channel(bob, "open", chat.ChannelPublic)
	closed := w.channel(bob, "closed", chat.ChannelPrivate)
	w.must(w.dir.AddMembers(ctx, bob, open.ID, []chat.UserID{guest}))
	w.must(w.dir.AddMembers(ctx, bob, closed.ID, []chat.UserID{carol}))
	dm, _, err := w.dir.OpenDirect(ctx, alice, w.ws.ID, []chat.UserID{bob})
	w.must(err)
	both := name("another")
	both.Archived = new(true)
	for _, c := range []struct {
		what   string
		by     chat.UserID
		in     chat.Channel
		change store.ChannelChange
		want   fault.Kind
	}{
		{"nothing, by who sees it", carol, open, store.ChannelChange{}, ""},
		{"what is so already", carol, open, archived(false), ""},
		{"a name by who is not in it", carol, open, name("carols"), fault.Forbidden},
		{"a topic by an owner who is not in it", alice, open, topic("x"), fault.Forbidden},
		{"a topic by a guest", guest, open, topic("x"), fault.Forbidden},
		{"archiving by a guest", guest, open, archived(true), fault.Forbidden},
		{"archiving by who is not in it", carol, open, archived(true), fault.Forbidden},
		{"archiving by a member who did not create it", carol, closed, archived(true), fault.Forbidden},
		{"a name and archiving, of which one is not theirs", carol, closed, both, fault.Forbidden},
		{"a private channel by an owner who is not in it", alice, closed, archived(true), fault.NotFound},
		{"by a stranger", eve, open, topic("x"), fault.NotFound},
		{"of no channel", alice, chat.Channel{ID: "n0where"}, topic("x"), fault.NotFound},
		{"a direct message's topic", alice, dm, topic("x"), fault.Forbidden},
		{"archiving a direct message", alice, dm, archived(true), fault.Forbidden},
		{"a direct message as it is", alice, dm, topic(""), ""},
		{"a name that is taken", carol, closed, name("open"), fault.Conflict},
		{"a name that is none", bob, open, name("A b"), fault.Invalid},
		{"no name", bob, open, name(""), fault.Invalid},
		{"a long topic", bob, open, topic(strings.Repeat("t", 251)), fault.Invalid},
		{"a name by a member", carol, closed, name("closed-2"), ""},
		{"a topic by a member", carol, closed, topic("what for"), ""},
		{"archiving by its creator", bob, closed, archived(true), ""},
		{"archiving again", carol, closed, archived(true), ""},
		{"a topic that is so, of an archived one", bob, closed, topic("what for"), ""},
		{"a topic of an archived one", bob, closed, topic("x"), fault.Forbidden},
		{"bringing back an archived one", bob, closed, archived(false), fault.Invalid},
		{"archiving by an owner who is not in it", alice, open, archived(true), ""},
	} {
		_, err := w.update(c.by, c.in, c.change)
		wantKind(t, c.what, err, c.want)
	}
	if got, want := w.kinds(closed.ID)[3:], []event.Kind{event.ChannelUpdated, event.ChannelUpdated, event.ChannelArchived}; !slices.Equal(got, want) {
		t.Errorf("the log has %v", got)
	}
	if got, want := w.kinds(open.ID)[3:], []event.Kind{event.ChannelArchived}; !slices.Equal(got, want) {
		t.Errorf("the log has %v", got)
	}
	c, _, err := w.dir.Channel(ctx, carol, closed.ID)
	if err != nil || c.Name != "closed-2" || c.Topic != "what for" || !c.Archived {
		t.Errorf("the channel is %+v, %v", c, err)
	}
}

func TestAnAnswerSaysWhetherOneIsInTheChannel(t *testing.T) {
	w := newTown(t, nil)
	c := w.channel(bob, "open", chat.ChannelPublic)
	for by, joined := range map[chat.UserID]bool{bob: true, alice: false} {
		got, err := w.update(by, c, archived(true))
		if err != nil || got.Joined != joined || !got.Archived || got.Name != "open" {
			t.Errorf("%s is answered %+v, %v", by, got, err)
		}
	}
}

func TestAProfileIsToldToEveryWorkspace(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	second := w.workspace(bob, "Bob's")
	before := len(w.log.all())
	for range 2 { // the second time changes nothing
		u, err := w.dir.UpdateProfile(ctx, bob, "Bob Ünal")
		if err != nil || u.DisplayName != "Bob Ünal" || u.ID != bob || u.Login != string(bob) {
			t.Fatalf("%+v, %v", u, err)
		}
	}
	told := map[chat.WorkspaceID]int{}
	for _, e := range w.log.all()[before:] {
		parsed, err := event.Parse([]byte(e.payload))
		w.must(err)
		if parsed.Kind != event.UserUpdated || parsed.SenderID != bob || parsed.UserID != bob || *parsed.User != (event.UserState{Login: string(bob), DisplayName: "Bob Ünal"}) || e.at.ChannelID != "" {
			t.Errorf("at %+v the log has %s", e.at, e.payload)
		}
		told[e.at.WorkspaceID]++
	}
	if len(told) != 2 || told[w.ws.ID] != 1 || told[second.ID] != 1 {
		t.Errorf("told to %v", told)
	}
	for _, bad := range []string{"", " x", "a\u202eb", strings.Repeat("x", chat.MaxDisplayName+1)} {
		_, err := w.dir.UpdateProfile(ctx, bob, bad)
		wantKind(t, bad, err, fault.Invalid)
	}
	_, err := w.dir.UpdateProfile(ctx, "n0body", "Nobody")
	wantKind(t, "of nobody", err, fault.NotFound)
}

func TestAChangeOfAChannelOrProfileIsKeptWhenTheLogDoesNotAnswer(t *testing.T) {
	w := newTown(t, nil)
	c := w.channel(alice, "plans", chat.ChannelPublic)
	w.impatient()
	w.log.setDown(w.ws.Shard, true)
	both := topic("the end")
	both.Archived = new(true)
	changes := map[string]func() error{
		"a channel": func() error { _, err := w.update(alice, c, both); return err },
		"a profile": func() error { _, err := w.dir.UpdateProfile(t.Context(), bob, "Robert"); return err },
	}
	for what, change := range changes {
		for range 2 { // the second time nothing changes, and it is still not in the log
			wantKind(t, what, change(), fault.Unavailable)
		}
	}
	w.log.setDown(w.ws.Shard, false)
	for what, change := range changes {
		for err := errDown; err != nil; {
			if err = change(); err != nil && !fault.Is(err, fault.Unavailable) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	var kinds []event.Kind
	for _, e := range w.log.all() {
		parsed, err := event.Parse([]byte(e.payload))
		w.must(err)
		if parsed.Kind == event.ChannelArchived || parsed.Kind == event.UserUpdated {
			kinds = append(kinds, parsed.Kind)
		}
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []event.Kind{event.ChannelArchived, event.UserUpdated}) {
		t.Errorf("the log has %v", kinds)
	}
}
