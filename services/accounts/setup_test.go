package accounts_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func TestTheFirstVisitorOwnsAWorkspace(t *testing.T) {
	w := newEmpty(t, nil)
	ctx := t.Context()
	if needed, err := w.acc.NeedsSetup(ctx); err != nil || !needed {
		t.Fatal(needed, err)
	}
	for what, who := range map[string]store.Newcomer{
		"a bad login":    {Login: "A B", Password: "correct horse"},
		"a bad name":     {Login: "ada", DisplayName: "a\x00", Password: "correct horse"},
		"a short word":   {Login: "ada", Password: "1234567"},
		"no login":       {Password: "correct horse"},
		"a long one":     {Login: "ada", Password: string(make([]byte, chat.MaxPassword+1))},
		"not UTF-8 text": {Login: "ada", Password: "\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		_, err := w.acc.Setup(ctx, "Acme", who)
		wantKind(t, what, err, fault.Invalid)
	}
	_, err := w.acc.Setup(ctx, " ", newcomer("ada"))
	wantKind(t, "a bad name of a workspace", err, fault.Invalid)
	owner, err := w.acc.Setup(ctx, "Acme", store.Newcomer{Login: "ada", Password: "correct horse"})
	if err != nil || owner.Login != "ada" || owner.DisplayName != "ada" {
		t.Fatal(owner, err)
	}
	all, err := w.dir.WorkspacesOf(ctx, owner.ID)
	if err != nil || len(all) != 1 || all[0].Role != chat.RoleOwner || all[0].Workspace.Name != "Acme" {
		t.Fatalf("she has %+v, %v", all, err)
	}
	if got := w.joined(owner.ID, all[0].Workspace.ID); !slices.Equal(got, []string{"general"}) {
		t.Errorf("she is in %v", got)
	}
	entries, _ := w.log.since(0)
	var kinds []event.Kind
	for _, e := range entries {
		kinds = append(kinds, e.Kind)
	}
	if want := []event.Kind{event.MemberJoined, event.ChannelCreated, event.MemberJoined}; !slices.Equal(kinds, want) {
		t.Errorf("when it is answered, the log has %v", kinds)
	}
	if _, hash, err := w.db.Credentials(ctx, "ada"); err != nil || hash != "hash of correct horse" {
		t.Errorf("the hash is %q, %v", hash, err)
	}
	hashed := w.hashed.Load()
	_, err = w.acc.Setup(ctx, "Mine", newcomer("mallory"))
	wantKind(t, "the second visitor", err, fault.Conflict)
	if w.hashed.Load() != hashed {
		t.Error("a password was hashed for a refusal")
	}
	if needed, err := w.acc.NeedsSetup(ctx); err != nil || needed {
		t.Error(needed, err)
	}
}

func TestOfManyFirstVisitorsOneWins(t *testing.T) {
	w := newEmpty(t, nil)
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		all.Go(func() { _, errs[i] = w.acc.Setup(t.Context(), "Acme", newcomer("ada"+string(rune('a'+i)))) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantKind(t, "a slower one", err, fault.Conflict)
		}
	}
	users, err := w.db.ListUsers(t.Context(), "", 10)
	if err != nil || won != 1 || len(users) != 1 {
		t.Errorf("%d won, there are %d accounts, %v", won, len(users), err)
	}
}
