// Package ledger answers the operators' question: did somebody get a message, and if not, why not. It reads everything anew, and keeps
// nothing: the answer is the union of what the read cursors, the cursors of devices and the states of deliveries say at this
// moment (Tell). It judges who is owed a message by the rules of the router (services/deliver/route), and says so where the
// answer depends on what people want now.
package ledger

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/deliver/route"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
)

// aside is how many questions about single people are asked at once.
const aside = 16

// subject is the message that is asked about.
type subject struct {
	place   streams.Place
	message chat.Message // with the text as it was sent, if the log still holds it
	post    route.Post
	reasons *route.Reasons
	people  int // of a dm or group_dm at the message's seq, whatever became of them since
	routed  bool
}

// Show answers ledger.show. NotFound: there is no such message, as far as is known, or the user was not in its channel then; the
// text says which.
func (l *Ledger) Show(ctx context.Context, req rpc.LedgerRequest) (rpc.LedgerReply, error) {
	if err := check(&req); err != nil {
		return rpc.LedgerReply{}, err
	}
	s, err := l.subject(ctx, req)
	if err != nil {
		return rpc.LedgerReply{}, err
	}
	reply := rpc.LedgerReply{
		WorkspaceID: req.WorkspaceID, ChannelID: s.message.ChannelID, Seq: req.Seq, Epoch: s.message.Epoch, SenderID: s.message.SenderID,
		StoredAt: s.message.PostedAt, Deleted: s.message.Deleted, Routed: s.routed, Recipients: []rpc.Recipient{},
	}
	users, err := l.recipients(ctx, req, s)
	if err != nil {
		return rpc.LedgerReply{}, err
	}
	one := req.UserID != "" || req.Login != ""
	if !one && len(users) == req.Limit {
		reply.Next = users[len(users)-1]
	}
	facts, err := l.facts(ctx, s, users)
	if err != nil {
		return rpc.LedgerReply{}, err
	}
	for _, f := range facts {
		if f.concerned() {
			reply.Recipients = append(reply.Recipients, Tell(f))
		}
	}
	if one && len(reply.Recipients) == 0 {
		return rpc.LedgerReply{}, fault.New(fault.NotFound, "They were not in the channel when the message came, or their account is closed: it was not for them.")
	}
	senders, err := l.cfg.People.UsersByID(ctx, []chat.UserID{s.message.SenderID})
	if err != nil {
		return rpc.LedgerReply{}, fmt.Errorf("the sender: %w", err)
	}
	if len(senders) == 1 {
		reply.SenderLogin = senders[0].Login
	}
	return reply, nil
}

func check(req *rpc.LedgerRequest) error {
	if req.Limit == 0 {
		req.Limit = chat.DefaultPageSize
	}
	switch {
	case !chat.IsID(string(req.WorkspaceID)):
		return fault.New(fault.Invalid, "workspace_id: %s.", chat.ErrBadID)
	case req.ChannelID != "" && !chat.IsID(string(req.ChannelID)):
		return fault.New(fault.Invalid, "channel_id: %s.", chat.ErrBadID)
	case req.UserID != "" && !chat.IsID(string(req.UserID)):
		return fault.New(fault.Invalid, "user_id: %s.", chat.ErrBadID)
	case req.After != "" && !chat.IsID(string(req.After)):
		return fault.New(fault.Invalid, "after: %s.", chat.ErrBadID)
	case req.UserID != "" && req.Login != "":
		return fault.New(fault.Invalid, "Give only one of user_id and login.")
	case req.Seq == 0 || req.Seq > chat.MaxSeq:
		return fault.New(fault.Invalid, "A message is named by its seq, from 1 on.")
	case req.Limit < 1 || req.Limit > chat.MaxPageSize:
		return fault.New(fault.Invalid, "A limit is 1 to %d.", chat.MaxPageSize)
	}
	return nil
}

// subject finds the message, in the log and in the store: either may not have it (yet, any more).
func (l *Ledger) subject(ctx context.Context, req rpc.LedgerRequest) (subject, error) {
	ws, err := l.cfg.Places.Workspace(ctx, req.WorkspaceID)
	if err != nil {
		return subject{}, fmt.Errorf("workspace: %w", err)
	}
	place := streams.Place{Shard: ws.Shard, WorkspaceID: req.WorkspaceID, ChannelID: req.ChannelID}
	posted, logged, err := l.posted(ctx, place, req.Seq)
	if err != nil {
		return subject{}, err
	}
	if logged {
		place.ChannelID = posted.ChannelID
	}
	if place.ChannelID == "" {
		return subject{}, fault.New(fault.NotFound, "The log does not hold the message %d: it is too old, was deleted, or is none. Name its channel as well.", req.Seq)
	}
	channel, err := l.cfg.Places.Channel(ctx, place.ChannelID)
	if err != nil || channel.WorkspaceID != req.WorkspaceID {
		return subject{}, orNotFound(err, "There is no channel %s in this workspace.", place.ChannelID)
	}
	m, err := l.cfg.Messages.Message(ctx, place.ChannelID, req.Seq)
	switch {
	case fault.Is(err, fault.NotFound) && logged:
		m = posted
	case fault.Is(err, fault.NotFound):
		return subject{}, fault.New(fault.NotFound, "There is no message %d in this channel.", req.Seq)
	case err != nil:
		return subject{}, fmt.Errorf("message %d: %w", req.Seq, err)
	case logged:
		m.Body = posted.Body // who was named, was named by what was sent
	}
	s := subject{place: place, message: m}
	s.post = route.PostOf(&event.Event{Epoch: m.Epoch, SenderID: m.SenderID, ChannelID: m.ChannelID, Thread: m.Thread, Body: m.Body}, m.Seq, channel.Type.Direct())
	floor, err := l.cfg.Routing.Floor(ctx, streams.ChatStream(place.Shard))
	if err != nil {
		return subject{}, fmt.Errorf("how far the router is: %w", err)
	}
	s.routed = floor >= req.Seq
	return s, l.reasons(ctx, &s)
}

// posted reads the message from the log; logged is false when that does not have it.
func (l *Ledger) posted(ctx context.Context, place streams.Place, seq chat.Seq) (m chat.Message, logged bool, err error) {
	entry, err := l.cfg.Log.Get(ctx, place.Shard, seq)
	if fault.Is(err, fault.NotFound) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("event %d: %w", seq, err)
	}
	e, err := event.Parse(entry.Payload)
	switch {
	case entry.Foreign || entry.Place.WorkspaceID != place.WorkspaceID || place.ChannelID != "" && entry.Place.ChannelID != place.ChannelID:
		return m, false, fault.New(fault.NotFound, "There is no message %d here: that seq belongs to something else.", seq)
	case err != nil:
		return m, false, fault.Wrap(fault.NotFound, err, "What lies at %d is not an event: it was published by hand.", seq)
	case e.Kind != event.MessagePosted:
		return m, false, fault.New(fault.NotFound, "What lies at %d is no message, but an event of the kind %.40q.", seq, e.Kind)
	}
	return chat.Message{
		ChannelID: e.ChannelID, Seq: seq, Epoch: e.Epoch, SenderID: e.SenderID, Body: e.Body, ClientMsgID: e.ClientMsgID, Thread: e.Thread, PostedAt: entry.At,
	}, true, nil
}

func orNotFound(err error, format string, args ...any) error {
	if err == nil || fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, format, args...)
	}
	return err
}

// reasons finds out what the router would: who is named, and who follows.
func (l *Ledger) reasons(ctx context.Context, s *subject) error {
	s.reasons = s.post.Reasons()
	if s.post.Direct {
		users, _, err := l.cfg.Places.MembersAt(ctx, store.MembersQuery{ChannelID: s.post.Channel, Seq: s.post.Message.Seq, Limit: chat.MaxGroupDM + 1, Gone: true})
		s.people = len(users)
		return err
	}
	if logins := s.post.Mentions.Logins; len(logins) > 0 {
		users, err := l.cfg.People.UsersByLogin(ctx, s.place.WorkspaceID, logins)
		if err != nil {
			return fmt.Errorf("users by login: %w", err)
		}
		for _, u := range users {
			s.reasons.Add(chat.OwedMention, u.ID)
		}
	}
	if s.post.Thread == 0 {
		return nil
	}
	users, err := l.cfg.Messages.Participants(ctx, s.post.Channel, s.post.Thread)
	if err != nil {
		return fmt.Errorf("participants: %w", err)
	}
	said, err := l.cfg.Wishes.FollowsOf(ctx, s.post.Channel, s.post.Thread)
	if err != nil {
		return fmt.Errorf("followers: %w", err)
	}
	s.reasons.Add(chat.OwedThread, route.Followers(users, said)...)
	return nil
}

// recipients are the members of the channel at the message's seq whom the request asks about, also those who are gone since: the
// message was owed to them all the same, if they were still there when it came (Facts.concerned).
func (l *Ledger) recipients(ctx context.Context, req rpc.LedgerRequest, s subject) ([]chat.UserID, error) {
	q := store.MembersQuery{ChannelID: s.post.Channel, Seq: req.Seq, After: req.After, Limit: req.Limit, Gone: true}
	if req.Login != "" {
		users, err := l.cfg.People.UsersByLogin(ctx, req.WorkspaceID, []string{req.Login})
		if err != nil {
			return nil, fmt.Errorf("users by login: %w", err)
		}
		if len(users) != 1 {
			return nil, fault.New(fault.NotFound, "Nobody of this workspace has the login %.70q.", req.Login)
		}
		req.UserID = users[0].ID
	}
	if req.UserID != "" {
		q.Among, q.After, q.Limit = []chat.UserID{req.UserID}, "", 1
	}
	users, _, err := l.cfg.Places.MembersAt(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("members at %d: %w", req.Seq, err)
	}
	return users, nil
}

// facts reads what is known of some members.
func (l *Ledger) facts(ctx context.Context, s subject, users []chat.UserID) ([]Facts, error) {
	facts := make([]Facts, len(users)) // each owned by its goroutine while they run
	if len(users) == 0 {
		return facts, nil
	}
	accounts, err := l.cfg.People.UsersByID(ctx, users)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	devices, err := l.cfg.Cursors.DevicesOf(ctx, s.place.WorkspaceID, users)
	if err != nil {
		return nil, fmt.Errorf("device cursors: %w", err)
	}
	states, err := l.cfg.Cursors.DeliveriesFor(ctx, store.MessageKey{WorkspaceID: s.place.WorkspaceID, Seq: s.message.Seq}, users)
	if err != nil {
		return nil, fmt.Errorf("states: %w", err)
	}
	wishes, err := l.cfg.Wishes.PreferencesOf(ctx, s.place.WorkspaceID, users)
	if err != nil {
		return nil, fmt.Errorf("preferences: %w", err)
	}
	here, _, err := l.cfg.Places.MembersAt(ctx, store.MembersQuery{ChannelID: s.post.Channel, Seq: s.message.Seq, Among: users, Limit: len(users)})
	if err != nil {
		return nil, fmt.Errorf("who of the members is still there: %w", err)
	}
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(aside)
	for at, u := range users {
		f := &facts[at]
		*f = Facts{Message: s.post.Message, Sender: s.post.Sender, Stored: s.message.PostedAt, Routed: s.routed, User: chat.User{ID: u}, Gone: !slices.Contains(here, u)}
		if i := slices.IndexFunc(accounts, func(a chat.User) bool { return a.ID == u }); i >= 0 {
			f.User = accounts[i]
		}
		if i := slices.IndexFunc(states, func(d chat.Delivery) bool { return d.UserID == u }); i >= 0 {
			f.State = &states[i]
		}
		theirs := slices.DeleteFunc(slices.Clone(devices), func(d store.DeviceCursor) bool { return d.UserID != u })
		f.Device = route.CoveredBy(theirs, s.post.Message)
		l.judge(s, f, theirs, wishes[u])
		asking.Go(func() error { return l.more(ctx, s, f) })
	}
	return facts, asking.Wait()
}

// judge says whether the message is owed to a member, as far as can be told now.
func (l *Ledger) judge(s subject, f *Facts, devices []store.DeviceCursor, wishes chat.Preferences) {
	if s.post.Words() && wishes.Watches(s.post.Body) {
		s.reasons.Add(chat.OwedKeyword, f.User.ID)
	}
	m := route.Member{UserID: f.User.ID, Active: route.Active(devices, s.message.PostedAt), Alone: s.post.Direct && s.people == 1}
	f.Owed, f.Muted = s.reasons.Of(m), wishes.Mutes(s.post.Channel)
	if f.Owed == "" {
		f.WhyNot = s.reasons.WhyNot(m)
	}
}

// more reads what is kept of each member alone.
func (l *Ledger) more(ctx context.Context, s subject, f *Facts) error {
	read, err := l.cfg.Cursors.ReadCursorsOf(ctx, s.place.WorkspaceID, f.User.ID)
	if err != nil {
		return fmt.Errorf("read cursors: %w", err)
	}
	if i := slices.IndexFunc(read, func(c store.ReadCursor) bool { return c.ChannelID == s.post.Channel }); i >= 0 {
		f.Read = read[i]
	}
	if f.Device != nil && l.cfg.Devices != nil {
		signIn, err := l.cfg.Devices.SignIn(ctx, f.Device.DeviceID)
		if err != nil && !fault.Is(err, fault.NotFound) { // it may be forgotten by now
			return fmt.Errorf("device: %w", err)
		}
		f.Name = signIn.Device
	}
	if f.State == nil || f.State.Status != chat.DeliveryPending {
		return nil
	}
	waits, err := streams.DeliveryWaitSubject(s.place.WorkspaceID, f.User.ID, s.message.Seq)
	if err != nil {
		return err
	}
	entry, err := l.cfg.Jobs.Last(ctx, streams.StreamDelivery, waits)
	if err != nil && !fault.Is(err, fault.NotFound) { // then it is due
		return fmt.Errorf("the job that waits: %w", err)
	}
	f.Next = entry.At
	return nil
}
