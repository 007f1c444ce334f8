package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// replayIdle is how long nothing must come before a replay counts as whole, where the log does not say what its last event is.
const replayIdle = 5 * time.Second

// Replays writes down what a fresh socket tells at each gateway that begins before the first event: the messages as they are after all
// that was told.
func (a *Audit) Replays(ctx context.Context) { a.each(ctx, a.Gateways, a.replay) }

func (a *Audit) replay(ctx context.Context, e eyes, at Place) error {
	c, err := e.at(ctx, e.client.URL())
	if err != nil {
		return err
	}
	epoch, last, err := a.endOf(ctx, c, e.Workspace)
	if err != nil {
		return err
	}
	conn := live.Connect(c, live.Options{
		Workspace: chat.WorkspaceID(e.Workspace), URL: at.URL, Cursor: chat.Cursor{Epoch: chat.Epoch(epoch)}, NoFill: true, NoConfirm: true,
	})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- conn.Run(running) }()
	told := newFold()
	err = a.listen(ctx, conn.Events(), told, last)
	stop()
	for range conn.Events() { // Run ends when nobody keeps it waiting
	}
	if failed := <-ended; err == nil || failed != nil {
		err = errors.Join(err, failed)
	}
	if err == nil {
		a.keep(told.kept(record.Kept{View: "replay of " + e.Login + " at " + at.Name, Who: e.Login, Space: e.Workspace, Replay: true}))
	}
	return err
}

// endOf is the last event that somebody is told, of those channels that they are in, and its epoch. Without a log the last is 0.
func (a *Audit) endOf(ctx context.Context, c *client.Client, space string) (epoch, last int64, err error) {
	joined := map[string]bool{}
	for ch, err := range c.Channels(ctx, chat.WorkspaceID(space)) {
		if err != nil {
			return 0, 0, fmt.Errorf("their channels: %w", err)
		}
		joined[string(ch.ID)] = ch.Joined
	}
	epoch = 1
	for _, e := range a.logs[space] {
		epoch = max(epoch, e.Epoch)
		if joined[e.Channel] && !e.Erased && e.Kind != record.Unreadable {
			last = e.Seq
		}
	}
	return epoch, last, nil
}

// listen takes what comes up to the last event. Events come in rising order, so with the last one everything has come that will.
func (a *Audit) listen(ctx context.Context, events <-chan live.Event, to *fold, last int64) error {
	idle := time.NewTimer(replayIdle)
	defer idle.Stop()
	online := false
	for last == 0 || to.last < last {
		select {
		case e, open := <-events:
			if !open {
				return errors.New("the socket ended")
			}
			idle.Reset(replayIdle)
			if _, ok := e.(live.Online); ok {
				online = true
			}
			if err := to.take(toldBy(e)); err != nil {
				return err
			}
		case <-idle.C:
			if last == 0 && online {
				return nil
			}
			idle.Reset(replayIdle)
		case <-ctx.Done():
			return fmt.Errorf("it came up to %d of %d (online: %t)", to.last, last, online)
		}
	}
	return nil
}

// fold is messages as they are after what was told, by rules of our own: the product's must give the same.
type fold struct {
	last     int64
	messages map[int64]*record.Kept
	stands   map[int64]map[string]bool // reactions, by message
}

func newFold() *fold {
	return &fold{messages: map[int64]*record.Kept{}, stands: map[int64]map[string]bool{}}
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

func (f *fold) take(t record.Told) error {
	switch t.T {
	case record.Resync:
		return fmt.Errorf("there is no replay from the beginning: resync %s up to %d", t.Code, t.Head)
	case record.Gap:
		return fmt.Errorf("events of %s up to %d did not come", t.Channel, t.Seq)
	case record.Posted:
		f.last = max(f.last, t.Seq)
		f.messages[t.Seq] = &record.Kept{Channel: t.Channel, Message: record.Message{
			Seq: t.Seq, Sender: t.Sender, ID: t.ID, Body: t.Body, Thread: t.Thread, Deleted: t.Deleted,
		}}
	case record.Changed:
		f.last = max(f.last, t.Seq)
		f.change(t)
	}
	return nil
}

// change leaves alone what was not told: its message was taken out of the log, or posted before its reader came.
func (f *fold) change(t record.Told) {
	k, seq := f.messages[t.Message], t.Message
	if k == nil || k.Deleted {
		return
	}
	line := reaction(t.Emoji, t.Sender)
	switch event.Kind(t.Kind) {
	case event.MessageEdited:
		k.Body, k.Edited = t.Body, true
	case event.MessageDeleted:
		k.Message = record.Message{Seq: seq, Sender: k.Sender, ID: k.ID, Thread: k.Thread, Deleted: true}
		delete(f.stands, seq)
	case event.ReactionAdded:
		if f.stands[seq] == nil {
			f.stands[seq] = map[string]bool{}
		}
		f.stands[seq][line] = true
	case event.ReactionRemoved:
		delete(f.stands[seq], line)
	}
}

// kept is all messages, by their seqs, each with what view says.
func (f *fold) kept(view record.Kept) (all []record.Kept) {
	for seq, k := range f.messages {
		for line := range f.stands[seq] {
			k.Reactions = append(k.Reactions, line)
		}
		slices.Sort(k.Reactions)
		view.Channel, view.Message = k.Channel, k.Message
		all = append(all, view)
	}
	slices.SortFunc(all, func(a, b record.Kept) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}
