package directory_test

import (
	"context"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
)

func TestASessionStartsFromWhatTheLogHas(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	c := w.channel(alice, "plans", chat.ChannelPublic)
	left := w.channel(bob, "left", chat.ChannelPublic)
	w.must(w.dir.Leave(ctx, bob, left.ID))
	_, err := w.db.SetMembers(ctx, store.MemberChange{ChannelID: c.ID, By: bob, UserIDs: []chat.UserID{bob}})
	w.must(err) // nobody waits for it: it may still be owed when bob's socket opens
	reply, err := w.dir.Session(ctx, rpc.SessionRequest{UserID: bob})
	w.must(err)
	if reply.WorkspaceID != w.ws.ID || reply.Shard != w.ws.Shard || reply.Epoch != 1 || reply.Role != chat.RoleMember {
		t.Errorf("the session starts from %+v", reply)
	}
	if len(reply.Tenures) != 1 || reply.Tenures[0].ChannelID != c.ID || reply.Tenures[0].JoinedSeq == 0 || reply.Tenures[0].Type != chat.ChannelPublic {
		t.Errorf("bob's tenures are %+v", reply.Tenures)
	}
	reply, err = w.dir.Session(ctx, rpc.SessionRequest{UserID: bob, WorkspaceID: w.ws.ID, Since: 1})
	w.must(err)
	if len(reply.Tenures) != 2 {
		t.Errorf("since the beginning, bob's tenures are %+v", reply.Tenures)
	}
}

func TestASessionWaitsForChangesThatWereMadeBeforeIt(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	c := w.channel(alice, "plans", chat.ChannelPublic)
	if _, err := w.dir.Workspace(ctx, bob, w.ws.ID); err != nil { // waits until nothing is owed
		t.Fatal(err)
	}
	var reply rpc.SessionReply
	late := &slowOutbox{Directory: w.db, hold: make(chan struct{}), asked: make(chan struct{}, 1)}
	dir, err := directory.New(directory.Config{Store: late, Shards: 4})
	w.must(err)
	_, err = w.db.SetMembers(ctx, store.MemberChange{ChannelID: c.ID, By: bob, UserIDs: []chat.UserID{bob}})
	w.must(err)
	done := make(chan error, 1)
	go func() {
		var err error
		reply, err = dir.Session(ctx, rpc.SessionRequest{UserID: bob, WorkspaceID: w.ws.ID})
		done <- err
	}()
	<-late.asked
	select {
	case err := <-done:
		t.Fatalf("the session started from %+v, %v while a change was owed", reply, err)
	default:
	}
	close(late.hold)
	w.must(<-done)
	if len(reply.Tenures) != 1 || reply.Tenures[0].JoinedSeq == 0 {
		t.Errorf("the session starts from %+v", reply)
	}
}

// slowOutbox says that something is owed until hold is closed.
type slowOutbox struct {
	*sqlite.Directory
	hold, asked chan struct{}
}

func (s *slowOutbox) Owed(ctx context.Context, ws chat.WorkspaceID) (store.OutboxID, error) {
	if _, err := s.Directory.Owed(ctx, ws); err != nil {
		return 0, err
	}
	return 1 << 40, nil // more than there is: all that is owed
}

func (s *slowOutbox) OwedUpTo(ctx context.Context, ws chat.WorkspaceID, upTo store.OutboxID) (bool, error) {
	select {
	case <-s.hold:
		return s.Directory.OwedUpTo(ctx, ws, upTo)
	default:
	}
	select {
	case s.asked <- struct{}{}:
	default:
	}
	return true, nil
}

func TestASessionIsForMembers(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	w.must(w.db.CreateUsers(ctx, []store.NewUser{
		{User: chat.User{ID: "a1one", Login: "alone", DisplayName: "Alone"}},
		{User: chat.User{ID: "90ne", Login: "gone", DisplayName: "Gone", Deactivated: true}},
	}))
	w.must(w.db.AddMembers(ctx, alice, []chat.Member{{WorkspaceID: w.ws.ID, UserID: "90ne", Role: chat.RoleMember}}))
	w.workspace(alice, "Second")
	for what, c := range map[string]struct {
		req  rpc.SessionRequest
		want fault.Kind
	}{
		"of several, none named": {rpc.SessionRequest{UserID: alice}, fault.Invalid},
		"of several, one named":  {rpc.SessionRequest{UserID: alice, WorkspaceID: w.ws.ID}, ""},
		"another's workspace":    {rpc.SessionRequest{UserID: alice, WorkspaceID: w.eves.ID}, fault.NotFound},
		"no such workspace":      {rpc.SessionRequest{UserID: alice, WorkspaceID: "n0where"}, fault.NotFound},
		"of none":                {rpc.SessionRequest{UserID: "a1one"}, fault.NotFound},
		"a wildcard":             {rpc.SessionRequest{UserID: alice, WorkspaceID: ">"}, fault.NotFound},
		"no user":                {rpc.SessionRequest{}, fault.NotFound},
		"a deactivated user":     {rpc.SessionRequest{UserID: "90ne", WorkspaceID: w.ws.ID}, fault.Unauthenticated},
		"an unknown user":        {rpc.SessionRequest{UserID: "zzz", WorkspaceID: w.ws.ID}, fault.Unauthenticated},
	} {
		_, err := w.dir.Session(ctx, c.req)
		wantKind(t, what, err, c.want)
	}
}
