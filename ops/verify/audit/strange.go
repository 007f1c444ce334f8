package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/verify/audit/fold"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger"
	"github.com/canopychat/canopy/schemas/chat"
)

// strangeIdle is how long nothing must come before the stranger's replay ends without its last event.
const strangeIdle = 20 * time.Second

// Strange writes down what the owners see with eyes that share no code with the product: every channel at one of the APIs, and a replay at
// one of the gateways.
func (a *Audit) Strange(ctx context.Context) {
	if len(a.Gateways) == 0 {
		a.Say("no gateway is known: the stranger's views are left out")
		return
	}
	a.each(ctx, a.Gateways[len(a.Gateways)-1:], a.strange)
}

func (a *Audit) strange(ctx context.Context, e eyes, at Place) (err error) {
	if !e.Owner {
		return nil
	}
	api := near(a.APIs, at.Region)
	h, err := stranger.New(stranger.Config{
		Rec: a.Rec, REST: api.URL, Sockets: map[string]string{at.Name: at.URL}, Login: e.Login, Password: e.Password,
		Device: "audit", Workspace: e.Workspace,
	})
	if err != nil {
		return err
	}
	defer h.Shut()
	if err := h.SignIn(ctx); err != nil {
		return err
	}
	return errors.Join(a.strangeHistory(ctx, e, h, api), a.strangeReplay(ctx, e, h, at))
}

func (a *Audit) strangeHistory(ctx context.Context, e eyes, h *stranger.Hand, at Place) error {
	var all []record.Kept
	for ch, err := range e.client.Channels(ctx, chat.WorkspaceID(e.Workspace)) {
		if err != nil {
			return fmt.Errorf("their channels: %w", err)
		}
		if !ch.Joined {
			continue
		}
		messages, complete, err := h.History(ctx, string(ch.ID))
		if err != nil {
			return fmt.Errorf("the stranger: %w", err)
		}
		if upTo := a.lastOf(e.Workspace, string(ch.ID)); complete < upTo {
			return fmt.Errorf("the stranger's history of %s is complete up to %d, and the log goes up to %d", ch.ID, complete, upTo)
		}
		for _, m := range messages {
			all = append(all, record.Kept{
				View: "history of " + e.Login + " at " + at.Name + ", by the stranger", Who: e.Login, Space: e.Workspace, Channel: string(ch.ID), Message: m,
			})
		}
	}
	a.keep(all)
	return nil
}

func (a *Audit) strangeReplay(ctx context.Context, e eyes, h *stranger.Hand, at Place) error {
	last, err := a.endOf(ctx, e.client, e.Workspace)
	if err != nil {
		return err
	}
	told, err := h.Replay(ctx, stranger.Replaying{
		At: at.Name, After: int64(a.begins[e.Workspace].Seq), Until: last, Quiet: strangeIdle,
	})
	if err != nil {
		return fmt.Errorf("the stranger: %w", err)
	}
	to := fold.New()
	for _, t := range told {
		if err := to.Take(t); err != nil {
			return fmt.Errorf("the stranger: %w", err)
		}
	}
	if to.Last < last {
		return fmt.Errorf("the stranger's replay came up to %d of %d", to.Last, last)
	}
	a.keep(to.Kept(record.Kept{View: "replay of " + e.Login + " at " + at.Name + ", by the stranger", Who: e.Login, Space: e.Workspace, Replay: true}))
	return nil
}
