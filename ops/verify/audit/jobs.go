package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/rpc"
)

const (
	jobsAtOnce = 16  // messages whose jobs are followed during the load
	jobsAtEnd  = 300 // messages whose jobs are looked at when all is quiet
)

// soonTried is how soon a job's next attempt may come so that it is waited for also where jobs may wait for long.
const soonTried = 10 * time.Second

// owed is a message that somebody may have to be woken for.
type owed struct {
	space   string
	channel string
	seq     int64
}

// owes reports whether an event is a message that may have to wake somebody: it names people, or was said to them alone.
func owes(e record.Event, types map[string]string) bool {
	if e.Kind != string(event.MessagePosted) || e.Erased {
		return false
	}
	return chat.ChannelType(types[e.Channel]).Direct() || !chat.MentionsOf(e.Body).Nobody()
}

// Jobs writes down how everybody's notice of the messages stands that woke somebody, once none of them is under way any more. It needs
// the logs: call Logs first. Of very many messages some are looked at, evenly from the first to the last.
func (a *Audit) Jobs(ctx context.Context) {
	if a.js == nil {
		a.Say("the hub is not known: jobs of delivery are left out")
		return
	}
	var all []owed
	for _, w := range a.Run.Workspaces {
		types := typesOf(w)
		for _, e := range a.logs[w.ID] {
			if owes(e, types) {
				all = append(all, owed{w.ID, e.Channel, e.Seq})
			}
		}
	}
	looked := evenly(all, jobsAtEnd)
	if len(looked) < len(all) {
		a.Say(fmt.Sprintf("of %d messages that are owed to somebody %d are looked at", len(all), len(looked)))
	}
	ended := make(map[owed][]record.Job, len(looked))
	waiting := looked
	err := a.until(ctx, func(ctx context.Context) (failed error) {
		var still []owed
		for _, m := range waiting {
			jobs, open, err := a.jobsOf(ctx, m)
			if err == nil {
				ended[m] = jobs
				if open == "" {
					continue
				}
				err = errors.New(open)
			}
			if still = append(still, m); failed == nil {
				failed = fmt.Errorf("that of %d in %s: %w", m.seq, m.channel, err)
			}
		}
		waiting = still
		return failed
	})
	if err != nil {
		a.miss("every job of delivery has ended: %d messages have some that have not, such as %v", len(waiting), err)
	}
	for _, m := range looked {
		for _, j := range ended[m] {
			j.Last = true
			a.job(j)
		}
	}
}

func typesOf(w record.Workspace) map[string]string {
	types := make(map[string]string, len(w.Channels))
	for _, c := range w.Channels {
		types[c.ID] = c.Type
	}
	return types
}

// evenly is at most n of all, from the first to the last.
func evenly[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	some := make([]T, n)
	for i := range some {
		some[i] = all[i*(len(all)-1)/(n-1)]
	}
	return some
}

func (a *Audit) job(j record.Job) {
	j.Time = a.Rec.Since()
	a.Rec.Add(record.Line{Job: &j})
}

// jobsOf asks the ledger of deliveries about a message. Who is owed nothing has no job. open says what has not ended.
func (a *Audit) jobsOf(ctx context.Context, m owed) (jobs []record.Job, open string, err error) {
	req := schema.LedgerRequest{
		WorkspaceID: chat.WorkspaceID(m.space), ChannelID: chat.ChannelID(m.channel), Seq: chat.Seq(m.seq), Limit: chat.MaxPageSize,
	}
	for {
		page, err := rpc.Call[schema.LedgerReply](ctx, a.Hub, rpc.Method{Service: streams.ServiceLedger, Method: streams.LedgerShow}, req)
		if err != nil {
			return nil, "", err
		}
		if !page.Routed {
			open = "who is owed it is not decided"
		}
		for _, r := range page.Recipients {
			if r.Why == "" {
				continue
			}
			who := cmp.Or(r.Login, string(r.UserID))
			waits := a.JobsWait && r.Status == chat.DeliveryPending && time.Until(r.Next) > soonTried
			jobs = append(jobs, record.Job{Space: m.space, Channel: m.channel, Message: m.seq, Who: who, State: string(r.Status), Reason: r.Reason, Waits: waits})
			if r.Status == chat.DeliveryPending && !waits {
				open = fmt.Sprintf("it waits for %s, after %d attempts %s", who, r.Attempts, r.Error)
			}
		}
		if req.After = page.Next; page.Next == "" {
			return jobs, open, nil
		}
	}
}
