package api_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/api/notify"
	"github.com/canopychat/canopy/services/store"
)

// desk is what waits for the people of a town, in memory: what they have read, what they want to be woken for, where, and
// what they scheduled; and a ledger. It keeps to the rules that services/cursors, reach and schedule have.
type desk struct {
	*town
	log         *memory
	preferences map[string]chat.Preferences // by workspace and user
	follows     map[string]bool             // by channel, root and user
	browsers    []store.Subscription
	webhooks    []store.Webhook
	waiting     []job.Scheduled
	asked       rpc.LedgerRequest // the last question
	busy        error             // of whoever counts
}

func newDesk(w *town, log *memory) *desk {
	return &desk{town: w, log: log, preferences: map[string]chat.Preferences{}, follows: map[string]bool{}}
}

func (d *desk) config() notify.Config {
	return notify.Config{
		Workspaces: d, Channels: d, Reads: d, Unreads: d, Preferences: d, Subscriptions: d, Webhooks: d, Schedule: schedule{d}, Ledger: d, PushKey: func() string { return "BPublic" },
	}
}

func (d *desk) MarkRead(_ context.Context, by chat.UserID, id chat.ChannelID, seq chat.Seq) (store.ReadCursor, error) {
	defer d.lock()()
	c, _, err := d.channel(by, id)
	if err != nil {
		return store.ReadCursor{}, err
	}
	if d.reads[id] == nil {
		d.reads[id] = map[chat.UserID]chat.Seq{}
	}
	d.reads[id][by] = max(d.reads[id][by], seq)
	return store.ReadCursor{WorkspaceID: c.WorkspaceID, ChannelID: id, UserID: by, Cursor: chat.Cursor{Epoch: 1, Seq: d.reads[id][by]}}, nil
}

func (d *desk) ReadCursors(_ context.Context, by chat.UserID, ws chat.WorkspaceID) ([]store.ReadIn, error) {
	defer d.lock()()
	var all []store.ReadIn
	for _, id := range slices.Sorted(maps.Keys(d.channels)) {
		if c, standing, err := d.channel(by, id); err == nil && c.WorkspaceID == ws && standing.InIt {
			all = append(all, store.ReadIn{ChannelID: id, Read: d.reads[id][by], Joined: 1, Type: c.Type})
		}
	}
	return all, nil
}

func (d *desk) Unread(_ context.Context, q store.UnreadQuery) ([]store.Unread, error) {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	all := make([]store.Unread, len(q.Channels))
	for i, in := range q.Channels {
		u := store.Unread{ChannelID: in.ChannelID, Through: d.log.seq}
		for _, m := range slices.Backward(d.log.messages) {
			if m.ChannelID == in.ChannelID && m.Seq > in.Read && m.SenderID != q.User.ID && !m.Deleted {
				mention := in.Type.Direct() || chat.MentionsOf(m.Body).Names(q.User.Login)
				u.Messages = append(u.Messages, store.UnreadMessage{Seq: m.Seq, Mention: mention})
				if mention {
					u.Mentions++
				}
			}
		}
		if u.Count = len(u.Messages); !q.Messages {
			u.Messages = nil
		}
		all[i] = u
	}
	return all, d.busy
}

func (d *desk) Preferences(_ context.Context, by chat.UserID, ws chat.WorkspaceID) (chat.Preferences, error) {
	defer d.lock()()
	_, err := d.membership(by, ws)
	return d.preferences[string(ws)+" "+string(by)], err
}

func (d *desk) SetPreferences(_ context.Context, by chat.UserID, ws chat.WorkspaceID, p chat.Preferences) error {
	defer d.lock()()
	if _, err := d.membership(by, ws); err != nil {
		return err
	}
	parsed(p.Muted...)
	d.preferences[string(ws)+" "+string(by)] = p
	return nil
}

func (d *desk) Follow(_ context.Context, by chat.UserID, ch chat.ChannelID, root chat.Seq, follows bool) error {
	defer d.lock()()
	if _, _, err := d.channel(by, ch); err != nil {
		return err
	}
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	if !slices.ContainsFunc(d.log.messages, func(m chat.Message) bool { return m.ChannelID == ch && m.Seq == root }) {
		return fault.New(fault.NotFound, "there is no such message")
	}
	d.follows[string(ch)+" "+string(by)] = follows
	return nil
}

func (d *desk) Subscribe(_ context.Context, s store.Subscription) (store.Subscription, error) {
	defer d.lock()()
	if s.Endpoint == "" || len(s.P256dh) != 65 || len(s.Auth) != 16 {
		return s, fault.New(fault.Invalid, "that is no subscription")
	}
	s.ID, s.CreatedAt = d.id("b"), d.now
	d.browsers = append(d.browsers, s)
	return s, nil
}

func (d *desk) Subscriptions(_ context.Context, by chat.UserID) ([]store.Subscription, error) {
	defer d.lock()()
	return slices.DeleteFunc(slices.Clone(d.browsers), func(s store.Subscription) bool { return s.UserID != by }), nil
}

func (d *desk) Unsubscribe(_ context.Context, by chat.UserID, id string) error {
	defer d.lock()()
	parsed(id)
	was := len(d.browsers)
	d.browsers = slices.DeleteFunc(d.browsers, func(s store.Subscription) bool { return s.UserID == by && s.ID == id })
	if len(d.browsers) == was {
		return fault.New(fault.NotFound, "there is no such subscription among yours")
	}
	return nil
}

// administers says whether somebody may change what is the workspace's.
func (d *desk) administers(by chat.UserID, ws chat.WorkspaceID) error {
	m, err := d.membership(by, ws)
	if err == nil && !m.Role.Administers() {
		err = fault.New(fault.Forbidden, "administrators manage webhooks")
	}
	return err
}

func (d *desk) AddWebhook(_ context.Context, by chat.UserID, ws chat.WorkspaceID, url string) (store.Webhook, error) {
	defer d.lock()()
	if err := d.administers(by, ws); err != nil {
		return store.Webhook{}, err
	}
	if url == "" {
		return store.Webhook{}, fault.New(fault.Invalid, "url is an address")
	}
	id := d.id("h")
	secret := sha256.Sum256([]byte(id))
	d.webhooks = append(d.webhooks, store.Webhook{ID: id, WorkspaceID: ws, URL: url, Secret: secret[:], CreatedBy: by, CreatedAt: d.now})
	return d.webhooks[len(d.webhooks)-1], nil
}

func (d *desk) Webhooks(_ context.Context, by chat.UserID, ws chat.WorkspaceID) ([]store.Webhook, error) {
	defer d.lock()()
	return slices.DeleteFunc(slices.Clone(d.webhooks), func(h store.Webhook) bool { return h.WorkspaceID != ws }), d.administers(by, ws)
}

func (d *desk) RemoveWebhook(_ context.Context, by chat.UserID, ws chat.WorkspaceID, id string) error {
	defer d.lock()()
	if err := d.administers(by, ws); err != nil {
		return err
	}
	parsed(id)
	was := len(d.webhooks)
	d.webhooks = slices.DeleteFunc(d.webhooks, func(h store.Webhook) bool { return h.WorkspaceID == ws && h.ID == id })
	if len(d.webhooks) == was {
		return fault.New(fault.NotFound, "there is no such webhook")
	}
	return nil
}

// schedule is the desk's schedule: its List is another one than that of sign-ins.
type schedule struct{ *desk }

func (s schedule) Schedule(_ context.Context, by chat.UserID, n store.NewScheduled) (job.Scheduled, error) {
	defer s.lock()()
	if _, err := s.membership(by, n.WorkspaceID); err != nil {
		return job.Scheduled{}, err
	}
	if !n.At.After(s.now) || n.At.Sub(s.now) > 10*chat.MaxScheduleAhead {
		return job.Scheduled{}, fault.New(fault.Invalid, "at is not ahead")
	}
	made := job.Scheduled{
		ID: s.id("j"), Kind: n.Kind, WorkspaceID: n.WorkspaceID, UserID: by, ChannelID: n.ChannelID, Seq: n.Seq, Thread: n.Thread,
		ClientMsgID: n.ClientMsgID, Body: n.Body, At: n.At, CreatedAt: s.now,
	}
	if made.Kind == job.Later {
		made.ClientMsgID = cmp.Or(made.ClientMsgID, chat.ClientMsgID(s.id("m")))
	}
	s.waiting = append(s.waiting, made)
	return made, nil
}

func (s schedule) List(_ context.Context, by chat.UserID, ws chat.WorkspaceID) ([]job.Scheduled, error) {
	defer s.lock()()
	_, err := s.membership(by, ws)
	return slices.DeleteFunc(slices.Clone(s.waiting), func(j job.Scheduled) bool { return j.UserID != by || j.WorkspaceID != ws }), err
}

func (s schedule) Cancel(_ context.Context, by chat.UserID, ws chat.WorkspaceID, id string) error {
	defer s.lock()()
	if _, err := s.membership(by, ws); err != nil {
		return err
	}
	parsed(id)
	was := len(s.waiting)
	s.waiting = slices.DeleteFunc(s.waiting, func(j job.Scheduled) bool { return j.UserID == by && j.WorkspaceID == ws && j.ID == id })
	if len(s.waiting) == was {
		return fault.New(fault.NotFound, "nothing of yours waits by this name")
	}
	return nil
}

// Show answers as the ledger does: it asks nobody who asks, and finds a message by its workspace and seq.
func (d *desk) Show(_ context.Context, q rpc.LedgerRequest) (rpc.LedgerReply, error) {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	d.asked = q
	i := slices.IndexFunc(d.log.messages, func(m chat.Message) bool { return m.Seq == q.Seq })
	if i < 0 {
		return rpc.LedgerReply{}, fault.New(fault.NotFound, "there is no such message")
	}
	m := d.log.messages[i]
	reply := rpc.LedgerReply{
		WorkspaceID: q.WorkspaceID, ChannelID: m.ChannelID, Seq: m.Seq, Epoch: m.Epoch, SenderID: m.SenderID, StoredAt: m.PostedAt, Routed: true,
	}
	for _, id := range []chat.UserID{"ualice", "ubob", "ucarol"} {
		switch {
		case id <= q.After || q.UserID != "" && q.UserID != id:
		case len(reply.Recipients) == q.Limit:
			reply.Next = reply.Recipients[q.Limit-1].UserID
		default:
			reply.Recipients = append(reply.Recipients, rpc.Recipient{
				UserID: id, Status: chat.DeliveryPending, Why: chat.OwedMention, Next: m.PostedAt.Add(time.Minute), Attempts: 1, Error: "it answers 503",
				Story: []rpc.Step{{At: m.PostedAt, What: "stored"}, {At: m.PostedAt.Add(time.Second), What: "attempt", Text: "it answers 503"}},
			})
		}
	}
	return reply, nil
}
