package storetest

import (
	"cmp"
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// ofEpochs are the rules of logs that begin anew.
var ofEpochs = []aRule{
	{"AnEpochBeginsForAllWorkspacesOfAShard", beginEpoch},
	{"AnEpochBeginsAboveAllThatWasRecorded", beginEpochRefused},
}

func beginEpoch(t *testing.T, f *fixture) {
	beside := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Beside", Shard: f.ws.Shard, Epoch: 1, CreatedAt: atMicro}
	elsewhere := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Elsewhere", Shard: f.ws.Shard + 1, Epoch: 1, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, beside, f.owner))
	ok(t, f.d.CreateWorkspace(f.ctx, elsewhere, f.owner))
	c := f.channel(chat.ChannelPublic, "general", f.owner)
	before := f.pending()

	first := f.seq + 1<<30
	all, err := f.d.BeginEpoch(f.ctx, f.ws.Shard, first)
	ok(t, err)
	was := f.ws
	f.ws.Epoch, beside.Epoch = was.Epoch+1, 2
	want := []chat.Workspace{f.ws, beside}
	slices.SortFunc(want, func(a, b chat.Workspace) int { return cmp.Compare(a.ID, b.ID) })
	same(t, "workspaces", want, all)
	for _, w := range []chat.Workspace{f.ws, beside, elsewhere} {
		got, err := f.d.Workspace(f.ctx, w.ID)
		ok(t, err)
		same(t, "workspace", w, got)
	}

	// What is owed is told in the new epoch, as it was otherwise; what is owed elsewhere as it was.
	after := f.pending()
	for i := range before {
		switch before[i].WorkspaceID {
		case f.ws.ID:
			before[i].Event.Epoch = f.ws.Epoch
		case beside.ID:
			before[i].Event.Epoch = beside.Epoch
		}
	}
	same(t, "the outbox", before, after)

	recorded := func(shard int, want chat.Seq) {
		t.Helper()
		got, err := f.d.Recorded(f.ctx, shard)
		ok(t, err)
		same(t, "Recorded", want, got)
	}
	recorded(f.ws.Shard, first-1)
	recorded(elsewhere.Shard, 0)

	// The first event of the new log, and who joined in the old one did so before.
	f.seq = first - 10
	f.record()
	recorded(f.ws.Shard, first+10*chat.Seq(len(after)-1))
	id := f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}})
	if id == 0 {
		t.Error("nobody joins after it")
	}
	f.told(event.Event{Kind: event.MemberJoined, ChannelID: c.ID, SenderID: f.owner, UserID: f.member, Role: chat.RoleMember})

	again, err := f.d.BeginEpoch(f.ctx, f.ws.Shard, f.seq+1)
	ok(t, err)
	for i, w := range again {
		same(t, "another epoch", want[i].Epoch+1, w.Epoch)
	}
}

func beginEpochRefused(t *testing.T, f *fixture) {
	last := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Last", Shard: 7, Epoch: chat.MaxEpoch, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, last, f.owner))
	for what, c := range map[string]struct {
		shard int
		first chat.Seq
	}{
		"the last seq that was recorded": {f.ws.Shard, f.seq},
		"one before it":                  {f.ws.Shard, f.seq - 1},
		"no seq":                         {f.ws.Shard, 0},
		"a seq of no log":                {f.ws.Shard, chat.MaxSeq + 1},
		"an epoch that there is not":     {last.Shard, 1 << 30},
	} {
		if _, err := f.d.BeginEpoch(f.ctx, c.shard, c.first); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	got, err := f.d.Workspace(f.ctx, f.ws.ID)
	ok(t, err)
	same(t, "what was refused changed nothing", f.ws, got)
	high, err := f.d.Recorded(f.ctx, last.Shard)
	ok(t, err)
	same(t, "Recorded", chat.Seq(0), high)

	none, err := f.d.BeginEpoch(f.ctx, 9, 1) // a shard that nobody lives in
	ok(t, err)
	same(t, "workspaces of nobody", 0, len(none))
}
