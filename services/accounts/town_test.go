package accounts_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/accounts"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
)

// The people of the tests.
const (
	alice = chat.UserID("a11ce") // owns the workspace
	admin = chat.UserID("ad317") // an administrator of it
	bob   = chat.UserID("b0b")   // a member of it, and of eve's
	guest = chat.UserID("9ue57")
	eve   = chat.UserID("e7e") // owns a workspace of her own
)

// memory is a log that keeps what is published.
type memory struct {
	mu      sync.Mutex
	entries []event.Event
	known   map[string]chat.Seq
}

func (l *memory) Publish(_ context.Context, _ streams.Place, msgID string, payload []byte) (chat.Seq, error) {
	e, err := event.Parse(payload)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[msgID] == 0 {
		l.entries = append(l.entries, e)
		l.known[msgID] = chat.Seq(len(l.entries))
	}
	return l.known[msgID], nil
}

func (l *memory) FindMsgID(_ context.Context, _ streams.Place, msgID string, _ time.Time) (chat.Seq, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[msgID], nil
}

// since is what was published after the first n events, and how many there are now.
func (l *memory) since(n int) ([]event.Event, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries[n:]), len(l.entries)
}

// hasher is quick and says what it hashed.
type hasher struct{ hashed *atomic.Int32 }

func (h hasher) Hash(_ context.Context, password string) (string, error) {
	h.hashed.Add(1)
	return "hash of " + password, nil
}

// mailer keeps what it is to send.
type mailer struct {
	sent []store.InviteMail
	err  error
}

func (m *mailer) SendInvite(_ context.Context, mail store.InviteMail) error {
	m.sent = append(m.sent, mail)
	return m.err
}

// bell counts how often it rings.
type bell struct{ rung int }

func (b *bell) Wake() { b.rung++ }

// keyring makes tokens that say whose they are.
type keyring struct{ rotated int }

func (*keyring) Issue(_ context.Context, user chat.UserID) (token.Issued, error) {
	return token.Issued{Token: "token of " + string(user)}, nil
}

func (k *keyring) Rotate(context.Context) (string, error) { k.rotated++; return "2", nil }

// town is a deployment with people in it.
type town struct {
	t      *testing.T
	db     *sqlite.Directory
	log    *memory
	dir    *directory.Service
	acc    *accounts.Service
	admin  *accounts.Admin
	mail   *mailer
	bell   *bell
	keys   *keyring
	hashed atomic.Int32
	now    time.Time
	ws     chat.Workspace
	eves   chat.Workspace
}

// newEmpty is a deployment where nobody has been yet.
func newEmpty(t *testing.T, change func(*accounts.Config)) *town {
	t.Helper()
	db, err := sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, db: db, log: &memory{known: map[string]chat.Seq{}}, mail: &mailer{}, bell: &bell{}, keys: &keyring{}, now: time.Now().UTC()}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	relay := directory.NewRelay(directory.RelayConfig{Outbox: db, Log: w.log, Poll: 5 * time.Millisecond, Logger: quiet})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.dir, err = directory.New(directory.Config{Store: db, Shards: streams.Shards, Relay: relay, Settle: time.Minute}) // the machine may be busy
	w.must(err)
	cfg := accounts.Config{
		Store: db, Directory: w.dir, Hasher: hasher{&w.hashed}, Mailer: w.mail, SignOuts: w.bell, PublicURL: "https://chat.example",
		Now: func() time.Time { return w.now }, Logger: quiet,
	}
	if change != nil {
		change(&cfg)
	}
	w.acc, err = accounts.New(cfg)
	w.must(err)
	w.admin = accounts.NewAdmin(w.acc, w.keys, w.keys)
	return w
}

func newTown(t *testing.T, change func(*accounts.Config)) *town {
	t.Helper()
	w := newEmpty(t, change)
	var users []store.NewUser
	for _, u := range []chat.UserID{alice, admin, bob, guest, eve} {
		users = append(users, store.NewUser{User: chat.User{ID: u, Login: string(u), DisplayName: "The " + string(u), CreatedAt: w.now}})
	}
	w.must(w.db.CreateUsers(t.Context(), users))
	w.ws, w.eves = w.workspace(alice, "Canopy"), w.workspace(eve, "Eve's")
	w.must(w.db.AddMembers(t.Context(), alice, []chat.Member{
		{WorkspaceID: w.ws.ID, UserID: admin, Role: chat.RoleAdmin},
		{WorkspaceID: w.ws.ID, UserID: bob, Role: chat.RoleMember},
		{WorkspaceID: w.ws.ID, UserID: guest, Role: chat.RoleGuest},
		{WorkspaceID: w.eves.ID, UserID: bob, Role: chat.RoleMember},
	}))
	w.must(w.dir.Settle(t.Context(), w.ws.ID))
	w.must(w.dir.Settle(t.Context(), w.eves.ID))
	return w
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) workspace(by chat.UserID, name string) chat.Workspace {
	w.t.Helper()
	m, err := w.dir.CreateWorkspace(w.t.Context(), by, name)
	w.must(err)
	return m.Workspace
}

func (w *town) channel(by chat.UserID, name string, kind chat.ChannelType) chat.Channel {
	w.t.Helper()
	c, err := w.dir.CreateChannel(w.t.Context(), by, chat.Channel{WorkspaceID: w.ws.ID, Name: name, Type: kind})
	w.must(err)
	return c
}

// joined is the names of the channels that a user is in.
func (w *town) joined(user chat.UserID, ws chat.WorkspaceID) []string {
	w.t.Helper()
	all, err := w.dir.ListChannels(w.t.Context(), store.ChannelQuery{WorkspaceID: ws, UserID: user, Limit: chat.MaxPageSize})
	w.must(err)
	var names []string
	for _, c := range all {
		if c.Joined {
			names = append(names, c.Name)
		}
	}
	return names
}

// invite makes an invite by alice.
func (w *town) invite(n store.NewInvite) store.Invited {
	w.t.Helper()
	n.WorkspaceID, n.By = w.ws.ID, alice
	made, err := w.acc.CreateInvite(w.t.Context(), n)
	w.must(err)
	return made
}

// newcomer is somebody who wants an account.
func newcomer(login string) store.Newcomer {
	return store.Newcomer{Login: login, DisplayName: "New " + login, Password: "correct horse"}
}

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("%s: %v, want %q", what, err, kind)
	}
}
