package reach_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/reach"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
)

// The people of the tests.
const (
	alice = chat.UserID("a11ce") // owns the workspace
	adam  = chat.UserID("ada4")  // administers it
	bob   = chat.UserID("b0b")   // a member
	guest = chat.UserID("9ue57")
	eve   = chat.UserID("e7e") // belongs to none
)

const (
	ws      = chat.WorkspaceID("ws")
	general = chat.ChannelID("9enera1") // public
	plans   = chat.ChannelID("p1ans")   // private, of alice
)

// noon is when the tests are. It has nanoseconds, which a Directory does not keep.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 123456789, time.FixedZone("", 7200))

// town is a service with people.
type town struct {
	*reach.Service
	t  *testing.T
	db *sqlite.Directory
}

func newTown(t *testing.T, change func(*reach.Config)) town {
	t.Helper()
	db, err := sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := reach.Config{Store: db, Members: db, Channels: channels{db}, Now: func() time.Time { return noon }}
	if change != nil {
		change(&cfg)
	}
	s, err := reach.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := town{Service: s, t: t, db: db}
	var users []store.NewUser
	for _, u := range []chat.UserID{alice, adam, bob, guest, eve} {
		users = append(users, store.NewUser{User: chat.User{ID: u, Login: string(u), DisplayName: string(u), CreatedAt: noon}})
	}
	w.must(db.CreateUsers(t.Context(), users))
	w.must(db.CreateWorkspace(t.Context(), chat.Workspace{ID: ws, Name: "Canopy", Epoch: 1, CreatedAt: noon}, alice))
	w.must(db.AddMembers(t.Context(), alice, []chat.Member{{WorkspaceID: ws, UserID: adam, Role: chat.RoleAdmin},
		{WorkspaceID: ws, UserID: bob, Role: chat.RoleMember}, {WorkspaceID: ws, UserID: guest, Role: chat.RoleGuest}}))
	for id, kind := range map[chat.ChannelID]chat.ChannelType{general: chat.ChannelPublic, plans: chat.ChannelPrivate} {
		w.must(db.CreateChannel(t.Context(), chat.Channel{ID: id, WorkspaceID: ws, Name: string(id), Type: kind, CreatorID: alice, CreatedAt: noon}, []chat.UserID{alice}))
	}
	return w
}

func (w town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// refused expects an error of a kind that says something to people.
func (w town) refused(what string, err error, kind fault.Kind) {
	w.t.Helper()
	if said := fault.Public(err); !fault.Is(err, kind) || said.Message == "" {
		w.t.Errorf("%s: %v; want %s", what, err, kind)
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// channels is what services/directory says about them.
type channels struct{ db store.Directory }

func (c channels) Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error) {
	standing, channel, err := c.db.Standing(ctx, id, by)
	if err == nil && !standing.MaySee() {
		err = fault.New(fault.NotFound, "there is no such channel among yours")
	}
	return channel, standing, err
}

// messages are the ones of a channel, with the thread that they are in.
type messages map[chat.Seq]chat.Seq

func (m messages) Message(_ context.Context, ch chat.ChannelID, seq chat.Seq) (chat.Message, error) {
	if seq == 66 {
		return chat.Message{}, fault.New(fault.Unavailable, "the database does not answer")
	}
	thread, is := m[seq]
	if !is {
		return chat.Message{}, fault.New(fault.NotFound, "there is no such message")
	}
	return chat.Message{ChannelID: ch, Seq: seq, Thread: thread}, nil
}

func TestAServiceNeedsItsParts(t *testing.T) {
	if _, err := reach.New(reach.Config{}); err == nil {
		t.Error("a service without anything was made")
	}
}

func TestPreferencesAreTheMembersOwn(t *testing.T) {
	w, ctx := newTown(t, nil), t.Context()
	p, err := w.Preferences(ctx, bob, ws)
	w.must(err)
	same(t, "at first", chat.Preferences{}, p)
	want := chat.Preferences{Muted: []chat.ChannelID{general, "n0where"}, Keywords: []string{"release"}, Quiet: &chat.Quiet{From: "22:00", To: "07:00", Zone: "Asia/Tokyo"}}
	w.must(w.SetPreferences(ctx, bob, ws, want))
	w.must(w.SetPreferences(ctx, guest, ws, chat.Preferences{Keywords: []string{"lunch"}}))
	p, err = w.Preferences(ctx, bob, ws)
	w.must(err)
	same(t, "set", want, p)

	w.refused("what Check refuses", w.SetPreferences(ctx, bob, ws, chat.Preferences{Keywords: []string{"x"}}), fault.Invalid)
	w.refused("a stranger's", w.SetPreferences(ctx, eve, ws, want), fault.NotFound)
	w.refused("of no workspace", w.SetPreferences(ctx, bob, "other", want), fault.NotFound)
	_, err = w.Preferences(ctx, eve, ws)
	w.refused("a stranger's", err, fault.NotFound)
	_, err = w.Preferences(ctx, bob, "other")
	w.refused("of no workspace", err, fault.NotFound)
}

func TestFollowsAreOfChannelsThatOneMaySee(t *testing.T) {
	w, ctx := newTown(t, nil), t.Context()
	w.must(w.Follow(ctx, bob, general, 7, true))
	w.must(w.Follow(ctx, alice, plans, 7, true))
	w.must(w.Follow(ctx, alice, plans, 7, false))
	for ch, want := range map[chat.ChannelID]store.Follow{
		general: {ChannelID: general, Root: 7, UserID: bob, Follows: true, At: noon.UTC().Truncate(time.Microsecond)},
		plans:   {ChannelID: plans, Root: 7, UserID: alice, At: noon.UTC().Truncate(time.Microsecond)},
	} {
		got, err := w.db.FollowsOf(ctx, ch, 7)
		w.must(err)
		same(t, "follows", []store.Follow{want}, got)
	}
	w.refused("a private channel", w.Follow(ctx, bob, plans, 7, true), fault.NotFound)
	w.refused("a guest, who is not in it", w.Follow(ctx, guest, general, 7, true), fault.NotFound)
	w.refused("no channel", w.Follow(ctx, bob, "n0where", 7, true), fault.NotFound)
	for _, root := range []chat.Seq{0, chat.MaxSeq + 1} {
		w.refused("no message", w.Follow(ctx, bob, general, root, true), fault.Invalid)
	}
}

func TestAThreadIsAboutAMessage(t *testing.T) {
	w, ctx := newTown(t, func(c *reach.Config) { c.Messages = messages{7: 0, 8: 7} }), t.Context()
	w.must(w.Follow(ctx, bob, general, 7, true))
	w.refused("a reply", w.Follow(ctx, bob, general, 8, true), fault.Invalid)
	w.refused("what nobody said", w.Follow(ctx, bob, general, 9, true), fault.NotFound)
	w.refused("while nobody can say", w.Follow(ctx, bob, general, 66, true), fault.Unavailable)
	w.refused("of a channel that one may not see, before anything", w.Follow(ctx, bob, plans, 66, true), fault.NotFound)
}

// browser is a subscription as a browser gives it.
func browser(t *testing.T, user chat.UserID, endpoint string) store.Subscription {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return store.Subscription{UserID: user, Endpoint: endpoint, P256dh: key.PublicKey().Bytes(), Auth: make([]byte, 16)}
}

func TestSubscriptions(t *testing.T) {
	w, ctx := newTown(t, nil), t.Context()
	mine := browser(t, bob, "https://push.example/b?x=1")
	got, err := w.Subscribe(ctx, mine)
	w.must(err)
	if !chat.IsID(got.ID) {
		t.Errorf("its id is %q", got.ID)
	}
	mine.ID, mine.CreatedAt = got.ID, noon.UTC().Truncate(time.Microsecond)
	same(t, "subscription", mine, got)
	list, err := w.Subscriptions(ctx, bob)
	w.must(err)
	same(t, "subscriptions", []store.Subscription{mine}, list)

	w.refused("another one's", w.Unsubscribe(ctx, alice, mine.ID), fault.NotFound)
	w.must(w.Unsubscribe(ctx, bob, mine.ID))
	w.refused("once more", w.Unsubscribe(ctx, bob, mine.ID), fault.NotFound)
	list, err = w.Subscriptions(ctx, bob)
	w.must(err)
	same(t, "subscriptions", []store.Subscription{}, list)
	_, err = w.Subscribe(ctx, browser(t, "n0b0dy", "https://push.example/n"))
	w.refused("of nobody", err, fault.NotFound)
}

func TestKeysOfABrowserAreKeys(t *testing.T) {
	w, ctx := newTown(t, nil), t.Context()
	for what, change := range map[string]func(*store.Subscription){
		"no key":                func(s *store.Subscription) { s.P256dh = nil },
		"a compressed key":      func(s *store.Subscription) { s.P256dh = append([]byte{2}, s.P256dh[1:33]...) },
		"one that is cut":       func(s *store.Subscription) { s.P256dh = s.P256dh[:64] },
		"one that is too long":  func(s *store.Subscription) { s.P256dh = append(s.P256dh, 0) },
		"no point of the curve": func(s *store.Subscription) { s.P256dh[64] ^= 1 },
		"infinity":              func(s *store.Subscription) { s.P256dh = []byte{0} },
		"no secret":             func(s *store.Subscription) { s.Auth = nil },
		"a short secret":        func(s *store.Subscription) { s.Auth = s.Auth[:15] },
		"a long secret":         func(s *store.Subscription) { s.Auth = append(s.Auth, 0) },
	} {
		s := browser(t, bob, "https://push.example/b")
		change(&s)
		_, err := w.Subscribe(ctx, s)
		w.refused(what, err, fault.Invalid)
	}
	list, err := w.Subscriptions(ctx, bob)
	w.must(err)
	same(t, "subscriptions", []store.Subscription{}, list)
}

func TestWebhooksAreForAdministrators(t *testing.T) {
	w, ctx := newTown(t, nil), t.Context()
	a, err := w.AddWebhook(ctx, alice, ws, "https://hooks.example/a")
	w.must(err)
	b, err := w.AddWebhook(ctx, adam, ws, "https://hooks.example/b")
	w.must(err)
	if string(a.Secret) == string(b.Secret) || len(a.Secret) != 32 {
		t.Errorf("the secrets are %x and %x", a.Secret, b.Secret)
	}
	text, prefixed := strings.CutPrefix(a.SecretText(), "whsec_")
	secret, err := base64.StdEncoding.DecodeString(text)
	w.must(err)
	same(t, "the secret that is told", a.Secret, secret)
	same(t, "its form", true, prefixed)

	kept, err := w.db.WebhooksOf(ctx, ws)
	w.must(err)
	same(t, "kept", []store.Webhook{a, b}, kept)
	list, err := w.Webhooks(ctx, adam, ws)
	w.must(err)
	a.Secret, b.Secret = nil, nil
	same(t, "told once only", []store.Webhook{a, b}, list)

	for user, kind := range map[chat.UserID]fault.Kind{bob: fault.Forbidden, guest: fault.Forbidden, eve: fault.NotFound} {
		_, err := w.AddWebhook(ctx, user, ws, "https://hooks.example/c")
		w.refused("adding by "+string(user), err, kind)
		_, err = w.Webhooks(ctx, user, ws)
		w.refused("listing by "+string(user), err, kind)
		w.refused("removing by "+string(user), w.RemoveWebhook(ctx, user, ws, a.ID), kind)
	}
	_, err = w.AddWebhook(ctx, alice, "other", "https://hooks.example/c")
	w.refused("of no workspace", err, fault.NotFound)
	w.must(w.RemoveWebhook(ctx, adam, ws, a.ID))
	w.refused("once more", w.RemoveWebhook(ctx, adam, ws, a.ID), fault.NotFound)
	for range chat.MaxWebhooks - 1 {
		_, err := w.AddWebhook(ctx, alice, ws, "https://hooks.example/same")
		w.must(err)
	}
	_, err = w.AddWebhook(ctx, alice, ws, "https://hooks.example/more")
	w.refused("one too many", err, fault.Forbidden)
	var said *fault.Error
	if !errors.As(err, &said) || !strings.Contains(said.Message, "10 webhooks") {
		t.Errorf("it says %v", err)
	}
}
