package accounts_test

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
)

func TestImportMakesWhatIsMissing(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	req := rpc.ImportRequest{WorkspaceID: w.ws.ID,
		Channels: []rpc.ImportChannel{{Name: "general"}, {Name: "random", Topic: "anything"}},
		Users: []rpc.ImportUser{
			{Login: "u1", DisplayName: "One", Join: []string{"general", "random"}},
			{Login: "u2", DisplayName: "Two", Join: []string{"general"}},
			{Login: string(bob), DisplayName: "Bob", Join: []string{"general"}},
		},
	}
	first, err := w.admin.Import(ctx, req)
	w.must(err)
	second, err := w.admin.Import(ctx, req) // as after a crash, or a lost answer
	w.must(err)
	if !slices.Equal(first.Channels, second.Channels) || len(first.Channels) != 2 {
		t.Errorf("the channels are %v, then %v", first.Channels, second.Channels)
	}
	for i, u := range first.Users {
		if second.Users[i].UserID != u.UserID || u.Login != req.Users[i].Login {
			t.Errorf("user %d is %+v, then %+v", i, u, second.Users[i])
		}
		if u.Token != "token of "+string(u.UserID) {
			t.Errorf("%s got the %s", u.Login, u.Token)
		}
		reply, err := w.dir.Session(ctx, rpc.SessionRequest{UserID: u.UserID, WorkspaceID: w.ws.ID})
		if err != nil || len(reply.Tenures) != len(req.Users[i].Join) {
			t.Errorf("%s starts from %+v, %v", u.Login, reply, err)
		}
	}
	if first.Users[2].UserID != bob {
		t.Error("an account that existed was not kept")
	}
	if _, hash, err := w.db.Credentials(ctx, "u1"); err != nil || hash != "" {
		t.Errorf("the hash is %q, %v", hash, err)
	}
	entries, _ := w.log.since(0)
	told := 0
	for _, e := range entries {
		if e.ChannelID == first.Channels[0].ChannelID {
			told++
		}
	}
	if told != 5 { // created, and joined by the owner and three people
		t.Errorf("the log has %d events of general", told)
	}
}

func TestImportRefusesWhatCannotBe(t *testing.T) {
	w := newTown(t, nil)
	for what, c := range map[string]struct {
		req  rpc.ImportRequest
		want fault.Kind
	}{
		"too many users":     {rpc.ImportRequest{WorkspaceID: w.ws.ID, Users: make([]rpc.ImportUser, rpc.MaxImport+1)}, fault.Invalid},
		"a bad login":        {rpc.ImportRequest{WorkspaceID: w.ws.ID, Users: []rpc.ImportUser{{Login: "A B", DisplayName: "x"}}}, fault.Invalid},
		"a bad channel":      {rpc.ImportRequest{WorkspaceID: w.ws.ID, Channels: []rpc.ImportChannel{{Name: "A B"}}}, fault.Invalid},
		"an unknown channel": {rpc.ImportRequest{WorkspaceID: w.ws.ID, Users: []rpc.ImportUser{{Login: "x", DisplayName: "x", Join: []string{"nope"}}}}, fault.NotFound},
		"no workspace":       {rpc.ImportRequest{WorkspaceID: "n0where"}, fault.NotFound},
	} {
		_, err := w.admin.Import(t.Context(), c.req)
		wantKind(t, what, err, c.want)
	}
}
