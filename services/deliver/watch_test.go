package deliver_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
)

func newRouter(cfg deliver.RouterConfig) *deliver.Router { return deliver.NewRouter(cfg) }

func consumers(s deliver.Source) *deliver.Consumers { return s.(*deliver.Consumers) }

// watched notes how often events were delivered.
type watched struct {
	deliver.Source
	mu      sync.Mutex
	highest int
}

func (s *watched) Consume(ctx context.Context, stream string, handle consume.Handler) error {
	return s.Source.Consume(ctx, stream, func(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		s.mu.Lock()
		for _, d := range batch {
			s.highest = max(s.highest, d.NumDelivered)
		}
		s.mu.Unlock()
		return handle(ctx, batch)
	})
}

func (s *watched) most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.highest
}

// asked counts what the databases are asked, and tells when it was not settled who is in a channel.
type asked struct {
	deliver.Recipients
	wishes    deliver.Wishes
	cursors   deliver.Cursors
	unsettled chan struct{}

	mu sync.Mutex
	n  int
}

func (a *asked) note() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n++
}

func (a *asked) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func (a *asked) Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error) {
	a.note()
	return a.Recipients.Channel(ctx, id)
}

func (a *asked) MembersAt(ctx context.Context, q store.MembersQuery) ([]chat.UserID, bool, error) {
	a.note()
	users, settled, err := a.Recipients.MembersAt(ctx, q)
	if !settled && a.unsettled != nil {
		a.unsettled <- struct{}{}
	}
	return users, settled, err
}

func (a *asked) PreferencesOf(ctx context.Context, ws chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Preferences, error) {
	a.note()
	return a.wishes.PreferencesOf(ctx, ws, users)
}

func (a *asked) KeywordsOf(ctx context.Context, ws chat.WorkspaceID) ([]store.Watcher, error) {
	a.note()
	return a.wishes.KeywordsOf(ctx, ws)
}

func (a *asked) FollowsOf(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]store.Follow, error) {
	a.note()
	return a.wishes.FollowsOf(ctx, channel, root)
}

func (a *asked) DevicesOf(ctx context.Context, ws chat.WorkspaceID, users []chat.UserID) ([]store.DeviceCursor, error) {
	a.note()
	return a.cursors.DevicesOf(ctx, ws, users)
}

func (a *asked) ReadCursorsOf(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) ([]store.ReadCursor, error) {
	a.note()
	return a.cursors.ReadCursorsOf(ctx, ws, user)
}

// flaky is a store that may be down.
type flaky struct {
	deliver.Cursors
	down *atomic.Bool
}

func (f *flaky) DevicesOf(ctx context.Context, ws chat.WorkspaceID, users []chat.UserID) ([]store.DeviceCursor, error) {
	if f.down.Load() {
		return nil, fault.New(fault.Unavailable, "the store is down")
	}
	return f.Cursors.DevicesOf(ctx, ws, users)
}

// crowd is a channel of so many people that making them would take longer than all else.
type crowd struct {
	deliver.Recipients
	people []chat.UserID // sorted
}

func (c *crowd) MembersAt(_ context.Context, q store.MembersQuery) ([]chat.UserID, bool, error) {
	from, found := slices.BinarySearch(c.people, q.After)
	if found {
		from++
	}
	return c.people[from:min(from+q.Limit, len(c.people))], true, nil
}

// refusing cannot read one channel, some times.
type refusing struct {
	deliver.Recipients
	channel chat.ChannelID
	mu      sync.Mutex
	times   int
}

func (r *refusing) Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == r.channel && r.times > 0 {
		r.times--
		return chat.Channel{}, errors.New("this row cannot be read")
	}
	return r.Recipients.Channel(ctx, id)
}
