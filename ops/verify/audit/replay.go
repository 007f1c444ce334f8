package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/verify/audit/fold"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
)

// replayIdle is how long nothing must come before a replay counts as whole, where the log does not say what its last event is.
const replayIdle = 5 * time.Second

// Replays writes down what a fresh socket tells at each gateway that begins before the first event of the log's last stream: the messages as they are after all
// that was told.
func (a *Audit) Replays(ctx context.Context) { a.each(ctx, a.Gateways, a.replay) }

func (a *Audit) replay(ctx context.Context, e eyes, at Place) error {
	c, err := e.at(ctx, e.client.URL())
	if err != nil {
		return err
	}
	last, err := a.endOf(ctx, c, e.Workspace)
	if err != nil {
		return err
	}
	from := a.begins[e.Workspace]
	conn := live.Connect(c, live.Options{
		Workspace: chat.WorkspaceID(e.Workspace), URL: at.URL, Cursor: from, NoFill: true, NoConfirm: true,
	})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- conn.Run(running) }()
	told := fold.New()
	err = a.listen(ctx, conn.Events(), told, last)
	stop()
	for range conn.Events() { // Run ends when nobody keeps it waiting
	}
	if failed := <-ended; err == nil || failed != nil {
		err = errors.Join(err, failed)
	}
	if err == nil {
		a.keep(told.Kept(record.Kept{View: "replay of " + e.Login + " at " + at.Name, Who: e.Login, Space: e.Workspace, Replay: true}))
	}
	return err
}

// endOf is the last event that somebody is told who begins at the beginning of the log's last stream, of those channels that they are in. Without
// a log it is 0.
func (a *Audit) endOf(ctx context.Context, c *client.Client, space string) (last int64, err error) {
	joined := map[string]bool{}
	for ch, err := range c.Channels(ctx, chat.WorkspaceID(space)) {
		if err != nil {
			return 0, fmt.Errorf("their channels: %w", err)
		}
		joined[string(ch.ID)] = ch.Joined
	}
	for _, e := range a.logs[space] {
		if e.Look == 0 && joined[e.Channel] && !e.Erased && e.Kind != record.Unreadable {
			last = e.Seq
		}
	}
	return last, nil
}

// listen takes what comes up to the last event. Events come in rising order, so with the last one everything has come that will.
func (a *Audit) listen(ctx context.Context, events <-chan live.Event, to *fold.Fold, last int64) error {
	idle := time.NewTimer(replayIdle)
	defer idle.Stop()
	online := false
	for last == 0 || to.Last < last {
		select {
		case e, open := <-events:
			if !open {
				return errors.New("the socket ended")
			}
			idle.Reset(replayIdle)
			if _, ok := e.(live.Online); ok {
				online = true
			}
			if err := to.Take(toldBy(e)); err != nil {
				return err
			}
		case <-idle.C:
			if last == 0 && online {
				return nil
			}
			idle.Reset(replayIdle)
		case <-ctx.Done():
			return fmt.Errorf("it came up to %d of %d (online: %t)", to.Last, last, online)
		}
	}
	return nil
}

// toldBy is what an event says, as records have it; empty when it says nothing that stays.
func toldBy(e live.Event) record.Told {
	switch e := e.(type) {
	case live.Resync:
		return record.Told{T: record.Resync, Head: int64(e.Head), Code: e.Reason}
	case live.Gap:
		return record.Told{T: record.Gap, Channel: string(e.ChannelID), Seq: int64(e.Through)}
	case live.Posted:
		m := e.Message
		return record.Told{
			T: record.Posted, Channel: string(m.ChannelID), Seq: int64(m.Seq), Sender: string(m.SenderID), ID: string(m.ClientMsgID),
			Body: m.Body, Thread: int64(m.Thread), Deleted: m.Deleted,
		}
	case live.Changed:
		return record.Told{
			T: record.Changed, Kind: string(e.Kind), Channel: string(e.ChannelID), Seq: int64(e.Seq), Sender: string(e.SenderID),
			Message: int64(e.MessageSeq), Body: e.Body, Emoji: e.Emoji,
		}
	}
	return record.Told{}
}
