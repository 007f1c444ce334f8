package schedule_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/schedule"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/later"
	"github.com/canopychat/canopy/streams/streamstest"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The people and places of the tests.
const (
	ann     = chat.UserID("ann")
	bob     = chat.UserID("bob")
	guest   = chat.UserID("guest")
	ws      = chat.WorkspaceID("w1")
	general = chat.ChannelID("c1")
	secret  = chat.ChannelID("c2")
	annsOwn = chat.ChannelID("d1")
)

// town is a directory in memory.
type town struct {
	mu       sync.Mutex
	closed   map[chat.UserID]bool
	left     map[chat.UserID]bool // the workspace
	in       map[chat.ChannelID][]chat.UserID
	archived map[chat.ChannelID]bool
	name     string // of general
	down     bool
}

func newTown() *town {
	return &town{
		closed: map[chat.UserID]bool{}, left: map[chat.UserID]bool{}, archived: map[chat.ChannelID]bool{}, name: "general",
		in: map[chat.ChannelID][]chat.UserID{general: {ann, bob}, secret: {bob}, annsOwn: {ann}},
	}
}

func (w *town) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

var errDown = fault.New(fault.Unavailable, "the directory does not answer")

func (w *town) User(_ context.Context, id chat.UserID) (chat.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return chat.User{}, errDown
	}
	return chat.User{ID: id, Deactivated: w.closed[id]}, nil
}

func (w *town) Channel(_ context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := chat.Channel{ID: id, WorkspaceID: ws, Type: chat.ChannelPublic, Archived: w.archived[id]}
	switch id {
	case general:
		c.Name = w.name
	case secret:
		c.Name, c.Type = "secret", chat.ChannelPrivate
	case annsOwn:
		c.Type = chat.ChannelDM
	}
	standing := chat.Standing{Role: chat.RoleMember, Type: c.Type, Archived: c.Archived, InIt: slices.Contains(w.in[id], by)}
	if w.left[by] {
		standing.Role = ""
	}
	switch {
	case w.down:
		return chat.Channel{}, chat.Standing{}, errDown
	case w.in[id] == nil || !standing.MaySee():
		return chat.Channel{}, chat.Standing{}, fault.New(fault.NotFound, "there is no such channel among yours")
	}
	return c, standing, nil
}

func (w *town) Workspace(_ context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.down:
		return store.Membership{}, errDown
	case id != ws || w.left[by]:
		return store.Membership{}, fault.New(fault.NotFound, "there is no such workspace among yours")
	}
	return store.Membership{Workspace: chat.Workspace{ID: ws, Shard: 2, Epoch: 3}, Role: chat.RoleMember}, nil
}

func (w *town) OpenDirect(ctx context.Context, by chat.UserID, id chat.WorkspaceID, others []chat.UserID) (chat.Channel, bool, error) {
	if _, err := w.Workspace(ctx, by, id); err != nil {
		return chat.Channel{}, false, err
	}
	if by == guest {
		return chat.Channel{}, false, fault.New(fault.Forbidden, "a guest may not open direct messages")
	}
	if by != ann || !slices.Equal(others, []chat.UserID{ann}) {
		panic("only Ann notes things")
	}
	return chat.Channel{ID: annsOwn, WorkspaceID: ws, Type: chat.ChannelDM}, false, nil
}

// ledger is a log in memory, which knows what it has for ever.
type ledger struct {
	mu      sync.Mutex
	posts   []event.Change
	asked   int
	down    bool
	refuse  error
	stored  chan struct{} // gets one for each post, if it has room
	answers chan struct{} // nil: at once; else each answer waits for one
}

func newLedger() *ledger { return &ledger{stored: make(chan struct{}, 1000)} }

func (l *ledger) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *ledger) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	r, answers, err := l.take(c)
	if answers != nil {
		select {
		case <-answers:
		case <-ctx.Done():
			return event.Receipt{}, fault.Wrap(fault.Unavailable, ctx.Err(), "it took too long")
		}
	}
	return r, err
}

func (l *ledger) take(c event.Change) (event.Receipt, chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	switch {
	case l.down:
		return event.Receipt{}, nil, fault.New(fault.Unavailable, "the log does not answer")
	case l.refuse != nil:
		return event.Receipt{}, nil, l.refuse
	case !c.Standing.MayPost() || !c.Retry || c.Kind != event.MessagePosted || c.Workspace != ws || c.Shard != 2 || c.Epoch != 3:
		panic("the change is wrong")
	}
	if _, err := chat.ParseClientMsgID(string(c.ClientMsgID)); err != nil {
		panic(err)
	}
	for i, p := range l.posts {
		if p.UserID == c.UserID && p.ClientMsgID == c.ClientMsgID {
			if p.Body != c.Body || p.ChannelID != c.ChannelID {
				return event.Receipt{}, nil, fault.New(fault.Conflict, "the client_msg_id stands for another message")
			}
			return event.Receipt{Seq: chat.Seq(i + 1), Duplicate: true}, nil, nil
		}
	}
	l.posts = append(l.posts, c)
	select {
	case l.stored <- struct{}{}:
	default:
	}
	return event.Receipt{Seq: chat.Seq(len(l.posts)), At: time.Now()}, l.answers, nil
}

func (l *ledger) sent() []event.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.posts)
}

// yard is a hub with a directory and a log.
type yard struct {
	t    *testing.T
	c    *streamstest.Cluster
	town *town
	log  *ledger
}

func newYard(t *testing.T) *yard {
	t.Helper()
	t.Parallel() // they wait most of the time
	return &yard{t: t, c: streamstest.Start(t), town: newTown(), log: newLedger()}
}

// part is a process.
type part struct {
	*schedule.Service
	later *later.Store
	conn  *bus.Conn
	run   func() (stop func())
}

// process makes a process; it does not run yet.
func (y *yard) process(change func(*schedule.Config)) *part {
	y.t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: y.c.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(conn.Close)
	kept := later.New(conn)
	cfg := schedule.Config{
		Later: kept, Log: y.log, Directory: y.town, Conn: conn, HoldCap: 300 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(-slack) },
	}
	if change != nil {
		change(&cfg)
	}
	s, err := schedule.New(cfg)
	if err != nil {
		y.t.Fatal(err)
	}
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				y.t.Errorf("Run: %v", err)
			}
		})
		y.t.Cleanup(stop)
		return stop
	}
	return &part{Service: s, later: kept, conn: conn, run: run}
}

// quick makes the consumer wait for a second where the shipped one waits for half a minute.
func (y *yard) quick() {
	y.t.Helper()
	consumer, err := y.c.HubJS.Consumer(y.c.Context(), streams.StreamSched, streams.ConsumerDue)
	if err != nil {
		y.t.Fatal(err)
	}
	config := consumer.CachedInfo().Config
	config.AckWait, config.BackOff = time.Second, []time.Duration{time.Second, 2 * time.Second}
	if _, err := y.c.HubJS.UpdateConsumer(y.c.Context(), streams.StreamSched, config); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) eventually(what string, cond func() bool) {
	y.t.Helper()
	for end := time.Now().Add(2 * streamstest.Wait); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			y.t.Fatalf("not in time: %s", what)
		}
	}
}

// count is how many messages of SCHED match a filter.
func (y *yard) count(filter string) int {
	y.t.Helper()
	s, err := y.c.HubJS.Stream(y.c.Context(), streams.StreamSched)
	if err != nil {
		y.t.Fatal(err)
	}
	info, err := s.Info(y.c.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		y.t.Fatal(err)
	}
	n := 0
	for _, of := range info.State.Subjects {
		n += int(of)
	}
	return n
}

// fire puts a job on its due subject at once, as the hub does at its time.
func (y *yard) fire(j job.Scheduled) {
	y.t.Helper()
	subject, err := streams.DueSubject(j.WorkspaceID, j.UserID, j.ID)
	if err != nil {
		y.t.Fatal(err)
	}
	payload, err := j.Encode()
	if err != nil {
		y.t.Fatal(err)
	}
	if _, err := y.c.HubJS.PublishMsg(y.c.Context(), &nats.Msg{Subject: subject, Data: payload}); err != nil {
		y.t.Fatal(err)
	}
}

// message is one for general, in an hour.
func message(body string) store.NewScheduled {
	return store.NewScheduled{Kind: job.Later, ChannelID: general, Body: body, At: time.Now().Add(time.Hour)}
}

// slack is how far the clock of processes is behind, so that what is soon is ahead on a slow machine too.
const slack = 20 * time.Second

// soon is one in a moment.
func soon(body string) store.NewScheduled {
	n := message(body)
	n.At = time.Now().Add(1200 * time.Millisecond)
	return n
}

// parked waits until n messages were parked, and is the dead letter that the last of them becomes.
func (y *yard) parked(n uint64) dlq.Letter {
	y.t.Helper()
	var note bus.Parked
	y.eventually("it is parked", func() bool {
		s, err := y.c.HubJS.Stream(y.c.Context(), streams.StreamAdvisories)
		if err != nil {
			return false
		}
		notes := 0
		for seq := uint64(1); ; seq++ { // the server's own advisories are there too
			m, err := s.GetMsg(y.c.Context(), seq)
			if err != nil {
				return notes == int(n)
			}
			if _, _, err := streams.ParseParked(m.Subject); err == nil {
				notes++
				if note, err = bus.ParseParked(m.Data); err != nil {
					y.t.Fatal(err)
				}
			}
		}
	})
	s, err := y.c.HubJS.Stream(y.c.Context(), streams.StreamSched)
	if err != nil {
		y.t.Fatal(err)
	}
	m, err := s.GetMsg(y.c.Context(), uint64(note.Seq))
	if err != nil {
		y.t.Fatal(err)
	}
	return dlq.Letter{Stream: note.Stream, Consumer: note.Consumer, Subject: m.Subject, Seq: note.Seq, Reason: note.Reason, Payload: m.Data}
}
