package audit

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/verify/audit/copies"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

const (
	freshAtOnce = 40 // events of a log that are looked through at one time for messages to follow
	looksLeast  = 12 // a message is followed for so many looks, also when its jobs have ended: nothing may move back
	looksMost   = 60 // and for no more than so many: another one wants its place
)

// tailing is where a workspace's log is read on for messages to follow.
type tailing struct {
	space  string
	types  map[string]string // of its channels
	stream jetstream.Stream  // nil: not found yet
	filter string
	from   uint64 // the next seq that is of interest
}

// followed is a message whose jobs are looked at.
type followed struct {
	owed
	looks int
}

// follow writes down how the jobs of some messages move during the load, until ctx ends. What does not answer is asked at the next look.
func (a *Audit) follow(ctx context.Context) {
	if a.js == nil {
		return
	}
	var tails []*tailing
	for _, w := range a.Run.Workspaces {
		tails = append(tails, &tailing{space: w.ID, types: typesOf(w)})
	}
	var all []followed
	for client.Wait(ctx, a.Every) == nil {
		looking, cancel := context.WithTimeout(ctx, lookTimeout)
		for _, t := range tails {
			for _, m := range a.fresh(looking, t) {
				if len(all) < jobsAtOnce {
					all = append(all, followed{owed: m})
				}
			}
		}
		still := all[:0]
		for _, m := range all {
			jobs, open, err := a.jobsOf(looking, m.owed)
			for _, j := range jobs {
				a.job(j)
			}
			m.looks++
			if m.looks < looksMost && (err != nil || open != "" || m.looks < looksLeast) {
				still = append(still, m)
			}
		}
		all = still
		cancel()
	}
}

// fresh is what was said since the last look that may wake somebody, or some of it. An answer may come from a replica that is behind.
func (a *Audit) fresh(ctx context.Context, t *tailing) (some []owed) {
	if t.stream == nil && !a.findTail(ctx, t) {
		return nil
	}
	if info, err := t.stream.Info(ctx); err == nil && info.State.LastSeq > t.from+freshAtOnce*streams.Shards {
		t.from = info.State.LastSeq - freshAtOnce // far behind: what lies between is followed by nobody
	}
	for range freshAtOnce {
		m, err := t.stream.GetMsg(ctx, max(t.from, 1), jetstream.WithGetMsgSubject(t.filter))
		if err != nil {
			return some // there is no more, or nobody answers
		}
		t.from = m.Sequence + 1
		if e := copies.EventOf(m.Subject, m.Data, record.Event{Space: t.space, Seq: int64(m.Sequence)}); owes(e, t.types) {
			some = append(some, owed{t.space, e.Channel, e.Seq})
		}
	}
	return some
}

// findTail looks which stream has a workspace.
func (a *Audit) findTail(ctx context.Context, t *tailing) bool {
	for shard := range streams.Shards {
		filter, err := streams.ChatWorkspaceFilter(shard, chat.WorkspaceID(t.space))
		if err != nil {
			return false
		}
		stream, err := a.js.Stream(ctx, streams.ChatStream(shard))
		if err != nil {
			continue
		}
		if _, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(filter)); err == nil {
			t.stream, t.filter = stream, filter
			return true
		}
	}
	return false
}
