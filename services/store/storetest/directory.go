package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// RunDirectory is the suite of store.Directory. Each call of open gives an empty store to one test.
func RunDirectory(t *testing.T, open func(t *testing.T) store.Directory) {
	for _, c := range slices.Concat(ofWorkspaces, ofPeople, ofRelays, ofEpochs, ofReach, ofManyAtOnce) {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, open(t))
			f.open = open
			c.run(t, f)
		})
	}
}

// aRule is a sentence of the contract.
type aRule struct {
	name string
	run  func(t *testing.T, f *fixture)
}

// ofWorkspaces are the rules of workspaces, channels and the outbox.
var ofWorkspaces = []aRule{
	{"Users", users},
	{"Workspaces", workspaces},
	{"WorkspaceMembers", workspaceMembers},
	{"ChannelNamesAreUnique", channelNames},
	{"ChannelsComeWithTheirEvents", channelEvents},
	{"FailedCreationLeavesNothing", failedCreation},
	{"DirectChannelsAreTheirPeople", directChannels},
	{"ListChannels", listChannels},
	{"SetMembers", setMembers},
	{"ChannelMembers", channelMembers},
	{"Standing", standings},
	{"UpdateChannel", updateChannel},
	{"UpdateChannelRefused", updateChannelRefused},
	{"UpdateUser", updateUser},
	{"TenuresOverLeaveAndRejoin", tenures},
	{"OutboxOrderAndRecording", outbox},
	{"OwedIsOfOneWorkspace", owed},
	{"RecordedIsTheHighestSeqOfAShard", recorded},
	{"OneOfTwoCreatorsWins", raceForName},
	{"OneOfTwoRenamersWins", raceToRename},
	{"OneTenureOfManyJoins", raceToJoin},
	{"OutboxOfManyWriters", raceForOutbox},
	{"Keys", keys},
	{"Limits", limits},
	{"EndedContextOfDirectory", endedContextOfDirectory},
}

// ofPeople are the rules of who comes, who is signed in, and what they may be.
var ofPeople = []aRule{
	{"Lists", lists},
	{"FoundMakesTheFirstAccount", found},
	{"OneOfManyFounders", raceToFound},
	{"SignIns", signIns},
	{"SignInsOfAUserAreBounded", manySignIns},
	{"RevocationsAreAnnounced", announcements},
	{"RevocationNamesItsSignIns", revocations},
	{"RefreshRotates", rotation},
	{"RefreshRefused", refreshRefused},
	{"RandomRefreshesEndAsTheirModel", randomRefreshes},
	{"RefreshByManyAtOnce", raceToRefresh},
	{"Tickets", tickets},
	{"OneOfManyRedeems", raceToRedeem},
	{"EndedSignInsAreForgotten", forgottenSignIns},
	{"Invites", invites},
	{"InvitesOfAWorkspaceAreBounded", manyInvites},
	{"AcceptInvite", acceptInvite},
	{"AcceptInviteRefused", acceptInviteRefused},
	{"InviteUsesAreCounted", raceToAccept},
	{"SetRole", setRole},
	{"AWorkspaceKeepsAnOwner", lastOwner},
	{"OneOwnerOfTwoStays", raceToDemote},
	{"RemoveMember", removeMember},
	{"WhoComesBackIsANewMember", comesBack},
	{"ChannelRoles", channelRoles},
	{"UpdateWorkspace", updateWorkspace},
	{"SetDeactivated", setDeactivated},
	{"SetPassword", setPassword},
	{"Census", census},
	{"Idempotency", idempotency},
	{"IdempotencyLease", idempotencyLease},
	{"OneOfManyBegins", raceToBegin},
}

// fixture is a workspace with an owner, a member, a guest, and a user outside of it. The events
// of setting it up are recorded.
type fixture struct {
	t                          *testing.T
	d                          store.Directory
	ctx                        context.Context
	ws                         chat.Workspace
	owner, member, guest, none chat.UserID
	seq                        chat.Seq // of the last recorded row
	open                       func(t *testing.T) store.Directory
}

// bare is a fixture of another store, which has nothing in it.
func (f *fixture) bare() *fixture { return &fixture{t: f.t, d: f.open(f.t), ctx: f.ctx} }

func newFixture(t *testing.T, d store.Directory) *fixture {
	f := &fixture{t: t, d: d, ctx: within(t),
		owner: newID[chat.UserID](), member: newID[chat.UserID](), guest: newID[chat.UserID](), none: newID[chat.UserID]()}
	f.ws = chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Demo", Shard: 3, Epoch: 2, CreatedAt: atMicro}
	ok(t, d.CreateUsers(f.ctx, []store.NewUser{newUser(f.owner), newUser(f.member), newUser(f.guest), newUser(f.none)}))
	ok(t, d.CreateWorkspace(f.ctx, f.ws, f.owner))
	ok(t, d.AddMembers(f.ctx, f.owner, []chat.Member{
		{WorkspaceID: f.ws.ID, UserID: f.member, Role: chat.RoleMember},
		{WorkspaceID: f.ws.ID, UserID: f.guest, Role: chat.RoleGuest},
	}))
	f.record()
	return f
}

// atMicro is a time as a Directory keeps it.
var atMicro = dawn.Truncate(time.Microsecond)

func newUser(id chat.UserID) store.NewUser {
	return store.NewUser{PasswordHash: "hash of " + string(id), User: chat.User{
		ID: id, Login: "login." + string(id), DisplayName: "Ärzte 🙂 " + string(id), CreatedAt: atMicro,
	}}
}

// channel creates a channel and returns it.
func (f *fixture) channel(kind chat.ChannelType, name string, members ...chat.UserID) chat.Channel {
	f.t.Helper()
	c := f.newChannel(kind, name)
	ok(f.t, f.d.CreateChannel(f.ctx, c, members))
	return c
}

func (f *fixture) newChannel(kind chat.ChannelType, name string) chat.Channel {
	return chat.Channel{ID: newID[chat.ChannelID](), WorkspaceID: f.ws.ID, Name: name, Type: kind, Topic: "about " + name,
		CreatorID: f.owner, CreatedAt: atMicro}
}

// pending reads the outbox.
func (f *fixture) pending() []store.OutboxRow {
	f.t.Helper()
	rows, err := f.d.Unpublished(f.ctx, chat.MaxPageSize)
	ok(f.t, err)
	return rows
}

// record gives each pending row the next seq, and returns the seqs.
func (f *fixture) record() []chat.Seq {
	f.t.Helper()
	var done []store.OutboxDone
	var seqs []chat.Seq
	for _, r := range f.pending() {
		f.seq += 10
		done = append(done, store.OutboxDone{ID: r.ID, Seq: f.seq})
		seqs = append(seqs, f.seq)
	}
	ok(f.t, f.d.Record(f.ctx, done))
	return seqs
}

// told expects the pending events, in their order, and records them.
func (f *fixture) told(want ...event.Event) {
	f.t.Helper()
	var got []event.Event
	for _, r := range f.pending() {
		if r.WorkspaceID != f.ws.ID || r.Shard != f.ws.Shard || r.CreatedAt.IsZero() {
			f.t.Errorf("row %d is for workspace %s, shard %d, at %v", r.ID, r.WorkspaceID, r.Shard, r.CreatedAt)
		}
		got = append(got, r.Event)
	}
	for i := range want {
		want[i].V, want[i].Epoch = event.Version, f.ws.Epoch
	}
	same(f.t, "events", want, got)
	f.record()
}

func (f *fixture) set(change store.MemberChange) store.OutboxID {
	f.t.Helper()
	id, err := f.d.SetMembers(f.ctx, change)
	ok(f.t, err)
	return id
}

func joined(channel chat.ChannelID, by, who chat.UserID, role chat.Role) event.Event {
	return event.Event{Kind: event.MemberJoined, ChannelID: channel, SenderID: by, UserID: who, Role: role}
}

// managed is the event of who created a channel joining it.
func managed(channel chat.ChannelID, creator chat.UserID, role chat.Role) event.Event {
	e := joined(channel, creator, creator, role)
	e.ChannelRole = chat.ChannelManager
	return e
}

func left(channel chat.ChannelID, by, who chat.UserID) event.Event {
	return event.Event{Kind: event.MemberLeft, ChannelID: channel, SenderID: by, UserID: who}
}

func created(c chat.Channel) event.Event {
	return event.Event{Kind: event.ChannelCreated, ChannelID: c.ID, SenderID: c.CreatorID,
		Channel: &event.ChannelState{Name: c.Name, Type: c.Type, Topic: c.Topic, CreatorID: c.CreatorID}}
}

func users(t *testing.T, f *fixture) {
	ann, bob := newUser(newID[chat.UserID]()), newUser(newID[chat.UserID]())
	bob.PasswordHash, bob.Deactivated = "", true
	ok(t, f.d.CreateUsers(f.ctx, []store.NewUser{ann, bob}))

	got, err := f.d.User(f.ctx, bob.ID)
	ok(t, err)
	same(t, "user", bob.User, got)
	got, hash, err := f.d.Credentials(f.ctx, ann.Login)
	ok(t, err)
	same(t, "user of a login", ann.User, got)
	same(t, "hash", ann.PasswordHash, hash)

	_, err = f.d.User(f.ctx, newID[chat.UserID]())
	isKind(t, "unknown user", err, fault.NotFound)
	_, _, err = f.d.Credentials(f.ctx, "nobody")
	isKind(t, "unknown login", err, fault.NotFound)

	list, err := f.d.UsersByID(f.ctx, []chat.UserID{bob.ID, newID[chat.UserID](), ann.ID, bob.ID})
	ok(t, err)
	slices.SortFunc(list, func(a, b chat.User) int { return strings.Compare(string(a.ID), string(b.ID)) })
	same(t, "users by id", []chat.User{ann.User, bob.User}, list)
	list, err = f.d.UsersByID(f.ctx, nil)
	ok(t, err)
	same(t, "no ids", []chat.User{}, list)

	fresh, taken := newUser(newID[chat.UserID]()), newUser(newID[chat.UserID]())
	taken.Login = ann.Login
	isKind(t, "a login that is taken", f.d.CreateUsers(f.ctx, []store.NewUser{fresh, taken}), fault.Conflict)
	_, err = f.d.User(f.ctx, fresh.ID)
	isKind(t, "the other one of a batch that failed", err, fault.NotFound)
	taken = newUser(ann.ID)
	taken.Login = "another"
	isKind(t, "an id that is taken", f.d.CreateUsers(f.ctx, []store.NewUser{taken}), fault.Conflict)
	f.told() // accounts are no event of a workspace
}

func workspaces(t *testing.T, f *fixture) {
	got, err := f.d.Workspace(f.ctx, f.ws.ID)
	ok(t, err)
	same(t, "workspace", f.ws, got)
	_, err = f.d.Workspace(f.ctx, newID[chat.WorkspaceID]())
	isKind(t, "unknown workspace", err, fault.NotFound)
	isKind(t, "an id that is taken", f.d.CreateWorkspace(f.ctx, f.ws, f.owner), fault.Conflict)
	orphan := f.ws
	orphan.ID = newID[chat.WorkspaceID]()
	isKind(t, "an owner without account", f.d.CreateWorkspace(f.ctx, orphan, newID[chat.UserID]()), fault.NotFound)
	_, err = f.d.Workspace(f.ctx, orphan.ID)
	isKind(t, "the workspace without owner", err, fault.NotFound)
	f.told()

	older := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Older", Shard: 1, Epoch: 1, CreatedAt: atMicro.AddDate(-1, 0, 0)}
	ok(t, f.d.CreateWorkspace(f.ctx, older, f.member))
	rows := f.pending()
	if len(rows) != 1 || rows[0].WorkspaceID != older.ID || rows[0].Shard != 1 || rows[0].Event.Epoch != 1 {
		t.Fatalf("the new workspace's outbox is %+v", rows)
	}
	want := joined("", f.member, f.member, chat.RoleOwner)
	want.V, want.Epoch = event.Version, 1
	same(t, "event", want, rows[0].Event)

	list, err := f.d.WorkspacesOf(f.ctx, f.member)
	ok(t, err)
	same(t, "workspaces of a user", []store.Membership{{Workspace: older, Role: chat.RoleOwner}, {Workspace: f.ws, Role: chat.RoleMember}}, list)
	list, err = f.d.WorkspacesOf(f.ctx, f.none)
	ok(t, err)
	same(t, "workspaces of a stranger", []store.Membership{}, list)
}

func workspaceMembers(t *testing.T, f *fixture) {
	_, err := f.d.Member(f.ctx, f.ws.ID, f.none)
	isKind(t, "a stranger", err, fault.NotFound)

	again := chat.Member{WorkspaceID: f.ws.ID, UserID: f.member, Role: chat.RoleAdmin}
	fresh := chat.Member{WorkspaceID: f.ws.ID, UserID: f.none, Role: chat.RoleAdmin}
	ok(t, f.d.AddMembers(f.ctx, f.owner, []chat.Member{again, fresh, fresh}))
	got, err := f.d.Member(f.ctx, f.ws.ID, f.none)
	ok(t, err)
	same(t, "a new member, not yet in the log", fresh, got)
	f.told(joined("", f.owner, f.none, chat.RoleAdmin))
	fresh.JoinedSeq = f.seq
	got, err = f.d.Member(f.ctx, f.ws.ID, f.none)
	ok(t, err)
	same(t, "a new member", fresh, got)
	got, err = f.d.Member(f.ctx, f.ws.ID, f.member)
	ok(t, err)
	same(t, "who was one already keeps their role", chat.RoleMember, got.Role)

	isKind(t, "a user without account", f.d.AddMembers(f.ctx, f.owner, []chat.Member{
		{WorkspaceID: f.ws.ID, UserID: newID[chat.UserID](), Role: chat.RoleMember}}), fault.NotFound)
	isKind(t, "an unknown workspace", f.d.AddMembers(f.ctx, f.owner, []chat.Member{
		{WorkspaceID: newID[chat.WorkspaceID](), UserID: f.owner, Role: chat.RoleMember}}), fault.NotFound)
	isKind(t, "a role that is none", f.d.AddMembers(f.ctx, f.owner, []chat.Member{
		{WorkspaceID: f.ws.ID, UserID: newID[chat.UserID](), Role: "king"}}), fault.Invalid)
	f.told()

	var all []chat.UserID
	for after := chat.UserID(""); ; after = all[len(all)-1] {
		list, err := f.d.Members(f.ctx, f.ws.ID, after, 3)
		ok(t, err)
		if len(list) == 0 {
			break
		}
		for _, m := range list {
			all = append(all, m.UserID)
		}
	}
	want := []chat.UserID{f.owner, f.member, f.guest, f.none}
	slices.Sort(want)
	same(t, "members", want, all)
}

func keys(t *testing.T, f *fixture) {
	old := store.SigningKey{ID: "k1", Seed: []byte(strings.Repeat("\x00s", 16)), CreatedAt: atMicro}
	young := store.SigningKey{ID: "k0", Seed: []byte(strings.Repeat("y\xff", 16)), CreatedAt: atMicro.Add(time.Hour)}
	second := old
	second.Seed = []byte("of the process that came second")
	for _, k := range []store.SigningKey{old, young, second} {
		ok(t, f.d.AddKey(f.ctx, k))
	}
	got, err := f.d.SigningKeys(f.ctx)
	ok(t, err)
	same(t, "keys", []store.SigningKey{young, old}, got)
}

func limits(t *testing.T, f *fixture) {
	for _, limit := range []int{0, -1, chat.MaxPageSize + 1} {
		name := fmt.Sprintf("limit %d", limit)
		_, err := f.d.Members(f.ctx, f.ws.ID, "", limit)
		isKind(t, name, err, fault.Invalid)
		_, err = f.d.ChannelMembers(f.ctx, "c", "", limit)
		isKind(t, name, err, fault.Invalid)
		_, err = f.d.ListChannels(f.ctx, store.ChannelQuery{WorkspaceID: f.ws.ID, UserID: f.owner, Role: chat.RoleOwner, Limit: limit})
		isKind(t, name, err, fault.Invalid)
	}
	for _, limit := range []int{0, -1, chat.MaxPageSize + 1} {
		name := fmt.Sprintf("limit %d", limit)
		_, err := f.d.ListUsers(f.ctx, "", limit)
		isKind(t, name, err, fault.Invalid)
		_, err = f.d.ListWorkspaces(f.ctx, "", limit)
		isKind(t, name, err, fault.Invalid)
		_, err = f.d.Unannounced(f.ctx, limit)
		isKind(t, name, err, fault.Invalid)
		_, err = f.d.Invites(f.ctx, store.InviteQuery{WorkspaceID: f.ws.ID, At: atMicro, Limit: limit})
		isKind(t, name, err, fault.Invalid)
	}
	_, err := f.d.ChannelRoles(f.ctx, "c", make([]chat.UserID, chat.MaxPageSize+1))
	isKind(t, "too many users", err, fault.Invalid)
	_, err = f.d.Unpublished(f.ctx, 0)
	isKind(t, "an outbox without limit", err, fault.Invalid)
	_, err = f.d.Unpublished(f.ctx, 10*chat.MaxPageSize)
	ok(t, err)
	_, err = f.d.UsersByID(f.ctx, make([]chat.UserID, chat.MaxPageSize+1))
	isKind(t, "too many ids", err, fault.Invalid)
}

func endedContextOfDirectory(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := f.d.Workspace(ctx, f.ws.ID)
	isKind(t, "a read", err, fault.Unavailable)
	isKind(t, "a write", f.d.CreateChannel(ctx, f.newChannel(chat.ChannelPublic, "late"), nil), fault.Unavailable)
	f.told()
}
