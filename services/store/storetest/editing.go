package storetest

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// changed is the event of c having become what it is.
func changed(kind event.Kind, c chat.Channel, by chat.UserID) event.Event {
	e := created(c)
	e.Kind, e.SenderID = kind, by
	return e
}

func updateChannel(t *testing.T, f *fixture) {
	for _, kind := range []chat.ChannelType{chat.ChannelPublic, chat.ChannelPrivate} {
		c := f.channel(kind, "plans-"+string(kind), f.owner)
		f.record()
		step := func(what string, m store.ChannelChange, want ...event.Event) {
			t.Helper()
			m.ChannelID, m.By = c.ID, f.member
			got, err := f.d.UpdateChannel(f.ctx, m)
			ok(t, err)
			same(t, what+": result", c, got)
			read, err := f.d.Channel(f.ctx, c.ID)
			ok(t, err)
			same(t, what+": channel", c, read)
			f.told(want...)
		}
		old := c
		step("nothing asked", store.ChannelChange{})
		step("nothing changed", store.ChannelChange{Name: &old.Name, Topic: &old.Topic, Archived: new(bool)})
		c.Name = "ideas-" + string(kind)
		step("name", store.ChannelChange{Name: &c.Name}, changed(event.ChannelUpdated, c, f.member))
		c.Topic = ""
		step("topic", store.ChannelChange{Topic: &c.Topic}, changed(event.ChannelUpdated, c, f.member))
		step("again", store.ChannelChange{Name: &c.Name, Topic: &c.Topic})
		c.Name, c.Topic, c.Archived = old.Name, "Ärzte 🙂", true
		all := store.ChannelChange{Name: &c.Name, Topic: &c.Topic, Archived: &c.Archived}
		step("all at once", all, changed(event.ChannelArchived, c, f.member))
		step("all again", all)
		standing, _, err := f.d.Standing(f.ctx, c.ID, f.owner)
		ok(t, err)
		same(t, "archived in a standing", true, standing.Archived)
	}
	for _, in := range f.tenures(f.owner, 0) {
		same(t, "archived in a tenure", true, in.Archived)
	}
}

func updateChannelRefused(t *testing.T, f *fixture) {
	taken := f.channel(chat.ChannelPrivate, "taken", f.owner)
	c := f.channel(chat.ChannelPublic, "plans", f.owner)
	dm := f.channel(chat.ChannelDM, "", f.owner, f.member)
	old := f.newChannel(chat.ChannelPublic, "old")
	old.Archived = true
	ok(t, f.d.CreateChannel(f.ctx, old, nil))
	f.record()
	other, yes, no := "another", true, false
	for _, r := range []struct {
		what   string
		c      chat.Channel
		change store.ChannelChange
		want   fault.Kind
	}{
		{"an unknown channel", chat.Channel{ID: newID[chat.ChannelID]()}, store.ChannelChange{Topic: &other}, fault.NotFound},
		{"a name that is taken, with a topic", c, store.ChannelChange{Name: &taken.Name, Topic: &other}, fault.Conflict},
		{"the name of a direct message", dm, store.ChannelChange{Name: &other}, fault.Conflict},
		{"the topic of a direct message", dm, store.ChannelChange{Topic: &other}, fault.Conflict},
		{"archiving a direct message", dm, store.ChannelChange{Archived: &yes}, fault.Conflict},
		{"the name of an archived channel", old, store.ChannelChange{Name: &other, Archived: &yes}, fault.Conflict},
		{"the topic of an archived channel", old, store.ChannelChange{Topic: &other}, fault.Conflict},
		{"an archived channel coming back", old, store.ChannelChange{Archived: &no}, fault.Invalid},
	} {
		r.change.ChannelID, r.change.By = r.c.ID, f.owner
		_, err := f.d.UpdateChannel(f.ctx, r.change)
		isKind(t, r.what, err, r.want)
	}
	_, err := f.d.UpdateChannel(f.ctx, store.ChannelChange{ChannelID: c.ID, By: "*.>", Topic: &other})
	isKind(t, "somebody who is no id, by whom no event can be", err, fault.Invalid)
	f.told()
	for _, c := range []chat.Channel{taken, c, dm, old} {
		got, err := f.d.Channel(f.ctx, c.ID)
		ok(t, err)
		same(t, "what a change was refused to", c, got)
	}
	elsewhere := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Other", Epoch: 1, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, elsewhere, f.owner))
	theirs := f.newChannel(chat.ChannelPublic, "theirs")
	theirs.WorkspaceID = elsewhere.ID
	ok(t, f.d.CreateChannel(f.ctx, theirs, nil))
	_, err = f.d.UpdateChannel(f.ctx, store.ChannelChange{ChannelID: theirs.ID, By: f.owner, Name: &taken.Name})
	ok(t, err) // another workspace's names are its own
}

func updateUser(t *testing.T, f *fixture) {
	u := newUser(f.member).User
	second := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Second", Shard: 1, Epoch: 7, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, second, f.owner))
	ok(t, f.d.AddMembers(f.ctx, f.owner, []chat.Member{{WorkspaceID: second.ID, UserID: u.ID, Role: chat.RoleGuest}}))
	apart := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Apart", Shard: 2, Epoch: 1, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, apart, f.owner))
	f.record()

	u.DisplayName = "Müller 🙂"
	got, err := f.d.UpdateUser(f.ctx, store.UserChange{UserID: u.ID, By: f.owner, DisplayName: u.DisplayName})
	ok(t, err)
	same(t, "result", u, got)
	got, err = f.d.User(f.ctx, u.ID)
	ok(t, err)
	same(t, "user", u, got)
	rows := f.pending()
	same(t, "events, one for each workspace", 2, len(rows))
	for _, ws := range []chat.Workspace{f.ws, second} {
		i := slices.IndexFunc(rows, func(r store.OutboxRow) bool { return r.WorkspaceID == ws.ID })
		if i < 0 {
			t.Fatalf("workspace %s is not told", ws.Name)
		}
		same(t, "shard", ws.Shard, rows[i].Shard)
		same(t, "event", event.Event{V: event.Version, Kind: event.UserUpdated, Epoch: ws.Epoch, SenderID: f.owner, UserID: u.ID,
			User: &event.UserState{Login: u.Login, DisplayName: u.DisplayName}}, rows[i].Event)
	}
	f.record()

	_, err = f.d.UpdateUser(f.ctx, store.UserChange{UserID: u.ID, By: u.ID, DisplayName: u.DisplayName})
	ok(t, err)
	_, err = f.d.UpdateUser(f.ctx, store.UserChange{UserID: f.none, By: f.none, DisplayName: "of no workspace"})
	ok(t, err)
	_, err = f.d.UpdateUser(f.ctx, store.UserChange{UserID: newID[chat.UserID](), By: u.ID, DisplayName: "x"})
	isKind(t, "an unknown user", err, fault.NotFound)
	_, err = f.d.UpdateUser(f.ctx, store.UserChange{UserID: u.ID, By: "*.>", DisplayName: "x"})
	isKind(t, "somebody who is no id, by whom no event can be", err, fault.Invalid)
	f.told()
	got, err = f.d.User(f.ctx, u.ID)
	ok(t, err)
	same(t, "user after what was refused", u, got)
}

func raceToRename(t *testing.T, f *fixture) {
	ids := make([]chat.ChannelID, writers)
	for i := range ids {
		ids[i] = f.channel(chat.ChannelPublic, "c-"+string(newID[chat.ChannelID]())).ID
	}
	f.record()
	won := 0
	name := "general"
	for _, err := range together(writers, func(i int) error {
		_, err := f.d.UpdateChannel(f.ctx, store.ChannelChange{ChannelID: ids[i], By: f.owner, Name: &name})
		return err
	}) {
		if err == nil {
			won++
		} else {
			isKind(t, "a name that was just taken", err, fault.Conflict)
		}
	}
	same(t, "winners", 1, won)
	same(t, "events", 1, len(f.pending()))
}
