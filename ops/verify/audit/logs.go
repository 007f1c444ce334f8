package audit

import (
	"cmp"
	"context"

	"github.com/canopychat/canopy/ops/verify/audit/copies"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// Logs writes down the logs of all workspaces as the leader has them, and as each replica has its own copy of them.
func (a *Audit) Logs(ctx context.Context) {
	if a.js == nil {
		a.Say("the hub is not known: the logs are left out")
		return
	}
	if a.Lost != nil {
		for _, e := range a.Lost() {
			a.logs[e.Space] = append(a.logs[e.Space], e)
		}
	}
	for _, w := range a.Run.Workspaces {
		found := false
		a.begins[w.ID] = chat.Cursor{Epoch: 1}
		for shard := range streams.Shards {
			l, err := copies.Find(ctx, a.js, w.ID, shard)
			if err != nil {
				a.miss("the log of %s in %s: %v", w.Name, streams.ChatStream(shard), err)
			} else if l.Wanted > 0 {
				found = true
				a.begins[w.ID] = chat.Cursor{Epoch: 1, Seq: l.Begins}
				l.Read(ctx, a.Patience, func(c copies.Copy) { a.takeCopy(w.ID, l, c) })
			}
		}
		if !found {
			a.miss("the log of %s: no stream has it", w.Name)
		}
	}
}

// takeCopy writes down a server's copy; the leader's is what the stream has, too.
func (a *Audit) takeCopy(space string, l *copies.Log, c copies.Copy) {
	if c.Err != nil {
		a.miss("the copy of %s on %s: %v", l.Filter, cmp.Or(c.Server, "the server"), c.Err)
	}
	if c.Server == l.Leader {
		a.logs[space] = append(a.logs[space], c.Events...)
		for _, e := range c.Events {
			begins := a.begins[space]
			begins.Epoch = max(begins.Epoch, chat.Epoch(e.Epoch))
			a.begins[space] = begins
		}
	}
	for _, e := range l.Lines(c, 0) {
		a.Rec.Add(record.Line{Event: &e})
	}
}
