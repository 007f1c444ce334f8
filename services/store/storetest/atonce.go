package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// ofManyAtOnce are the rules over many rows, when the rows are changed by many at once.
var ofManyAtOnce = []aRule{
	{"SignInsStayBounded", raceToSignIn},
	{"AClosedAccountHasNoSignIn", raceToClose},
	{"ARevokedSignInStaysSo", raceToRevoke},
	{"OneRevocationEndsASignIn", raceOfRevocations},
	{"AnOwnerStaysWhoeverGoes", raceToGo},
	{"OpenInvitesStayBounded", raceToInvite},
	{"ARevokedInviteLetsNobodyIn", raceToRevokeInvite},
	{"NobodyWaitsInACircle", crossed},
	{"RecordersAndWhoGoesDoNotEither", crossedRecords},
	{"WhoComesAndWhoChangesAreBothTold", raceToTell},
}

func raceToSignIn(t *testing.T, f *fixture) {
	for range chat.MaxSignIns - 2 {
		f.signIn(f.owner, dawn)
	}
	errs := together(many, func(i int) error {
		at := dawn.Add(time.Duration(i+1) * time.Minute)
		s := store.SignIn{ID: newID[token.SignInID](), UserID: f.owner, CreatedAt: at, UsedAt: at, ExpiresAt: at.Add(life)}
		return f.d.AddSignIn(f.ctx, s, secret(string(s.ID)))
	})
	ok(t, errors.Join(errs...))
	all, err := f.d.SignInsOf(f.ctx, f.owner, dawn.Add(time.Hour))
	ok(t, err)
	same(t, "sign-ins that last", chat.MaxSignIns, len(all))
	ended, err := f.d.Unannounced(f.ctx, chat.MaxPageSize)
	ok(t, err)
	same(t, "sign-ins that made room", many-2, len(ended))
}

func raceToClose(t *testing.T, f *fixture) {
	for round := range 5 {
		user := newUser(newID[chat.UserID]())
		ok(t, f.d.CreateUsers(f.ctx, []store.NewUser{user}))
		errs := together(many, func(i int) error {
			if i == many/2 {
				_, err := f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: user.ID, By: f.owner, Deactivated: true, At: dawn})
				return err
			}
			s := store.SignIn{ID: newID[token.SignInID](), UserID: user.ID, CreatedAt: dawn, UsedAt: dawn, ExpiresAt: dawn.Add(life)}
			err := f.d.AddSignIn(f.ctx, s, secret(string(s.ID)))
			if fault.Is(err, fault.Unauthenticated) {
				return nil // closed already
			}
			return err
		})
		ok(t, errors.Join(errs...))
		f.last(fmt.Sprintf("round %d: of a closed account", round), user.ID, dawn)
	}
}

func raceToRevoke(t *testing.T, f *fixture) {
	for range 5 {
		s := f.signIn(f.owner, dawn)
		later := dawn.Add(time.Hour)
		errs := together(2, func(i int) error {
			if i == 0 {
				_, err := f.d.Revoke(f.ctx, store.Revocation{UserID: f.owner, Only: s.ID, At: later})
				return err
			}
			_, err := f.d.Refresh(f.ctx, f.refresh(s, 1, 2, later))
			if fault.Is(err, fault.Unauthenticated) {
				return nil // it was revoked already
			}
			return err
		})
		ok(t, errors.Join(errs...))
		got, err := f.d.SignIn(f.ctx, s.ID)
		ok(t, err)
		if got.RevokedAt.IsZero() {
			t.Errorf("a sign-in that was revoked counts again: %+v", got)
		}
	}
}

func raceOfRevocations(t *testing.T, f *fixture) {
	s := f.signIn(f.owner, dawn)
	ended := make([][]store.SignIn, many)
	errs := together(many, func(i int) (err error) {
		ended[i], err = f.d.Revoke(f.ctx, store.Revocation{UserID: f.owner, At: dawn.Add(time.Duration(i+1) * time.Minute)})
		return err
	})
	ok(t, errors.Join(errs...))
	n := 0
	for _, list := range ended {
		for _, got := range list {
			f.reads("as the one that ended it was told", got)
			same(t, "sign-in", s.ID, got.ID)
			n++
		}
	}
	same(t, "revocations that ended it", 1, n)
}

func raceToGo(t *testing.T, f *fixture) {
	for round := range 6 {
		w := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Race", Shard: 1, Epoch: 1, CreatedAt: atMicro}
		owners := make([]store.NewUser, 3)
		members := make([]chat.Member, 0, len(owners))
		for i := range owners {
			owners[i] = newUser(newID[chat.UserID]())
			members = append(members, chat.Member{WorkspaceID: w.ID, UserID: owners[i].ID, Role: chat.RoleOwner})
		}
		ok(t, f.d.CreateUsers(f.ctx, owners))
		ok(t, f.d.CreateWorkspace(f.ctx, w, owners[0].ID))
		ok(t, f.d.AddMembers(f.ctx, owners[0].ID, members))
		left := len(owners)
		for _, err := range together(len(owners), func(i int) (err error) {
			user := owners[i].ID
			switch (i + round) % 3 {
			case 0:
				_, err = f.d.SetRole(f.ctx, store.RoleChange{WorkspaceID: w.ID, UserID: user, By: user, Role: chat.RoleMember})
			case 1:
				_, err = f.d.RemoveMember(f.ctx, w.ID, user, user)
			default:
				_, err = f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: user, By: user, Deactivated: true, At: dawn})
			}
			return err
		}) {
			if err == nil {
				left--
			} else {
				isKind(t, "who would be the last to go", err, fault.Conflict)
			}
		}
		same(t, "owners that stayed", 1, left)
	}
}

func raceToInvite(t *testing.T, f *fixture) {
	for range chat.MaxInvites - 2 {
		f.invite(chat.RoleMember, 1)
	}
	made := 0
	for _, err := range together(many, func(int) error { return f.d.AddInvite(f.ctx, f.newInvite(chat.RoleMember, 1)) }) {
		if err == nil {
			made++
		} else {
			isKind(t, "one too many", err, fault.Forbidden)
		}
	}
	same(t, "invites that were made", 2, made)
}

func raceToRevokeInvite(t *testing.T, f *fixture) {
	for range 5 {
		i := f.invite(chat.RoleMember, 100)
		users := make([]store.NewUser, many)
		for n := range users {
			users[n] = newUser(newID[chat.UserID]())
		}
		came := 0
		for n, err := range together(many+1, func(n int) error {
			if n == many {
				return f.d.RevokeInvite(f.ctx, f.ws.ID, i.ID, atMicro)
			}
			_, err := f.d.AcceptInvite(f.ctx, store.Acceptance{Code: i.Code, At: atMicro, New: &users[n]})
			return err
		}) {
			switch {
			case n == many:
				ok(t, err)
			case err == nil:
				came++
			default:
				isKind(t, "who came after it was revoked", err, fault.NotFound)
			}
		}
		i.Uses, i.RevokedAt = came, atMicro
		f.inviteIs("revoked while people came", i)
	}
}

// crossed changes the same people and workspaces in opposite orders.
func crossed(t *testing.T, f *fixture) {
	people := make([]store.NewUser, 6)
	for i := range people {
		people[i] = newUser(newID[chat.UserID]())
	}
	ok(t, f.d.CreateUsers(f.ctx, people))
	places := make([]chat.WorkspaceID, 4)
	for i := range places {
		places[i] = newID[chat.WorkspaceID]()
		ok(t, f.d.CreateWorkspace(f.ctx, chat.Workspace{ID: places[i], Name: "W", Epoch: 1, CreatedAt: atMicro}, f.owner))
	}
	errs := together(many, func(n int) error {
		var members []chat.Member
		for i := range places {
			for j := range people {
				if n%2 == 1 {
					i, j = len(places)-1-i, len(people)-1-j
				}
				members = append(members, chat.Member{WorkspaceID: places[i], UserID: people[j].ID, Role: chat.RoleMember})
			}
		}
		if n%4 < 2 {
			return f.d.AddMembers(f.ctx, f.owner, members)
		}
		for i := range people {
			if n%2 == 1 {
				i = len(people) - 1 - i
			}
			_, err := f.d.UpdateUser(f.ctx, store.UserChange{UserID: people[i].ID, By: f.owner, DisplayName: fmt.Sprint("name ", n)})
			if err != nil {
				return err
			}
		}
		return nil
	})
	ok(t, errors.Join(errs...))
	for _, w := range places {
		list, err := f.d.Members(f.ctx, w, "", chat.MaxPageSize)
		ok(t, err)
		same(t, "members", 1+len(people), len(list))
	}
}

// crossedRecords has the seqs of somebody's memberships recorded, in both orders, while they go out of all of them.
func crossedRecords(t *testing.T, f *fixture) {
	const each = 12
	w := f.places(6)
	for range 4 {
		user := newID[chat.UserID]()
		ok(t, f.d.CreateUsers(f.ctx, []store.NewUser{newUser(user)}))
		ok(t, f.d.AddMembers(f.ctx, f.owner, []chat.Member{{WorkspaceID: f.ws.ID, UserID: user, Role: chat.RoleMember}}))
		channels := make([]chat.ChannelID, each)
		for i := range channels {
			channels[i] = f.channel(chat.ChannelPublic, string(newID[chat.ChannelID]())).ID
		}
		slices.Sort(channels)
		slices.Reverse(channels) // who goes leaves them the other way round
		for _, c := range channels {
			f.set(store.MemberChange{ChannelID: c, By: f.owner, UserIDs: []chat.UserID{f.member, user, f.guest}})
		}
		for i := range w {
			f.rename(w[i].ID, string(user))
		}
		var done []store.OutboxDone
		for i, r := range f.pending() {
			done = append(done, store.OutboxDone{ID: r.ID, Seq: chat.Seq(1000 + i)})
		}
		back := slices.Clone(done)
		slices.Reverse(back)
		errs := together(5, func(n int) (err error) {
			switch n {
			case 0:
				return f.d.Record(f.ctx, done)
			case 1:
				return f.d.Record(f.ctx, back)
			case 2:
				_, err = f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, user)
			case 3: // others go, in the order of neither
				for _, c := range channels {
					leave := store.MemberChange{ChannelID: c, By: f.owner, UserIDs: []chat.UserID{f.member, f.guest}, Leave: true}
					_, err = f.d.SetMembers(f.ctx, leave)
					if err != nil {
						return err
					}
				}
			default:
				return f.d.Record(f.ctx, append(slices.Clone(done[len(done)/2:]), done[:len(done)/2]...))
			}
			return err
		})
		ok(t, errors.Join(errs...))
		f.record()
		for _, of := range f.tenures(user, 0) {
			if of.JoinedSeq == 0 || of.LeftSeq == 0 {
				t.Errorf("who went is in a channel still, or the log does not know: %+v", of)
			}
		}
	}
}

// raceToTell changes somebody's name while they are made a member of places one by one: each place that they had come
// into before a change is told of it, so the last name that a place is told is not older than that of one it came into later.
func raceToTell(t *testing.T, f *fixture) {
	const places = 12
	user := newUser(newID[chat.UserID]())
	ok(t, f.d.CreateUsers(f.ctx, []store.NewUser{user}))
	ids := make([]chat.WorkspaceID, places)
	for i := range ids {
		ids[i] = newID[chat.WorkspaceID]()
		ok(t, f.d.CreateWorkspace(f.ctx, chat.Workspace{ID: ids[i], Name: "W", Epoch: 1, CreatedAt: atMicro}, f.owner))
	}
	f.record()
	errs := together(2, func(n int) error {
		for i, id := range ids {
			var err error
			if n == 0 {
				err = f.d.AddMembers(f.ctx, f.owner, []chat.Member{{WorkspaceID: id, UserID: user.ID, Role: chat.RoleMember}})
			} else {
				_, err = f.d.UpdateUser(f.ctx, store.UserChange{UserID: user.ID, By: user.ID, DisplayName: fmt.Sprintf("name %02d", i)})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	ok(t, errors.Join(errs...))
	names := map[chat.WorkspaceID][]string{}
	for _, r := range f.pending() {
		if r.Event.User != nil {
			names[r.WorkspaceID] = append(names[r.WorkspaceID], r.Event.User.DisplayName)
		}
	}
	for i := 1; i < places; i++ {
		earlier, later := names[ids[i-1]], names[ids[i]]
		if len(later) > len(earlier) {
			t.Errorf("the place %d was told %d names, and %d, where they came later, %d", i-1, len(earlier), i, len(later))
			continue
		}
		same(t, "what both were told", earlier[len(earlier)-len(later):], append([]string{}, later...))
	}
}
