package api_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// memory is the log and the history of all channels, in memory: one seq for everything, as one shard has.
type memory struct {
	mu       sync.Mutex
	seq      chat.Seq
	messages []chat.Message // by seq
	place    store.ChannelPlace
	change   event.Change // the last one
	fail     error        // of every call
	boom     bool         // panic instead
	wait     func()       // before anything; nil: nothing
}

func (m *memory) Submit(_ context.Context, c event.Change) (event.Receipt, error) {
	if m.wait != nil {
		m.wait()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change = c
	switch {
	case m.boom:
		panic("the secret of the log")
	case m.fail != nil:
		return event.Receipt{}, m.fail
	case !c.Standing.InIt:
		return event.Receipt{}, fault.New(fault.NotFound, "there is no such channel, or you are not in it")
	case !c.Standing.MayPost():
		return event.Receipt{}, fault.New(fault.Forbidden, "the channel is archived")
	}
	if c.Kind == event.MessagePosted {
		return m.post(c)
	}
	i := slices.IndexFunc(m.messages, func(msg chat.Message) bool { return msg.Seq == c.MessageSeq && msg.ChannelID == c.ChannelID })
	if i < 0 {
		return event.Receipt{}, fault.New(fault.NotFound, "there is no such message")
	}
	m.seq++
	return event.Receipt{Seq: m.seq, At: time.Now()}, m.apply(&m.messages[i], c)
}

func (m *memory) post(c event.Change) (event.Receipt, error) {
	if err := chat.CheckBody(c.Body, 0); err != nil {
		return event.Receipt{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	for _, msg := range m.messages {
		if msg.SenderID == c.UserID && msg.ClientMsgID == c.ClientMsgID {
			if msg.Body != c.Body {
				return event.Receipt{}, fault.New(fault.Conflict, "this client_msg_id was sent with another body")
			}
			return event.Receipt{Seq: msg.Seq, At: msg.PostedAt, Duplicate: true}, nil
		}
	}
	m.seq++
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))
	m.messages = append(m.messages, chat.Message{
		ChannelID: c.ChannelID, Seq: m.seq, Epoch: c.Epoch, SenderID: c.UserID, Body: c.Body,
		ClientMsgID: c.ClientMsgID, Thread: c.Thread, PostedAt: at,
	})
	return event.Receipt{Seq: m.seq, At: at}, nil
}

func (m *memory) apply(msg *chat.Message, c event.Change) error {
	switch c.Kind {
	case event.MessageEdited:
		if !c.Standing.MayEdit(msg.SenderID, c.UserID) {
			return fault.New(fault.Forbidden, "only its author may edit a message")
		}
		msg.Body, msg.EditedAt = c.Body, msg.PostedAt.Add(time.Second)
	case event.MessageDeleted:
		msg.Deleted = true
	case event.ReactionAdded:
		msg.Reactions = append(msg.Reactions, chat.Reaction{Emoji: c.Emoji, UserIDs: []chat.UserID{c.UserID}})
	case event.ReactionRemoved:
		msg.Reactions = slices.DeleteFunc(msg.Reactions, func(r chat.Reaction) bool { return r.Emoji == c.Emoji })
	case event.PinAdded, event.PinRemoved:
		msg.Pinned = c.Kind == event.PinAdded
	}
	return nil
}

func (m *memory) Page(_ context.Context, at store.ChannelPlace, q store.PageQuery) (store.Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.place = at
	if m.fail != nil {
		return store.Reading{}, m.fail
	}
	var found []chat.Message
	for _, msg := range m.messages {
		if msg.ChannelID == q.ChannelID && (q.Thread == 0 || msg.Thread == q.Thread) &&
			(q.Before == 0 || msg.Seq < q.Before) && (q.After == 0 || msg.Seq > q.After) {
			found = append(found, msg)
		}
	}
	more := len(found) > q.Limit
	if more && q.After != 0 {
		found = found[:q.Limit]
	} else if more {
		found = found[len(found)-q.Limit:]
	}
	slices.SortFunc(found, func(a, b chat.Message) int { return cmp.Compare(b.Seq, a.Seq) })
	return store.Reading{Page: store.Page{Messages: found, HasMore: more}, CompleteThrough: m.seq}, nil
}

func (m *memory) Pins(_ context.Context, at store.ChannelPlace) (store.Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []chat.Message
	for _, msg := range slices.Backward(m.messages) {
		if msg.ChannelID == at.ChannelID && msg.Pinned {
			found = append(found, msg)
		}
	}
	return store.Reading{Page: store.Page{Messages: found}, CompleteThrough: m.seq}, nil
}

func (m *memory) set(fail error, boom bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail, m.boom = fail, boom
}

func (m *memory) lastChange() event.Change {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.change
}

// kept is the answers that are kept for Idempotency-Keys, in memory.
type kept struct {
	mu   sync.Mutex
	rows map[string]*keptRow
}

type keptRow struct {
	key   store.IdempotencyKey
	ended bool
	store.Answered
}

func newKept() *kept { return &kept{rows: map[string]*keptRow{}} }

func (k *kept) Begin(_ context.Context, key store.IdempotencyKey) (store.Answered, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := string(key.UserID) + " " + key.Key
	row := k.rows[at]
	switch {
	case row == nil || !row.ended && key.At.Sub(row.key.At) > row.key.Lease:
		k.rows[at] = &keptRow{key: key}
		return store.Answered{}, false, nil
	case row.key.Request != key.Request:
		return store.Answered{}, false, fault.New(fault.Conflict, "another request has this key")
	case !row.ended:
		return store.Answered{}, false, fault.New(fault.Conflict, "the first request with this key is being done")
	}
	return row.Answered, true, nil
}

func (k *kept) End(_ context.Context, key store.IdempotencyKey, a store.Answered) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := string(key.UserID) + " " + key.Key
	if a.Status == 0 {
		delete(k.rows, at)
		return nil
	}
	k.rows[at].ended, k.rows[at].Answered = true, a
	return nil
}
