package workload_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/burst"
	"github.com/canopychat/canopy/ops/verify/workload/phrase"
)

// town is a small chat in memory: one log for all, with members and ids.
type town struct {
	rec    *record.Recorder
	spaces []record.Workspace

	mu      sync.Mutex
	seq     int64
	members map[string]map[string]bool // by channel: logins
	log     map[int64]stored
	ids     map[string]int64 // of a sender and an id
	banned  map[string]bool
	revoked map[string]bool // devices
	ops     []record.Op
	doing   int // now
	most    int // at once
	busyFor time.Duration
	limits  map[string]time.Time // of who sends a burst: until when what they sent counts; nil: there is no limit
}

// How often one person may send in a burst, and how many at once.
const everySend, burstOf = 10 * time.Millisecond, 150

// allows is whether the town has room for one more send of somebody's burst; if not, how long it has none.
func (t *town) allows(login string) (bool, time.Duration) {
	if t.limits == nil {
		return true, 0
	}
	now := time.Now()
	until := t.limits[login]
	if until.Before(now) {
		until = now
	}
	if over := until.Sub(now) - (burstOf-1)*everySend; over > 0 {
		return false, over
	}
	t.limits[login] = until.Add(everySend)
	return true, 0
}

type stored struct {
	sender, channel, id, body string
	deleted                   bool
}

// hand is one device of somebody.
type hand struct {
	t     *town
	p     record.Person
	name  string
	space record.Workspace

	mu     sync.Mutex
	signed bool
	open   []string
	made   int
	shut   bool
}

func (h *hand) Open() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.open)
}

func (h *hand) Cursor(string) string {
	h.t.mu.Lock()
	defer h.t.mu.Unlock()
	return fmt.Sprintf("1.%d", h.t.seq)
}

func (h *hand) Shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shut, h.open = true, nil
}

// Do takes as long as the town does.
func (h *hand) Do(ctx context.Context, op *record.Op) {
	h.t.rec.Begin(op)
	h.t.begins()
	wait := h.t.busyFor
	if op.F == record.Stall {
		wait = time.Hour
	}
	timer := time.NewTimer(wait)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	op.Code = h.answer(op)
	switch {
	case op.Code == "":
		op.Outcome = record.OK
	case op.Code == "no answer":
		op.Outcome = record.Unknown
	default:
		op.Outcome = record.Refused
	}
	h.t.ends(*op)
	h.t.rec.Done(*op)
}

func (t *town) begins() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doing++
	t.most = max(t.most, t.doing)
}

func (t *town) ends(op record.Op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doing--
	t.ops = append(t.ops, op)
}

// answer is the code of a refusal; empty when all is well.
func (h *hand) answer(op *record.Op) string {
	t := h.t
	t.mu.Lock()
	defer t.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if op.F == record.Login {
		h.signed = !t.banned[h.p.Login]
	}
	if !h.signed || t.banned[h.p.Login] || t.revoked[h.name] {
		h.open = nil
		return "unauthenticated"
	}
	switch op.F {
	case record.Connect:
		h.made++
		op.Conn = fmt.Sprintf("%s/%d", h.name, h.made)
		h.open = append(h.open, op.Conn)
	case record.Close:
		h.open = slices.DeleteFunc(h.open, func(c string) bool { return c == op.Conn })
	case record.Logout:
		h.signed, h.open = false, nil
	case record.Revoke:
		t.revoked[op.Target] = true
	case record.Ban:
		t.banned[op.Target] = true
	case record.Probe:
		return "not_found"
	case record.Marks:
		for _, c := range h.space.Channels {
			if t.members[c.ID][h.p.Login] {
				op.Read = append(op.Read, record.ReadAt{Channel: c.ID})
			}
		}
	case record.Send:
		return t.send(h.p, op)
	default:
		return t.other(h, op)
	}
	return ""
}

// send is about messages.
func (t *town) send(p record.Person, op *record.Op) string {
	switch {
	case strings.TrimSpace(op.Body) == "" || strings.ContainsAny(op.ID, "*>. /\x00ä") || len(op.ID) > 64:
		return "invalid"
	case len(op.Body) > phrase.MaxBody:
		return "too_large"
	case !t.members[op.Channel][p.Login]:
		return "not_found"
	}
	if op.Phase == burst.Phase {
		in, wait := t.allows(p.Login)
		if op.RetryIn = wait; !in {
			return "rate_limited"
		}
	}
	key := p.Login + " " + op.ID
	if seq := t.ids[key]; seq > 0 {
		if old := t.log[seq]; old.body != op.Body || old.channel != op.Channel {
			return "conflict"
		}
		op.Seq, op.Duplicate = seq, true
		return ""
	}
	t.seq++
	t.ids[key], t.log[t.seq] = t.seq, stored{sender: p.ID, channel: op.Channel, id: op.ID, body: op.Body}
	if op.Seq = t.seq; t.seq%40 == 0 && op.Phase == "" {
		op.Seq = 0
		return "no answer"
	}
	return ""
}

// other is about changes, members and pages.
func (t *town) other(h *hand, op *record.Op) string {
	in := t.members[op.Channel]
	m := t.log[op.Message]
	switch op.F {
	case record.Join:
		in[h.p.Login] = true
	case record.Leave:
		delete(in, h.p.Login)
	case record.Add:
		in[op.Target] = true
	case record.Kick:
		if h.space.People[0].Login != h.p.Login {
			return "forbidden"
		}
		delete(in, op.Target)
	case record.Edit, record.Delete:
		if m.sender != h.p.ID {
			return "forbidden"
		}
		m.deleted = op.F == record.Delete
		t.log[op.Message] = m
	case record.Page:
		if !in[h.p.Login] {
			return "not_found"
		}
		for seq := t.seq; seq > 0 && len(op.Messages) < op.Limit; seq-- {
			if m := t.log[seq]; m.channel == op.Channel {
				op.Messages = append(op.Messages, record.Message{Seq: seq, Sender: m.sender, Body: m.body, Deleted: m.deleted})
			}
		}
	}
	return ""
}

// sure is a hand whose answers hang on nothing but the op, as does when they come.
type sure struct {
	t    *town
	name string
	open int // guarded by the town's mu
}

func (h *sure) Do(ctx context.Context, op *record.Op) {
	h.t.rec.Begin(op)
	sum := fnv.New64a()
	_, _ = fmt.Fprint(sum, op.F, op.ID, op.Body, op.Device, op.Conn, op.Message, op.Again) // it cannot fail
	timer := time.NewTimer(time.Duration(sum.Sum64()%1e6) * time.Microsecond)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	h.t.mu.Lock()
	defer h.t.mu.Unlock()
	if op.Outcome, op.Seq = record.OK, int64(sum.Sum64()%1e6); op.F == record.Connect {
		h.open++
		op.Conn = fmt.Sprintf("%s/%d", h.name, h.open)
	}
	h.t.ops = append(h.t.ops, *op)
	h.t.rec.Done(*op)
}
