package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// ofReach are the rules of who a message may be owed to, and where they are reached.
var ofReach = []aRule{
	{"MembersAtEverySeq", membersAtEverySeq},
	{"MembersAtUnsettled", membersUnsettled},
	{"MembersAtLeavesOut", membersLeftOut},
	{"MembersAtOfADirectMessage", membersOfDirect},
	{"UsersByLogin", usersByLogin},
	{"Preferences", preferences},
	{"PreferencesOfWhoLeaves", preferencesOfWhoLeaves},
	{"Keywords", keywords},
	{"Follows", follows},
	{"Subscriptions", subscriptions},
	{"SubscriptionsMove", subscriptionsMove},
	{"SubscriptionsOfAUserAreBounded", manySubscriptions},
	{"Webhooks", webhooks},
	{"KeepSecret", keepSecret},
	{"ReachRefused", reachRefused},
	{"SubscriptionsStayBounded", raceToSubscribe},
	{"WebhooksStayBounded", raceToAddWebhooks},
	{"OneSecretOfManyKeepers", raceToKeep},
}

// membersAt lists everybody who was in a channel at a seq, in pages, and whether that is settled.
func (f *fixture) membersAt(q store.MembersQuery) (users []chat.UserID, settled bool) {
	f.t.Helper()
	for {
		page, all, err := f.d.MembersAt(f.ctx, q)
		ok(f.t, err)
		users = append(users, page...)
		if len(page) < q.Limit {
			return users, all
		}
		q.After = page[len(page)-1]
	}
}

// wereIn expects the people of a channel at a seq, who are settled.
func (f *fixture) wereIn(c chat.ChannelID, at chat.Seq, want ...chat.UserID) {
	f.t.Helper()
	slices.Sort(want)
	for _, limit := range []int{1, 2, store.MaxRecipients} {
		got, settled := f.membersAt(store.MembersQuery{ChannelID: c, Seq: at, Limit: limit})
		same(f.t, fmt.Sprintf("members at %d", at), want, got)
		same(f.t, "settled", true, settled)
	}
}

// membersAtEverySeq compares with the times that the log would tell: somebody comes, leaves and comes back.
func membersAtEverySeq(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner)
	other := f.channel(chat.ChannelPublic, "other", f.owner, f.member, f.guest)
	f.record()
	began := f.seq - 40 // of the owner's tenure: created, joined; created, joined three times
	for _, leave := range []bool{false, true, false, true} {
		f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}, Leave: leave})
		f.record()
	}
	in, out, back, gone := f.seq-30, f.seq-20, f.seq-10, f.seq
	for _, at := range []struct {
		seq  chat.Seq
		want []chat.UserID
	}{
		{0, nil}, {began - 1, nil}, {began, []chat.UserID{f.owner}}, {in - 1, []chat.UserID{f.owner}},
		{in, []chat.UserID{f.owner, f.member}}, {out - 1, []chat.UserID{f.owner, f.member}}, {out, []chat.UserID{f.owner, f.member}},
		{out + 1, []chat.UserID{f.owner}}, {back - 1, []chat.UserID{f.owner}}, {back, []chat.UserID{f.owner, f.member}},
		{gone, []chat.UserID{f.owner, f.member}}, {gone + 1, []chat.UserID{f.owner}}, {chat.MaxSeq, []chat.UserID{f.owner}}, {1<<64 - 1, []chat.UserID{f.owner}},
	} {
		f.wereIn(c.ID, at.seq, at.want...)
	}
	f.wereIn(other.ID, out+1, f.owner, f.member, f.guest)
	f.wereIn(newID[chat.ChannelID](), out)

	among := []chat.UserID{f.none, f.member, f.owner, f.member}
	got, settled := f.membersAt(store.MembersQuery{ChannelID: other.ID, Seq: f.seq, Limit: 1, Among: among})
	want := []chat.UserID{f.owner, f.member}
	slices.Sort(want)
	same(t, "among some", want, got)
	same(t, "settled", true, settled)
	got, _ = f.membersAt(store.MembersQuery{ChannelID: c.ID, Seq: out + 1, Limit: 5, Among: []chat.UserID{f.member}})
	same(t, "among those who had left", []chat.UserID{}, got)
}

// membersUnsettled looks while a coming or a leaving has no seq yet.
func membersUnsettled(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner)
	other := f.channel(chat.ChannelPublic, "other", f.owner)
	unsettled := func(what string, in chat.ChannelID) {
		t.Helper()
		for _, among := range [][]chat.UserID{nil, {f.owner}, {f.none}} {
			for _, after := range []chat.UserID{"", "zzzz"} {
				_, settled, err := f.d.MembersAt(f.ctx, store.MembersQuery{ChannelID: in, Seq: f.seq, Limit: 10, Among: among, After: after})
				ok(t, err)
				same(t, what, false, settled)
			}
		}
	}
	unsettled("a new channel", c.ID)
	f.record()
	f.wereIn(c.ID, f.seq, f.owner)
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}})
	unsettled("somebody comes", c.ID)
	f.wereIn(other.ID, f.seq, f.owner) // of another channel that says nothing
	f.record()
	f.wereIn(c.ID, f.seq, f.owner, f.member)
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}, Leave: true})
	unsettled("somebody leaves", c.ID)
	got, _ := f.membersAt(store.MembersQuery{ChannelID: c.ID, Seq: f.seq, Limit: 10})
	want := []chat.UserID{f.owner, f.member}
	slices.Sort(want)
	same(t, "whose leaving has no seq is there", want, got)
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}}) // back before the log knows
	got, _ = f.membersAt(store.MembersQuery{ChannelID: c.ID, Seq: f.seq, Limit: 10})
	same(t, "and is there once", want, got)
	f.record()
	f.wereIn(c.ID, f.seq, want...)
	_, err := f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.member)
	ok(t, err)
	unsettled("somebody leaves the workspace", c.ID)
	f.record()
	f.wereIn(c.ID, f.seq, f.owner)
	f.wereIn(c.ID, f.seq-20, want...) // before they went
}

func membersLeftOut(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner, f.member, f.guest)
	f.record()
	closed := func(is bool) {
		t.Helper()
		_, err := f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: f.member, By: f.owner, Deactivated: is, At: atMicro})
		ok(t, err)
		f.record()
	}
	closed(true)
	f.wereIn(c.ID, f.seq, f.owner, f.guest)
	got, _ := f.membersAt(store.MembersQuery{ChannelID: c.ID, Seq: f.seq, Limit: 10, Among: []chat.UserID{f.member, f.guest}})
	same(t, "among some", []chat.UserID{f.guest}, got)
	want := []chat.UserID{f.owner, f.member, f.guest}
	slices.Sort(want)
	for _, limit := range []int{1, 10} {
		got, settled := f.membersAt(store.MembersQuery{ChannelID: c.ID, Seq: f.seq, Limit: limit, Gone: true})
		same(t, "with those who are gone", want, got)
		same(t, "settled", true, settled)
	}
	got, _ = f.membersAt(store.MembersQuery{ChannelID: c.ID, Seq: f.seq, Limit: 10, Among: []chat.UserID{f.member, f.none}, Gone: true})
	same(t, "among some, with those who are gone", []chat.UserID{f.member}, got)
	closed(false)
	f.wereIn(c.ID, f.seq, f.owner, f.member, f.guest)
}

// membersOfDirect are those who belong to the workspace at that seq, for the times in a direct message do not end.
func membersOfDirect(t *testing.T, f *fixture) {
	dm := f.channel(chat.ChannelDM, "", f.owner, f.member)
	f.record()
	before := f.seq
	f.wereIn(dm.ID, before, f.owner, f.member)
	_, err := f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.member)
	ok(t, err)
	f.wereIn(dm.ID, before, f.owner) // who does not belong to the workspace is not asked for anything of it
	f.record()
	away := f.seq + 5
	f.wereIn(dm.ID, away, f.owner)
	both := []chat.UserID{f.owner, f.member}
	slices.Sort(both)
	for _, at := range []chat.Seq{before, away} {
		got, _ := f.membersAt(store.MembersQuery{ChannelID: dm.ID, Seq: at, Limit: 10, Gone: true})
		same(t, "the people of the direct message", both, got)
	}
	ok(t, f.d.AddMembers(f.ctx, f.owner, []chat.Member{{WorkspaceID: f.ws.ID, UserID: f.member, Role: chat.RoleMember}}))
	_, settled := f.membersAt(store.MembersQuery{ChannelID: dm.ID, Seq: away, Limit: 10})
	same(t, "while one of them comes back", false, settled)
	_, settled = f.membersAt(store.MembersQuery{ChannelID: dm.ID, Seq: away, Limit: 10, Among: []chat.UserID{f.owner}})
	same(t, "while one of them comes back, of the other", false, settled)
	f.seq += 10
	f.record()
	f.wereIn(dm.ID, away, f.owner)
	f.wereIn(dm.ID, f.seq, f.owner, f.member)

	group := f.channel(chat.ChannelGroupDM, "", f.owner, f.member, f.guest)
	f.record()
	f.wereIn(group.ID, f.seq, f.owner, f.member, f.guest)
}

func usersByLogin(t *testing.T, f *fixture) {
	_, err := f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: f.guest, By: f.owner, Deactivated: true, At: atMicro})
	ok(t, err)
	var logins []string
	for _, id := range []chat.UserID{f.guest, f.none, f.owner, f.owner} {
		logins = append(logins, newUser(id).Login)
	}
	got, err := f.d.UsersByLogin(f.ctx, f.ws.ID, append(logins, "nobody", "LOGIN."+string(f.member), ""))
	ok(t, err)
	slices.SortFunc(got, func(a, b chat.User) int { return slices.Index(logins, a.Login) - slices.Index(logins, b.Login) })
	closed := newUser(f.guest).User
	closed.Deactivated = true
	same(t, "users", []chat.User{closed, newUser(f.owner).User}, got)
	got, err = f.d.UsersByLogin(f.ctx, newID[chat.WorkspaceID](), logins)
	ok(t, err)
	same(t, "of another workspace", []chat.User{}, got)
	got, err = f.d.UsersByLogin(f.ctx, f.ws.ID, nil)
	ok(t, err)
	same(t, "of no login", []chat.User{}, got)
}

// prefers sets what somebody wants.
func (f *fixture) prefers(user chat.UserID, p chat.Preferences) {
	f.t.Helper()
	ok(f.t, f.d.SetPreferences(f.ctx, f.ws.ID, user, p))
}

// preferencesAre expects what everybody of the fixture wants.
func (f *fixture) preferencesAre(what string, want map[chat.UserID]chat.Preferences) {
	f.t.Helper()
	got, err := f.d.PreferencesOf(f.ctx, f.ws.ID, []chat.UserID{f.owner, f.member, f.guest, f.none, f.owner})
	ok(f.t, err)
	same(f.t, what, want, got)
}

func preferences(t *testing.T, f *fixture) {
	f.preferencesAre("at first", map[chat.UserID]chat.Preferences{})
	all := chat.Preferences{Muted: []chat.ChannelID{newID[chat.ChannelID](), "c1"}, Keywords: []string{"Ärzte", "deploy \"now\"", "日本"},
		Quiet: &chat.Quiet{Until: dawn.In(time.FixedZone("", 3600)), From: "22:00", To: "07:30", Zone: "Europe/Berlin"}}
	f.prefers(f.owner, all)
	f.prefers(f.member, chat.Preferences{})
	all.Quiet.Until = atMicro // as a Directory keeps it
	f.preferencesAre("set", map[chat.UserID]chat.Preferences{f.owner: all, f.member: {}})
	f.prefers(f.owner, chat.Preferences{Quiet: &chat.Quiet{}, Muted: []chat.ChannelID{"c2"}})
	f.preferencesAre("replaced", map[chat.UserID]chat.Preferences{f.owner: {Quiet: &chat.Quiet{}, Muted: []chat.ChannelID{"c2"}}, f.member: {}})

	got, err := f.d.PreferencesOf(f.ctx, newID[chat.WorkspaceID](), []chat.UserID{f.owner})
	ok(t, err)
	same(t, "of another workspace", map[chat.UserID]chat.Preferences{}, got)
	got, err = f.d.PreferencesOf(f.ctx, f.ws.ID, nil)
	ok(t, err)
	same(t, "of nobody", map[chat.UserID]chat.Preferences{}, got)
	f.told() // what somebody wants is nobody else's business
}

func preferencesOfWhoLeaves(t *testing.T, f *fixture) {
	p := chat.Preferences{Keywords: []string{"canopy"}}
	f.prefers(f.member, p)
	watchers := func(want ...store.Watcher) {
		t.Helper()
		got, err := f.d.KeywordsOf(f.ctx, f.ws.ID)
		ok(t, err)
		same(t, "watchers", want, got)
	}
	watchers(store.Watcher{UserID: f.member, Keywords: p.Keywords})
	_, err := f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.member)
	ok(t, err)
	f.preferencesAre("of who left", map[chat.UserID]chat.Preferences{})
	watchers()
	isKind(t, "setting them", f.d.SetPreferences(f.ctx, f.ws.ID, f.member, p), fault.NotFound)
	ok(t, f.d.AddMembers(f.ctx, f.owner, []chat.Member{{WorkspaceID: f.ws.ID, UserID: f.member, Role: chat.RoleGuest}}))
	f.preferencesAre("of who came back", map[chat.UserID]chat.Preferences{f.member: p})
	watchers(store.Watcher{UserID: f.member, Keywords: p.Keywords})
}

func keywords(t *testing.T, f *fixture) {
	elsewhere := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Elsewhere", Epoch: 1, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, elsewhere, f.owner))
	ok(t, f.d.SetPreferences(f.ctx, elsewhere.ID, f.owner, chat.Preferences{Keywords: []string{"there"}}))
	f.prefers(f.owner, chat.Preferences{Keywords: []string{"release", "oncall"}})
	f.prefers(f.member, chat.Preferences{Muted: []chat.ChannelID{"c"}})
	f.prefers(f.guest, chat.Preferences{Keywords: []string{"lunch"}})
	want := []store.Watcher{{UserID: f.owner, Keywords: []string{"release", "oncall"}}, {UserID: f.guest, Keywords: []string{"lunch"}}}
	got, err := f.d.KeywordsOf(f.ctx, f.ws.ID)
	ok(t, err)
	same(t, "watchers", want, got)

	_, err = f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: f.guest, By: f.owner, Deactivated: true, At: atMicro})
	ok(t, err)
	got, err = f.d.KeywordsOf(f.ctx, f.ws.ID)
	ok(t, err)
	same(t, "with a closed account", want[:1], got)
	f.prefers(f.owner, chat.Preferences{})
	got, err = f.d.KeywordsOf(f.ctx, f.ws.ID)
	ok(t, err)
	same(t, "when nobody watches", []store.Watcher{}, got)
}

func follows(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner, f.member)
	say := func(root chat.Seq, user chat.UserID, follows bool, minute int) store.Follow {
		t.Helper()
		said := store.Follow{ChannelID: c.ID, Root: root, UserID: user, Follows: follows, At: atMicro.Add(time.Duration(minute) * time.Minute)}
		ok(t, f.d.SetFollow(f.ctx, said))
		return said
	}
	say(7, f.owner, true, 1)
	a, b := say(7, f.member, true, 2), say(8, f.owner, true, 3)
	d := say(7, f.owner, false, 4)
	for root, want := range map[chat.Seq][]store.Follow{7: {d, a}, 8: {b}, 9: nil, 1<<64 - 1: nil} {
		got, err := f.d.FollowsOf(f.ctx, c.ID, root)
		ok(t, err)
		same(t, fmt.Sprintf("follows of %d", root), want, got)
	}
	e := say(7, f.owner, true, 0) // what is said last counts, whatever the clocks say
	got, err := f.d.FollowsOf(f.ctx, c.ID, 7)
	ok(t, err)
	same(t, "follows", []store.Follow{a, e}, got)

	for what, said := range map[string]store.Follow{
		"a channel": {ChannelID: newID[chat.ChannelID](), Root: 7, UserID: f.owner, At: atMicro},
		"somebody":  {ChannelID: c.ID, Root: 7, UserID: newID[chat.UserID](), At: atMicro},
	} {
		isKind(t, what+" that is not there", f.d.SetFollow(f.ctx, said), fault.NotFound)
	}
	for _, root := range []chat.Seq{0, chat.MaxSeq + 1} {
		isKind(t, "a thread that cannot be", f.d.SetFollow(f.ctx, store.Follow{ChannelID: c.ID, Root: root, UserID: f.owner, At: atMicro}), fault.Invalid)
	}
	isKind(t, "at no time", f.d.SetFollow(f.ctx, store.Follow{ChannelID: c.ID, Root: 7, UserID: f.owner}), fault.Invalid)
}

func reachRefused(t *testing.T, f *fixture) {
	for _, limit := range []int{0, -1, store.MaxRecipients + 1} {
		_, _, err := f.d.MembersAt(f.ctx, store.MembersQuery{ChannelID: "c", Seq: 1, Limit: limit})
		isKind(t, fmt.Sprintf("limit %d", limit), err, fault.Invalid)
	}
	_, _, err := f.d.MembersAt(f.ctx, store.MembersQuery{ChannelID: "c", Seq: 1, Limit: 1, Among: make([]chat.UserID, chat.MaxPageSize+1)})
	isKind(t, "among too many", err, fault.Invalid)
	_, err = f.d.PreferencesOf(f.ctx, f.ws.ID, make([]chat.UserID, store.MaxRecipients+1))
	isKind(t, "preferences of too many", err, fault.Invalid)
	_, err = f.d.PreferencesOf(f.ctx, f.ws.ID, make([]chat.UserID, store.MaxRecipients))
	ok(t, err)
	_, err = f.d.UsersByLogin(f.ctx, f.ws.ID, make([]string, chat.MaxMentions+1))
	isKind(t, "too many logins", err, fault.Invalid)
	isKind(t, "preferences that are none", f.d.SetPreferences(f.ctx, f.ws.ID, f.owner, chat.Preferences{Keywords: []string{" "}}), fault.Invalid)
	isKind(t, "preferences of a stranger", f.d.SetPreferences(f.ctx, f.ws.ID, f.none, chat.Preferences{}), fault.NotFound)
}
