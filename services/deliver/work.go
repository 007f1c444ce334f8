package deliver

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/deliver/route"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

const (
	memberPage = store.MaxRecipients // members of a channel that are looked at together: what is in memory of an @channel
	readsAside = 16                  // read cursors, or messages, that are asked for at once: the store has them one by one
)

// work is one message on its way to its recipients. It belongs to one goroutine.
type work struct {
	router  *Router
	entry   bus.Entry
	post    route.Post
	reasons *route.Reasons
	people  []chat.UserID // of a dm or group_dm: all of them who are not gone
	alone   bool          // it is somebody's dm with themselves
	dry     bool
	told    told
}

// candidate is somebody whom the message is owed to, as far as is known.
type candidate struct {
	user chat.UserID
	why  chat.Owed
}

// ask finds out who has a reason of their own. What the message says decides what is asked: a plain one asks nothing.
func (w *work) ask(ctx context.Context) error {
	cfg, ws := w.router.cfg, w.entry.Place.WorkspaceID
	if logins := w.post.Mentions.Logins; len(logins) > 0 {
		users, err := cfg.Recipients.UsersByLogin(ctx, ws, logins)
		if err != nil {
			return fmt.Errorf("users by login: %w", err)
		}
		for _, u := range users {
			w.reasons.Add(chat.OwedMention, u.ID)
		}
	}
	if w.post.Thread != 0 {
		users, err := followers(ctx, w.post, cfg.Threads, cfg.Wishes)
		if err != nil {
			return err
		}
		w.reasons.Add(chat.OwedThread, users...)
	}
	if !w.post.Words() {
		return nil
	}
	watchers, err := w.router.watchers(ctx, ws)
	if err != nil {
		return err
	}
	for _, one := range watchers {
		if (chat.Preferences{Keywords: one.Keywords}).Watches(w.post.Body) {
			w.reasons.Add(chat.OwedKeyword, one.UserID)
		}
	}
	return nil
}

// followers are who takes part in a message's thread and did not say that they do not follow it, or said that they do.
func followers(ctx context.Context, post route.Post, threads store.Threads, wishes Wishes) ([]chat.UserID, error) {
	users, err := threads.Participants(ctx, post.Channel, post.Thread)
	if err != nil {
		return nil, fmt.Errorf("participants of thread %d: %w", post.Thread, err)
	}
	said, err := wishes.FollowsOf(ctx, post.Channel, post.Thread)
	if err != nil {
		return nil, fmt.Errorf("followers of thread %d: %w", post.Thread, err)
	}
	return route.Followers(users, said), nil
}

// everybody looks at all members, page by page.
func (w *work) everybody(ctx context.Context) error {
	q := store.MembersQuery{ChannelID: w.post.Channel, Seq: w.entry.Seq, Limit: memberPage}
	for {
		users, err := w.router.membersAt(ctx, q)
		if err != nil {
			return err
		}
		if err := w.page(ctx, users); err != nil {
			return err
		}
		if len(users) < memberPage {
			return nil
		}
		q.After = users[len(users)-1]
	}
}

// named looks at those who have a reason of their own.
func (w *work) named(ctx context.Context) error {
	for some := range slices.Chunk(w.reasons.Named(), chat.MaxPageSize) {
		users, err := w.router.membersAt(ctx, store.MembersQuery{
			ChannelID: w.post.Channel, Seq: w.entry.Seq, Limit: len(some), Among: some,
		})
		if err != nil {
			return err
		}
		if err := w.page(ctx, users); err != nil {
			return err
		}
	}
	return nil
}

// page looks at some members of the channel, at most memberPage: each step asks only about those that the one before left.
//
// Jobs are stored before states. When the process dies between them, the event comes again and finds no state, and the job is stored
// again under the same id: the stream knows it for two minutes, and after that the worker sees by the state that one is a copy.
// The other way round, a state without a job would keep its recipient from ever being tried.
func (w *work) page(ctx context.Context, users []chat.UserID) error {
	left, err := w.uncovered(ctx, users)
	if err == nil {
		left, err = w.unmuted(ctx, left)
	}
	if err == nil {
		left, err = w.unwritten(ctx, left)
	}
	if err == nil {
		left, err = w.unread(ctx, left)
	}
	if err != nil || len(left) == 0 {
		return err
	}
	w.told.owed += len(left)
	for _, c := range left {
		if c.why != chat.OwedHere && c.why != chat.OwedKeyword {
			w.told.lasting++
		}
	}
	if w.dry {
		return nil
	}
	return w.write(ctx, left)
}

// uncovered are those whom the message is owed to, and of whose devices none has told that it has it.
func (w *work) uncovered(ctx context.Context, users []chat.UserID) (left []candidate, err error) {
	covered := 0
	for some := range slices.Chunk(users, chat.MaxPageSize) {
		devices, err := devicesOf(ctx, w.router.cfg.Cursors, w.entry.Place.WorkspaceID, some)
		if err != nil {
			return nil, err
		}
		for _, u := range some {
			why := w.reasons.Of(route.Member{UserID: u, Active: route.Active(devices[u], w.entry.At), Alone: w.alone})
			switch {
			case why == "":
			case route.CoveredBy(devices[u], w.post.Message) != nil:
				covered++
			default:
				left = append(left, candidate{u, why})
			}
		}
	}
	if !w.dry {
		w.router.counters.note(func(c *RouterCounts) { c.Covered += uint64(covered) })
	}
	return left, nil
}

// unmuted are those who want to be woken for the channel.
func (w *work) unmuted(ctx context.Context, all []candidate) ([]candidate, error) {
	if len(all) == 0 {
		return nil, nil
	}
	wishes, err := w.router.cfg.Wishes.PreferencesOf(ctx, w.entry.Place.WorkspaceID, usersOf(all))
	if err != nil {
		return nil, fmt.Errorf("preferences: %w", err)
	}
	left := slices.DeleteFunc(all, func(c candidate) bool { return wishes[c.user].Mutes(w.post.Channel) })
	if !w.dry {
		w.router.counters.note(func(c *RouterCounts) { c.Muted += uint64(len(all) - len(left)) })
	}
	return left, nil
}

// unwritten are those who have no state yet: the event may have come before.
func (w *work) unwritten(ctx context.Context, all []candidate) (left []candidate, err error) {
	key := store.MessageKey{WorkspaceID: w.entry.Place.WorkspaceID, Seq: w.entry.Seq}
	for some := range slices.Chunk(all, chat.MaxPageSize) {
		states, err := w.router.cfg.States.DeliveriesFor(ctx, key, usersOf(some))
		if err != nil {
			return nil, fmt.Errorf("states of message %d: %w", key.Seq, err)
		}
		for _, c := range some {
			if !slices.ContainsFunc(states, func(s chat.Delivery) bool { return s.UserID == c.user }) {
				left = append(left, c)
			}
		}
	}
	return left, nil
}

// unread are those who have not read the channel up to the message, without a device that told of it: somebody may read over
// REST alone.
func (w *work) unread(ctx context.Context, all []candidate) (left []candidate, err error) {
	asks := make([]readAsk, len(all))
	for i, c := range all {
		asks[i] = readAsk{c.user, w.post.Channel}
	}
	cursors, err := readCursors(ctx, w.router.cfg.Cursors, w.entry.Place.WorkspaceID, asks)
	if err != nil {
		return nil, err
	}
	for i, c := range all {
		if !route.Covers(cursors[i].Cursor, w.post.Message) {
			left = append(left, c)
		}
	}
	if covered := len(all) - len(left); covered > 0 && !w.dry {
		w.router.counters.note(func(c *RouterCounts) { c.Covered += uint64(covered) })
	}
	return left, nil
}

// write stores the jobs, and then the states.
func (w *work) write(ctx context.Context, all []candidate) error {
	now := w.router.cfg.Now()
	jobs, states := make([]later.Message, 0, len(all)), make([]chat.Delivery, 0, len(all))
	for _, c := range all {
		j := job.Delivery{
			WorkspaceID: w.entry.Place.WorkspaceID, UserID: c.user, Shard: w.entry.Place.Shard, Epoch: w.post.Message.Epoch,
			ChannelID: w.post.Channel, Seq: w.entry.Seq, Why: c.why, PostedAt: w.entry.At, RoutedAt: now, TraceParent: w.entry.TraceParent,
		}
		m, err := dueNow(j)
		if err != nil {
			return err
		}
		jobs, states = append(jobs, m), append(states, due.StateOf(j, now))
	}
	if err := w.router.cfg.Jobs.Put(ctx, jobs...); err != nil {
		return fmt.Errorf("store %d jobs: %w", len(jobs), err)
	}
	if err := w.router.cfg.States.SetDeliveries(ctx, states); err != nil {
		return fmt.Errorf("write %d states: %w", len(states), err)
	}
	w.router.counters.note(func(c *RouterCounts) {
		if c.Owed == nil {
			c.Owed = map[chat.Owed]uint64{}
		}
		for _, one := range all {
			c.Owed[one.why]++
		}
	})
	return nil
}

// dueNow is the message of a job that is due at once.
func dueNow(j job.Delivery) (later.Message, error) {
	subject, err := streams.DeliverySubject(j.WorkspaceID, j.UserID)
	if err != nil {
		return later.Message{}, err
	}
	id, err := streams.JobMsgID(j.WorkspaceID, j.UserID, j.Seq, j.Round)
	if err != nil {
		return later.Message{}, err
	}
	payload, err := j.Encode()
	if err != nil {
		return later.Message{}, fmt.Errorf("encode job: %w", err)
	}
	return later.Message{Subject: subject, MsgID: id, Payload: payload}, nil
}

// devicesOf are the cursors of users, at most chat.MaxPageSize.
func devicesOf(ctx context.Context, cursors Cursors, ws chat.WorkspaceID, users []chat.UserID) (map[chat.UserID][]store.DeviceCursor, error) {
	all, err := cursors.DevicesOf(ctx, ws, users)
	if err != nil {
		return nil, fmt.Errorf("device cursors: %w", err)
	}
	of := make(map[chat.UserID][]store.DeviceCursor, len(users))
	for _, d := range all {
		of[d.UserID] = append(of[d.UserID], d)
	}
	return of, nil
}

// readAsk asks up to where a user read a channel.
type readAsk struct {
	user    chat.UserID
	channel chat.ChannelID
}

// readCursors answers asks, in their order; zero: nothing was read.
func readCursors(ctx context.Context, cursors Cursors, ws chat.WorkspaceID, asks []readAsk) ([]store.ReadCursor, error) {
	found := make([]store.ReadCursor, len(asks)) // each owned by its goroutine until all have ended
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(readsAside)
	for i, ask := range asks {
		asking.Go(func() error {
			all, err := cursors.ReadCursorsOf(ctx, ws, ask.user)
			for _, c := range all {
				if c.ChannelID == ask.channel {
					found[i] = c
				}
			}
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, fmt.Errorf("read cursors: %w", err)
	}
	return found, nil
}

func usersOf(all []candidate) []chat.UserID {
	users := make([]chat.UserID, len(all))
	for i, c := range all {
		users[i] = c.user
	}
	return users
}
