package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/deliver"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

const ws = chat.WorkspaceID("w1")

// town is a deployment without its edge: a hub, its databases, and people in workspace w1. Ann is its owner.
type town struct {
	*testing.T
	cluster   *streamstest.Cluster
	conn      *bus.Conn
	publisher *publish.Publisher
	directory *sqlite.Directory
	messages  store.Messages
	jobs      *later.Store
	phones    *phones
	clock     *clock
	posts     int
}

// clock is the worker's. It is hours behind that of the hub, so that what waits by it is due at once.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// phones are the targets of everybody: push:<user>. Who has none is reached by nothing.
type phones struct {
	mu   sync.Mutex
	of   map[chat.UserID]func(notice.Notice) error // what they answer
	took map[chat.UserID][]notice.Notice           // nil error
	sent int
}

type phone struct {
	all  *phones
	user chat.UserID
}

func (p *phones) TargetsOf(_ context.Context, _ chat.WorkspaceID, user chat.UserID) ([]notice.Target, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[user] == nil {
		return nil, nil
	}
	return []notice.Target{phone{p, user}}, nil
}

func (p phone) ID() string { return "push:" + string(p.user) }

func (p phone) Send(_ context.Context, n notice.Notice) error {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.sent++
	err := p.all.of[p.user](n)
	if err == nil {
		p.all.took[p.user] = append(p.all.took[p.user], n)
	}
	return err
}

// answers says what somebody's phone does from now on.
func (p *phones) answers(user chat.UserID, f func(notice.Notice) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[user] = f
}

func (p *phones) tookBy(user chat.UserID) []notice.Notice {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.took[user]
}

func takes(notice.Notice) error { return nil }

// newTown starts it with people in it. Such a test mostly waits for its own servers, so that others may run beside it.
func newTown(t *testing.T, people ...chat.UserID) *town {
	t.Helper()
	t.Parallel()
	messages, err := sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := messages.Close(); err != nil {
			t.Error(err)
		}
	})
	return newTownOn(t, messages, people...)
}

// newTownOn starts one whose messages lie there.
func newTownOn(t *testing.T, messages store.Messages, people ...chat.UserID) *town {
	t.Helper()
	w := &town{
		T: t, messages: messages, cluster: streamstest.Start(t), clock: &clock{now: time.Now().UTC().Add(-72 * time.Hour)},
		phones: &phones{of: map[chat.UserID]func(notice.Notice) error{}, took: map[chat.UserID][]notice.Notice{}},
	}
	w.conn = w.dial()
	w.jobs = later.New(w.conn)
	w.publisher = publish.New(w.conn, publish.Config{})
	w.start(w.publisher.Run)
	var err error
	if w.directory, err = sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db")); err != nil {
		t.Fatal(err)
	}
	w.closes(w.directory.Close)
	w.arrive(people...)
	return w
}

func (w *town) closes(c func() error) {
	w.Cleanup(func() {
		if err := c(); err != nil {
			w.Error(err)
		}
	})
}

func (w *town) dial() *bus.Conn {
	w.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: w.cluster.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(conn.Close)
	return conn
}

// start runs something until stop, or the end of the test.
func (w *town) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("Run: %v", err)
		}
	})
	w.Cleanup(stop)
	return stop
}

func (w *town) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// arrive makes accounts, all members of the workspace. Ann is the first.
func (w *town) arrive(people ...chat.UserID) {
	w.Helper()
	ctx, at := w.Context(), time.Now()
	users := []store.NewUser{{User: chat.User{ID: "ann", Login: "ann", DisplayName: "Ann", CreatedAt: at}}}
	var members []chat.Member
	for _, u := range people {
		users = append(users, store.NewUser{User: chat.User{ID: u, Login: string(u), CreatedAt: at}})
		members = append(members, chat.Member{WorkspaceID: ws, UserID: u, Role: chat.RoleMember})
	}
	w.must(w.directory.CreateUsers(ctx, users))
	w.must(w.directory.CreateWorkspace(ctx, chat.Workspace{ID: ws, Name: "Town", Epoch: 1, CreatedAt: at}, "ann"))
	w.must(w.directory.AddMembers(ctx, "ann", members))
	w.relay(1)
}

// relay gives what the directory owes to the log one seq, as if it had been published there.
func (w *town) relay(seq chat.Seq) {
	w.Helper()
	for {
		rows, err := w.directory.Unpublished(w.Context(), 5000)
		w.must(err)
		if len(rows) == 0 {
			return
		}
		done := make([]store.OutboxDone, len(rows))
		for i, row := range rows {
			done[i] = store.OutboxDone{ID: row.ID, Seq: seq}
		}
		w.must(w.directory.Record(w.Context(), done))
	}
}

// channel makes one with ann and others in it.
func (w *town) channel(id chat.ChannelID, kind chat.ChannelType, members ...chat.UserID) {
	w.Helper()
	c := chat.Channel{ID: id, WorkspaceID: ws, Type: kind, CreatorID: "ann", CreatedAt: time.Now()}
	if kind.Named() {
		c.Name = string(id)
	}
	w.must(w.directory.CreateChannel(w.Context(), c, append([]chat.UserID{"ann"}, members...)))
	w.relay(1)
}

// publish stores an event of ann's in the log, and in the store as services/persist would.
func (w *town) publish(e event.Event) chat.Seq {
	w.Helper()
	w.posts++
	e.Epoch = 1
	if e.SenderID == "" {
		e.SenderID = "ann"
	}
	payload, err := event.Encode(e)
	w.must(err)
	ack, err := w.publisher.PublishSync(w.cluster.Context(), bus.Message{
		Place: streams.Place{WorkspaceID: ws, ChannelID: e.ChannelID}, MsgID: fmt.Sprintf("ann.%d", w.posts), Payload: payload,
	})
	w.must(err)
	entry, err := bus.NewLog(w.conn).Get(w.cluster.Context(), 0, ack.Seq)
	w.must(err)
	e.V = event.Version
	w.must(w.messages.Apply(w.Context(), []event.Stored{{Event: e, WorkspaceID: ws, Seq: ack.Seq, At: entry.At, Payload: payload}}))
	return ack.Seq
}

// post sends a message of ann's.
func (w *town) post(channel chat.ChannelID, body string) chat.Seq {
	w.Helper()
	return w.publish(event.Event{Kind: event.MessagePosted, ChannelID: channel, ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", w.posts)), Body: body})
}

// routerConfig is a router of this town with a connection of its own, as a process has.
func (w *town) routerConfig() deliver.RouterConfig { return w.routerOn(w.dial()) }

func (w *town) routerOn(conn *bus.Conn) deliver.RouterConfig {
	return deliver.RouterConfig{
		Source: deliver.NewRouterSource(conn, nil), Recipients: w.directory, Wishes: w.directory, Threads: w.messages, Cursors: w.messages,
		States: w.messages, Jobs: w.jobs, Grace: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
}

// stored is a store that is never behind.
type stored struct{ store.Messages }

func (s stored) Current(ctx context.Context, in store.ChannelPlace, seq chat.Seq) (chat.Message, error) {
	return s.Message(ctx, in.ChannelID, seq)
}

func (w *town) workerConfig() deliver.WorkerConfig { return w.workerOn(w.dial()) }

func (w *town) workerOn(conn *bus.Conn) deliver.WorkerConfig {
	return deliver.WorkerConfig{
		Source: deliver.NewWorkerSource(conn, nil), Cursors: w.messages, States: w.messages, Messages: stored{w.messages}, Members: w.directory,
		Preferences: w.directory, Names: w.directory, Targets: w.phones, Jobs: w.jobs, Skipped: isOpen,
		Policy: due.Policy{Attempts: 3}, Now: w.clock.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

// quick makes the consumers wait for half a second for a process that died, where the shipped ones wait for half a minute.
func (w *town) quick() {
	w.Helper()
	for stream, name := range map[string]string{streams.ChatStream(0): streams.ConsumerDeliver, streams.StreamDelivery: streams.ConsumerPush} {
		c, err := w.cluster.HubJS.Consumer(w.cluster.Context(), stream, name)
		w.must(err)
		cfg := c.CachedInfo().Config
		cfg.AckWait, cfg.BackOff = 500*time.Millisecond, nil
		_, err = w.cluster.HubJS.UpdateConsumer(w.cluster.Context(), stream, cfg)
		w.must(err)
	}
}

// errOpen is what a target says when it was not asked.
var errOpen = fault.New(fault.Unavailable, "its breaker is open").After(time.Minute)

func isOpen(err error) bool { return errors.Is(err, errOpen) }

// routed runs a router until it is past a message.
func (w *town) routed(seq chat.Seq) *deliver.Router {
	w.Helper()
	cfg := w.routerConfig()
	r := deliver.NewRouter(cfg)
	defer w.start(r.Run)()
	w.past(cfg.Source.(*deliver.Consumers), seq)
	return r
}

// past waits until the router is past a message.
func (w *town) past(source *deliver.Consumers, seq chat.Seq) {
	w.Helper()
	w.eventually(fmt.Sprintf("message %d is routed", seq), func() bool {
		floor, err := source.Floor(w.cluster.Context(), streams.ChatStream(0))
		return err == nil && floor >= seq
	})
}

func (w *town) eventually(what string, cond func() bool) {
	w.Helper()
	for end := time.Now().Add(3 * streamstest.Wait); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not in time: %s", what)
		}
	}
}

// state is that of a message for somebody; nil: there is none.
func (w *town) state(seq chat.Seq, user chat.UserID) *chat.Delivery {
	w.Helper()
	states, err := w.messages.DeliveriesFor(w.Context(), store.MessageKey{WorkspaceID: ws, Seq: seq}, []chat.UserID{user})
	w.must(err)
	if len(states) == 0 {
		return nil
	}
	return &states[0]
}

func (w *town) status(seq chat.Seq, user chat.UserID) chat.DeliveryStatus {
	w.Helper()
	if s := w.state(seq, user); s != nil {
		return s.Status
	}
	return ""
}

// becomes waits until the state of a message for somebody is as said.
func (w *town) becomes(status chat.DeliveryStatus, seq chat.Seq, user chat.UserID) *chat.Delivery {
	w.Helper()
	w.eventually(fmt.Sprintf("message %d is %s for %s (it is %s)", seq, status, user, w.status(seq, user)), func() bool { return w.status(seq, user) == status })
	return w.state(seq, user)
}

// confirms says that a device of somebody has everything up to a message.
func (w *town) confirms(seq chat.Seq, at time.Time, users ...chat.UserID) {
	w.Helper()
	cursors := make([]store.DeviceCursor, len(users))
	for i, u := range users {
		cursors[i] = store.DeviceCursor{WorkspaceID: ws, UserID: u, DeviceID: token.SignInID("d" + string(u)), Cursor: chat.Cursor{Epoch: 1, Seq: seq}, At: at}
	}
	w.must(w.messages.SetDelivered(w.Context(), cursors))
}

// jobsLeft is how many jobs the stream holds, due and waiting.
func (w *town) jobsLeft() int {
	w.Helper()
	s, err := w.cluster.HubJS.Stream(w.cluster.Context(), streams.StreamDelivery)
	w.must(err)
	return int(s.CachedInfo().State.Msgs)
}

// parked is what was noted of jobs that were parked.
func (w *town) parked() (notes []bus.Parked) {
	w.Helper()
	s, err := w.cluster.HubJS.Stream(w.cluster.Context(), streams.StreamAdvisories)
	w.must(err)
	subject, err := streams.ParkedSubject(streams.StreamDelivery, streams.ConsumerPush)
	w.must(err)
	c, err := s.OrderedConsumer(w.cluster.Context(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	w.must(err)
	got, err := c.FetchNoWait(100)
	w.must(err)
	for m := range got.Messages() {
		p, err := bus.ParseParked(m.Data())
		w.must(err)
		notes = append(notes, p)
	}
	return notes
}
