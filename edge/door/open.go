package door

import (
	"context"
	"errors"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/schemas/wire"
)

// Opened is what a session starts with.
type Opened struct {
	Feed     *fanout.Feed
	UserID   chat.UserID
	SignInID token.SignInID
	Role     chat.Role    // the newest that is known
	Tenures  []rpc.Tenure // one without a Type came with the log, which does not say it
	Members  int          // of the workspace
	Head     chat.Seq     // of the feed, before the tenures were asked for
	Start    chat.Seq     // the position of the session
	Resumed  bool         // Start is the cursor that the client gave
	Resync   wire.ResyncReason
	Early    []byte // what the client sent after its request
}

// ErrMoved says that a workspace's log lies elsewhere than it was thought to.
var ErrMoved = errors.New("the workspace has moved")

// open makes a session: position first, then state. The other way round would lose what happens in between.
func (d *Door) open(ctx context.Context, a ask) (Opened, error) {
	place, err := d.locate(ctx, a)
	if err != nil {
		return Opened{}, err
	}
	o, err := d.openAt(ctx, a, place)
	if errors.Is(err, ErrMoved) {
		d.places.Delete(place.WorkspaceID)
		return o, fault.Wrap(fault.Unavailable, err, "the workspace is moving").After(busyPause)
	}
	if a.workspace == "" && fault.Is(err, fault.NotFound) {
		d.memory.unsettle(a.claims.UserID)
	}
	o.SignInID = a.claims.SignInID
	return o, err
}

// locate says where the log of the workspace lies. What is remembered may be old: openAt finds out.
func (d *Door) locate(ctx context.Context, a ask) (fanout.Place, error) {
	ws := a.workspace
	if ws == "" && a.cursor != (chat.Cursor{}) {
		ws = d.memory.home(a.claims.UserID) // the cursor is of the workspace that it was in
	}
	if known, ok := d.places.Load(ws); ok {
		return known.(fanout.Place), nil
	}
	reply, err := d.to.Directory.Session(ctx, rpc.SessionRequest{UserID: a.claims.UserID, WorkspaceID: ws})
	d.counts.Asked.Add(1)
	if err != nil {
		return fanout.Place{}, err
	}
	place := placeOf(reply)
	d.places.Store(place.WorkspaceID, place)
	if ws == "" {
		d.memory.settle(a.claims.UserID, place.WorkspaceID)
	}
	return place, nil
}

func placeOf(r rpc.SessionReply) fanout.Place {
	return fanout.Place{WorkspaceID: r.WorkspaceID, Shard: r.Shard, Epoch: r.Epoch}
}

func (d *Door) openAt(ctx context.Context, a ask, place fanout.Place) (Opened, error) {
	f, err := d.to.Feeds.Acquire(ctx, place)
	if err != nil {
		return Opened{}, err
	}
	o, err := d.openOn(ctx, a, f)
	if err != nil {
		d.to.Feeds.Release(f)
	}
	return o, err
}

func (d *Door) openOn(ctx context.Context, a ask, f *fanout.Feed) (Opened, error) {
	user := a.claims.UserID
	if a.cursor == (chat.Cursor{}) {
		return d.Snapshot(ctx, f, user)
	}
	start, reason, err := resume(ctx, a.cursor, f)
	if err != nil {
		return Opened{}, err
	}
	if reason != "" {
		o, err := d.Snapshot(ctx, f, user)
		o.Resync = reason
		return o, err
	}
	if o, ok := d.memory.recall(f, user, start); ok {
		d.counts.Remembered.Add(1)
		return o, nil
	}
	o, err := d.snapshot(ctx, f, user, start)
	o.Resumed = true
	return o, err
}

// resume says where a session with a cursor starts, or why it cannot start there.
func resume(ctx context.Context, cursor chat.Cursor, f *fanout.Feed) (chat.Seq, wire.ResyncReason, error) {
	if cursor.Epoch != f.Place().Epoch {
		return 0, wire.ResyncEpoch, nil
	}
	reach := f.Reach()
	if cursor.Seq >= reach.Floor && cursor.Seq <= reach.Head {
		return cursor.Seq, "", nil
	}
	first, last, err := f.Bounds(ctx)
	if err != nil {
		return 0, "", err
	}
	switch {
	case cursor.Seq > last:
		return 0, wire.ResyncAhead, nil
	case cursor.Seq+1 < first:
		return 0, wire.ResyncExpired, nil
	case cursor.Seq > reach.Head:
		// The client saw through another gateway what this one has not got yet.
		return cursor.Seq, "", f.CatchUp(ctx)
	}
	return cursor.Seq, "", nil
}

// Snapshot asks the directory for a user's place, at the feed's head. The error is NotFound when they have none, and
// ErrMoved when the workspace's log lies elsewhere.
func (d *Door) Snapshot(ctx context.Context, f *fanout.Feed, user chat.UserID) (Opened, error) {
	return d.snapshot(ctx, f, user, chat.MaxSeq)
}

// snapshot asks for the user's place, after it noted how far the feed is. The session starts at start, or at the
// feed's head when that is before it.
func (d *Door) snapshot(ctx context.Context, f *fanout.Feed, user chat.UserID, start chat.Seq) (Opened, error) {
	place, reach := f.Place(), f.Reach()
	start = min(start, reach.Head)
	// A tenure that ends while the directory answers is still needed. (0 would ask for those that last only.)
	since := max(start, 1)
	reply, err := d.to.Directory.Session(ctx, rpc.SessionRequest{UserID: user, WorkspaceID: place.WorkspaceID, Since: since})
	d.counts.Asked.Add(1)
	if err != nil {
		return Opened{}, err
	}
	if placeOf(reply) != place {
		return Opened{}, ErrMoved
	}
	d.memory.keep(answer{feed: f, user: user, reach: reach, since: since, reply: reply})
	return Opened{
		Feed: f, UserID: user, Role: reply.Role, Tenures: reply.Tenures, Members: reply.Members, Head: reach.Head, Start: start,
	}, nil
}
