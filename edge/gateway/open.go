package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/poll"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/wire"
)

// openTimeout bounds everything between a request and its 101.
const openTimeout = 10 * time.Second

// opened is what a session starts with.
type opened struct {
	feed    *fanout.Feed
	userID  chat.UserID
	role    chat.Role
	tenures []rpc.Tenure
	head    chat.Seq          // of the feed, before the tenures were asked for
	start   chat.Seq          // the position of the session
	resumed bool              // start is the cursor that the client gave
	resync  wire.ResyncReason // why it is not, when the client gave one
	early   []byte            // what the client sent after its request
}

// ask is what a request asks for.
type ask struct {
	user      chat.UserID
	workspace chat.WorkspaceID // empty: the only one
	cursor    chat.Cursor      // zero: from the head
}

// ServeHTTP answers GET /socket: with 101 and a session, or with a problem.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), openTimeout)
	defer cancel()
	if err := g.serve(ctx, w, r); err != nil && !errors.Is(err, http.ErrHijacked) {
		g.problem(w, err)
	}
}

func (g *Gateway) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if err := wsconn.Check(r, g.rules); err != nil {
		return err
	}
	defer g.opening.Add(-1)
	if err := g.admit(g.opening.Add(1)); err != nil {
		return err
	}
	a, err := g.ask(ctx, r)
	if err != nil {
		return err
	}
	o, err := g.open(ctx, a)
	if err != nil {
		return err
	}
	if g.draining.Load() { // since it was asked first
		g.to.Feeds.Release(o.feed)
		return errMoving()
	}
	netConn, early, err := wsconn.Upgrade(w, r, g.rules)
	if err != nil {
		g.to.Feeds.Release(o.feed)
		return err
	}
	o.early = early
	l := g.loops[g.next.Add(1)%uint32(len(g.loops))]
	c := &conn{loop: l, id: chat.SessionID(newID()), link: poll.Take(netConn, g.cfg.StallTimeout)}
	g.sockets.Add(1)
	if !l.post(func() { l.add(c, o) }) {
		g.turnAway(c.link, o.feed)
	}
	return nil
}

// turnAway closes a socket that was counted, and gives its feed back.
func (g *Gateway) turnAway(to poll.Link, f *fanout.Feed) {
	to.Close()
	g.to.Feeds.Release(f)
	g.sockets.Add(-1)
}

// admit says whether there is room for one more socket, while opening of them are on their way in, itself included.
func (g *Gateway) admit(opening int64) error {
	switch {
	case g.draining.Load():
		return errMoving()
	case opening > int64(g.cfg.MaxOpening):
		return fault.New(fault.Unavailable, "too many sockets are being opened").After(busyPause)
	case g.sockets.Load()+opening > int64(g.cfg.MaxSockets):
		return fault.New(fault.Unavailable, "this gateway is full").After(5 * busyPause)
	}
	return nil
}

func errMoving() error {
	return fault.New(fault.Moving, "this gateway is going away; connect again with your cursor").After(busyPause)
}

// ask reads a request. Every id is parsed here, once.
func (g *Gateway) ask(ctx context.Context, r *http.Request) (ask, error) {
	var a ask
	credential, kind := wsconn.Credentials(r)
	switch kind {
	case wsconn.NoCredential:
		return a, fault.New(fault.Unauthenticated, "bring a token: POST /login gives one")
	case wsconn.Ticket:
		return a, fault.New(fault.Unsupported, "this server gives no tickets yet; bring a token")
	case wsconn.Token:
	}
	query := r.URL.Query()
	var err error
	if text := query.Get("workspace"); text != "" {
		if a.workspace, err = chat.ParseWorkspaceID(text); err != nil {
			return a, fault.Wrap(fault.NotFound, err, "there is no such workspace among yours")
		}
	}
	if text := query.Get("cursor"); text != "" {
		if a.cursor, err = chat.ParseCursor(text); err != nil {
			return a, fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	a.user, err = g.to.Verifier.VerifyToken(ctx, credential)
	return a, err
}

// errMoved says that a workspace's log lies elsewhere than it was thought to.
var errMoved = errors.New("the workspace has moved")

// open makes a session: position first, then state. The other way round would lose what happens in between.
func (g *Gateway) open(ctx context.Context, a ask) (opened, error) {
	place, err := g.locate(ctx, a)
	if err != nil {
		return opened{}, err
	}
	o, err := g.openAt(ctx, a, place)
	if errors.Is(err, errMoved) {
		g.places.Delete(place.WorkspaceID)
		return o, fault.Wrap(fault.Unavailable, err, "the workspace is moving").After(busyPause)
	}
	return o, err
}

// locate says where the log of the workspace lies. What is remembered may be old: openAt finds out.
func (g *Gateway) locate(ctx context.Context, a ask) (fanout.Place, error) {
	if known, ok := g.places.Load(a.workspace); ok {
		return known.(fanout.Place), nil
	}
	reply, err := g.to.Directory.Session(ctx, rpc.SessionRequest{UserID: a.user, WorkspaceID: a.workspace})
	if err != nil {
		return fanout.Place{}, err
	}
	place := placeOf(reply)
	g.places.Store(place.WorkspaceID, place)
	return place, nil
}

func placeOf(r rpc.SessionReply) fanout.Place {
	return fanout.Place{WorkspaceID: r.WorkspaceID, Shard: r.Shard, Epoch: r.Epoch}
}

func (g *Gateway) openAt(ctx context.Context, a ask, place fanout.Place) (opened, error) {
	f, err := g.to.Feeds.Acquire(ctx, place)
	if err != nil {
		return opened{}, err
	}
	o, err := g.openOn(ctx, a, f)
	if err != nil {
		g.to.Feeds.Release(f)
	}
	return o, err
}

func (g *Gateway) openOn(ctx context.Context, a ask, f *fanout.Feed) (opened, error) {
	if a.cursor == (chat.Cursor{}) {
		return g.snapshot(ctx, f, a.user, chat.MaxSeq)
	}
	start, reason, err := g.resume(ctx, a.cursor, f)
	if err != nil {
		return opened{}, err
	}
	if reason != "" {
		o, err := g.snapshot(ctx, f, a.user, chat.MaxSeq)
		o.resync = reason
		return o, err
	}
	o, err := g.snapshot(ctx, f, a.user, start)
	o.resumed = true
	return o, err
}

// resume says where a session with a cursor starts, or why it cannot start there.
func (g *Gateway) resume(ctx context.Context, cursor chat.Cursor, f *fanout.Feed) (chat.Seq, wire.ResyncReason, error) {
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

// snapshot asks for the user's place, after it noted how far the feed is. The session starts at start, or at the
// feed's head when that is before it.
func (g *Gateway) snapshot(ctx context.Context, f *fanout.Feed, user chat.UserID, start chat.Seq) (opened, error) {
	place, head := f.Place(), f.Reach().Head
	start = min(start, head)
	// A tenure that ends while the directory answers is still needed. (0 would ask for those that last only.)
	reply, err := g.to.Directory.Session(ctx, rpc.SessionRequest{UserID: user, WorkspaceID: place.WorkspaceID, Since: max(start, 1)})
	if err != nil {
		return opened{}, err
	}
	if placeOf(reply) != place {
		return opened{}, errMoved
	}
	return opened{feed: f, userID: user, role: reply.Role, tenures: reply.Tenures, head: head, start: start}, nil
}

// problem answers a request that gets no socket.
func (g *Gateway) problem(w http.ResponseWriter, err error) {
	if fault.Is(err, fault.Internal) {
		g.cfg.Log.Error("opening a socket failed", "err", err)
	}
	p := rest.ProblemOf(err)
	h := w.Header()
	h.Set("Content-Type", rest.ProblemType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Sec-WebSocket-Version", wsconn.Version)
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(max(1, p.RetryAfter))))
	}
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		g.cfg.Log.Debug("answer", "err", err) // the client has gone
	}
}

func newID() string { return chat.IDFromBytes(uuid.Must(uuid.NewV7())) }
