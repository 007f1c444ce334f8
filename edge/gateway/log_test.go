package gateway_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	shard = streams.Shard(1)
	ws    = chat.WorkspaceID("w1")
	epoch = chat.Epoch(1)
)

// hub is everything that a gateway has behind it, small: a log in memory that is the source of feeds, takes what
// users send, and knows who is a member of what by its own order, as the Directory does.
type hub struct {
	pub  sync.Mutex // held while subscribers are called: one at a time, in order
	subs map[int]bus.FanSubscription
	next int

	mu       sync.Mutex // guards what follows
	log      []stored   // the entry with seq s is log[s-1]
	first    chat.Seq
	last     map[string]chat.Seq    // by subject
	deaf     bool                   // what is stored is not republished
	behind   func(user chat.UserID) // called before the Directory answers
	people   map[chat.UserID]chat.Role
	tenures  map[chat.UserID][]rpc.Tenure
	epoch    chat.Epoch             // that the Directory tells
	asked    int                    // questions to the Directory
	sizes    map[chat.ChannelID]int // that the Directory tells of channels; others are 1
	sent     []event.Change
	hold     chan struct{} // when set, submits wait for a token or for its close
	refusal  error         // of submits
	tickets  map[string]string
	revoked  map[token.SignInID]bool
	verified func() // called when a token was found good; set before the gateway runs
	inSubmit int
}

type stored struct {
	bus.Republished
	subject string
	event   event.Event
}

func newHub() *hub {
	return &hub{
		subs: map[int]bus.FanSubscription{}, first: 1, last: map[string]chat.Seq{}, people: map[chat.UserID]chat.Role{},
		tenures: map[chat.UserID][]rpc.Tenure{}, epoch: epoch, tickets: map[string]string{}, revoked: map[token.SignInID]bool{},
	}
}

func (h *hub) with(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// put stores an event of w1 and republishes it.
func (h *hub) put(e event.Event) chat.Seq {
	h.pub.Lock()
	defer h.pub.Unlock()
	subject, err := streams.ChatSubject(shard, ws, e.ChannelID)
	if err != nil {
		panic(err)
	}
	e.Epoch = epoch
	if e.SenderID == "" {
		e.SenderID = "system"
	}
	if e.Kind == event.MessagePosted && e.ClientMsgID == "" {
		e.ClientMsgID = "m"
	}
	payload, err := event.Encode(e)
	if err != nil {
		panic(err)
	}
	h.mu.Lock()
	m := stored{subject: subject, event: e, Republished: bus.Republished{Prev: h.last[subject], Entry: bus.Entry{
		Place: streams.Place{Shard: shard, WorkspaceID: ws, ChannelID: e.ChannelID}, Seq: chat.Seq(len(h.log) + 1),
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(len(h.log)) * time.Millisecond), Payload: payload,
	}}}
	h.last[subject] = m.Seq
	h.log = append(h.log, m)
	h.record(e, m.Seq)
	deaf := h.deaf
	h.mu.Unlock()
	if !deaf {
		for _, s := range h.subs {
			s.Deliver(m.Republished)
		}
	}
	return m.Seq
}

// record keeps the tenures, under mu.
func (h *hub) record(e event.Event, seq chat.Seq) {
	switch {
	case (e.Kind == event.MemberJoined || e.Kind == event.MemberUpdated) && e.ChannelID == "":
		h.people[e.UserID] = e.Role
	case e.Kind == event.MemberLeft && e.ChannelID == "":
		delete(h.people, e.UserID)
	case e.Kind == event.MemberJoined:
		h.tenures[e.UserID] = append(h.tenures[e.UserID], rpc.Tenure{ChannelID: e.ChannelID, Type: chat.ChannelPublic, JoinedSeq: seq})
	case e.Kind == event.MemberLeft:
		for i, t := range h.tenures[e.UserID] {
			if t.ChannelID == e.ChannelID && t.LeftSeq == 0 {
				h.tenures[e.UserID][i].LeftSeq = seq
			}
		}
	}
}

func (h *hub) say(ch chat.ChannelID, body string) chat.Seq {
	return h.put(event.Event{Kind: event.MessagePosted, ChannelID: ch, Body: body})
}

// join brings a user in; the empty channel is the workspace.
func (h *hub) join(ch chat.ChannelID, user chat.UserID) chat.Seq {
	return h.put(event.Event{Kind: event.MemberJoined, ChannelID: ch, UserID: user, Role: chat.RoleMember})
}

func (h *hub) leave(ch chat.ChannelID, user chat.UserID) chat.Seq {
	return h.put(event.Event{Kind: event.MemberLeft, ChannelID: ch, UserID: user})
}

// member makes a user of w1 and of channels.
func (h *hub) member(user chat.UserID, channels ...chat.ChannelID) {
	h.join("", user)
	for _, ch := range channels {
		h.join(ch, user)
	}
}

func (h *hub) head() chat.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return chat.Seq(len(h.log))
}

// expire moves the begin of the log's window.
func (h *hub) expire(first chat.Seq) { h.with(func() { h.first = first }) }

// shown is what a user must see of the log after a position up to another, by the log's order alone.
func (h *hub) shown(user chat.UserID, after, upTo chat.Seq) []chat.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	in := map[chat.ChannelID]bool{}
	seqs := []chat.Seq{}
	for _, m := range h.log {
		e := m.event
		member := e.Kind == event.MemberJoined || e.Kind == event.MemberLeft
		mine := member && e.UserID == user
		visible := in[e.ChannelID] || e.ChannelID == "" || mine && (e.Kind == event.MemberJoined || in[e.ChannelID])
		if mine && e.ChannelID != "" {
			in[e.ChannelID] = e.Kind == event.MemberJoined
		}
		if visible && m.Seq > after && m.Seq <= upTo {
			seqs = append(seqs, m.Seq)
		}
	}
	return seqs
}

// Read is of fanout.Log.
func (h *hub) Read(_ context.Context, q bus.ReadQuery) (bus.Batch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b bus.Batch
	size := 0
	for s := max(q.From, h.first); s <= chat.Seq(len(h.log)); s++ {
		m := h.log[s-1]
		if len(b.Entries) == q.MaxEntries || size >= q.MaxBytes {
			b.Pending = uint64(len(h.log)) - uint64(s) + 1
			break
		}
		b.Entries = append(b.Entries, m.Entry)
		size += len(m.Payload)
	}
	return b, nil
}

// LeaderLast is of fanout.Log.
func (h *hub) LeaderLast(_ context.Context, _ streams.Shard, filter string) (chat.Seq, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if strings.HasSuffix(filter, ">") {
		return chat.Seq(len(h.log)), nil
	}
	return h.last[filter], nil
}

// LastBefore is of fanout.Log.
func (h *hub) LastBefore(_ context.Context, _ streams.Shard, subjects []string, upTo chat.Seq) (map[string]chat.Seq, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[string]chat.Seq{}
	for _, subject := range subjects {
		for s := h.last[subject]; s != 0; s = h.log[s-1].Prev {
			if s <= upTo && s >= h.first {
				found[subject] = s
				break
			}
		}
	}
	return found, nil
}

// Bounds is of fanout.Log.
func (h *hub) Bounds(context.Context, streams.Shard) (first, last chat.Seq, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.first, chat.Seq(len(h.log)), nil
}

// SubscribeFan is of fanout.Source.
func (h *hub) SubscribeFan(s bus.FanSubscription) (func() error, error) {
	h.pub.Lock()
	defer h.pub.Unlock()
	h.next++
	id := h.next
	if s.WorkspaceID == ws {
		h.subs[id] = s
	}
	return func() error {
		h.pub.Lock()
		defer h.pub.Unlock()
		delete(h.subs, id)
		return nil
	}, nil
}

// WatchSignals is of fanout.Source.
func (h *hub) WatchSignals(ctx context.Context, _ func(bus.Signal)) error {
	<-ctx.Done()
	return nil
}

// VerifyToken is of door.Verifier: a token is the id of its user, with the id of a sign-in after a dash, or without.
func (h *hub) VerifyToken(_ context.Context, raw string) (token.Claims, error) {
	user, signIn, _ := strings.Cut(raw, "-")
	id, err := chat.ParseUserID(user)
	if err != nil || h.Revoked(token.SignInID(signIn)) {
		return token.Claims{}, fault.New(fault.Unauthenticated, "sign in again")
	}
	if h.verified != nil {
		h.verified()
	}
	return token.Claims{UserID: id, SignInID: token.SignInID(signIn)}, nil
}

// Redeem is of door.Verifier: each ticket is taken once.
func (h *hub) Redeem(ctx context.Context, ticket string) (token.Claims, error) {
	h.mu.Lock()
	raw, ok := h.tickets[ticket]
	delete(h.tickets, ticket)
	h.mu.Unlock()
	if !ok {
		return token.Claims{}, fault.New(fault.Unauthenticated, "the ticket was used, or is too old")
	}
	return h.VerifyToken(ctx, raw)
}

// Revoked is of door.Verifier.
func (h *hub) Revoked(id token.SignInID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.revoked[id]
}

// Session is of gateway.Directory.
func (h *hub) Session(_ context.Context, req rpc.SessionRequest) (rpc.SessionReply, error) {
	h.mu.Lock()
	behind := h.behind
	h.mu.Unlock()
	if behind != nil {
		behind(req.UserID)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if req.WorkspaceID == "" && strings.HasPrefix(string(req.UserID), "many") {
		return rpc.SessionReply{}, fault.New(fault.Invalid, "you belong to 2 workspaces; say which workspace")
	}
	role, known := h.people[req.UserID]
	if !known || req.WorkspaceID != "" && req.WorkspaceID != ws {
		return rpc.SessionReply{}, fault.New(fault.NotFound, "there is no such workspace among yours")
	}
	reply := rpc.SessionReply{WorkspaceID: ws, Shard: int(shard), Epoch: h.epoch, Role: role}
	for _, t := range h.tenures[req.UserID] {
		if t.LeftSeq == 0 || req.Since != 0 && t.LeftSeq >= req.Since {
			t.Members = max(1, h.sizes[t.ChannelID])
			reply.Tenures = append(reply.Tenures, t)
		}
	}
	return reply, nil
}

// Submit is of event.Submitter.
func (h *hub) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	h.mu.Lock()
	hold, refusal := h.hold, h.refusal
	h.sent = append(h.sent, c)
	h.inSubmit++
	h.mu.Unlock()
	defer h.with(func() { h.inSubmit-- })
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return event.Receipt{}, fault.Wrap(fault.Unavailable, ctx.Err(), "the log did not answer")
		}
	}
	if refusal != nil {
		return event.Receipt{}, refusal
	}
	if !c.Standing.MayPost() {
		return event.Receipt{}, fault.New(fault.Forbidden, "you may not post there")
	}
	seq := h.put(event.Event{
		Kind: c.Kind, ChannelID: c.ChannelID, SenderID: c.UserID, ClientMsgID: c.ClientMsgID, Body: c.Body, Emoji: c.Emoji, MessageSeq: c.MessageSeq,
	})
	return event.Receipt{Seq: seq, At: time.Unix(int64(seq), 0)}, nil
}

func (h *hub) subscribers() int {
	h.pub.Lock()
	defer h.pub.Unlock()
	return len(h.subs)
}

// feeds counts what a gateway takes and gives back.
type feeds struct {
	*fanout.Feeds
	mu   sync.Mutex
	held int
}

func (f *feeds) Acquire(ctx context.Context, p fanout.Place) (*fanout.Feed, error) {
	feed, err := f.Feeds.Acquire(ctx, p)
	if err == nil {
		f.mu.Lock()
		f.held++
		f.mu.Unlock()
	}
	return feed, err
}

func (f *feeds) Release(feed *fanout.Feed) {
	f.mu.Lock()
	f.held--
	f.mu.Unlock()
	f.Feeds.Release(feed)
}

func (f *feeds) balance() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}

// eventOfWorkspace is one that everybody sees who is no guest.
func eventOfWorkspace(i int) event.Event {
	return event.Event{Kind: event.UserUpdated, UserID: "bob", User: &event.UserState{Login: "bob", DisplayName: strconv.Itoa(i)}}
}
