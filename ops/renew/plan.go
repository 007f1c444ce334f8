package renew

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/provision"
)

// Margin is how far above all that the stores know a new log begins. What was given out after the last that they noted is
// not known: some seconds of events when all is well, and as many as the log holds, 72 hours, while the message store is
// away. So many are given out in 72 hours at 4,000 a second; and chat.MaxSeq has room for 200,000 of these.
const Margin chat.Seq = 1 << 30

// Directory is what is needed of a store.Directory.
type Directory interface {
	ListWorkspaces(ctx context.Context, after chat.WorkspaceID, limit int) ([]chat.Workspace, error)
	Recorded(ctx context.Context, shard int) (chat.Seq, error)
	BeginEpoch(ctx context.Context, shard int, first chat.Seq) ([]chat.Workspace, error)
}

// Config is what is renewed, and with what.
type Config struct {
	JS        jetstream.JetStream // of the hub
	Wanted    *provision.Wanted
	Log       persist.ReplayLog // of the same hub
	Messages  persist.Store
	Directory Directory
	All       bool // also the logs that look whole
}

// Work is what a shard needs.
type Work string

// The works.
const (
	GoesOn Work = "goes on" // its log ends where the stores say, or later
	Renew  Work = "renew"   // its log begins anew
	Finish Work = "finish"  // it has been renewed, but for the last step
)

// Shard is what is known of one, and what is to be done.
type Shard struct {
	Shard      streams.Shard `json:"shard"`
	Missing    bool          `json:"missing,omitempty"` // there is no such stream
	Ends       chat.Seq      `json:"ends"`              // the last seq that the log gave
	Through    chat.Seq      `json:"complete_through"`  // up to here the message store has everything; after the work, up to where the old log is kept
	Known      chat.Seq      `json:"known"`             // the highest seq that a store knows
	Work       Work          `json:"work"`
	First      chat.Seq      `json:"first,omitempty"` // of the new log
	Unstorable int           `json:"unstorable,omitempty"`
	Workspaces []Workspace   `json:"workspaces"`

	holds chat.Seq // the first event that the old log holds
}

// Workspace is one of a shard, and its epochs.
type Workspace struct {
	ID       chat.WorkspaceID `json:"workspace_id"`
	Name     string           `json:"name"`
	Epoch    chat.Epoch       `json:"epoch"`
	NewEpoch chat.Epoch       `json:"new_epoch,omitempty"` // 0: the same
}

// Plan says what has to be done, shard by shard. It changes nothing.
func Plan(ctx context.Context, cfg Config) ([]Shard, error) {
	homes, err := cfg.workspaces(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Shard, streams.Shards)
	for shard := range all {
		if all[shard], err = cfg.look(ctx, shard); err != nil {
			return nil, fmt.Errorf("shard %d: %w", shard, err)
		}
		all[shard].Workspaces = []Workspace{}
		for _, w := range homes[shard] {
			here := Workspace{ID: w.ID, Name: w.Name, Epoch: w.Epoch}
			if all[shard].Work == Renew {
				here.NewEpoch = w.Epoch + 1
			}
			all[shard].Workspaces = append(all[shard].Workspaces, here)
		}
	}
	return all, nil
}

// workspaces are those of each shard.
func (cfg Config) workspaces(ctx context.Context) (map[streams.Shard][]chat.Workspace, error) {
	homes := map[streams.Shard][]chat.Workspace{}
	for after := chat.WorkspaceID(""); ; {
		page, err := cfg.Directory.ListWorkspaces(ctx, after, chat.MaxPageSize)
		if err != nil {
			return nil, fmt.Errorf("list the workspaces: %w", err)
		}
		for _, w := range page {
			homes[w.Shard], after = append(homes[w.Shard], w), w.ID
		}
		if len(page) < chat.MaxPageSize {
			return homes, nil
		}
	}
}

// look is what is known of a shard.
func (cfg Config) look(ctx context.Context, shard streams.Shard) (Shard, error) {
	extent, err := provision.ExtentOf(ctx, cfg.JS, streams.ChatStream(shard))
	if err != nil {
		return Shard{}, err
	}
	through, err := cfg.Messages.Progress(ctx, shard)
	if err != nil {
		return Shard{}, fmt.Errorf("how far the message store is: %w", err)
	}
	recorded, err := cfg.Directory.Recorded(ctx, shard)
	if err != nil {
		return Shard{}, fmt.Errorf("what the directory has recorded: %w", err)
	}
	s := Shard{
		Shard: shard, Missing: extent.Missing, Ends: chat.Seq(extent.Last), Through: through,
		Known: max(through, recorded, chat.Seq(extent.Last)), holds: chat.Seq(extent.First),
	}
	s.Work = workOf(s, extent, max(through, recorded), cfg.All)
	switch s.Work {
	case Renew:
		if s.First = s.Known + Margin + 1; s.First > chat.MaxSeq-Margin {
			return Shard{}, fmt.Errorf("no seqs are left above %d", s.Known)
		}
	case Finish:
		s.First = chat.Seq(extent.Origin)
	}
	return s, nil
}

// workOf says what a shard needs. seen is how far its log had come, as the stores know; before that, no process starts.
func workOf(s Shard, extent provision.Extent, seen chat.Seq, all bool) Work {
	origin := chat.Seq(extent.Origin)
	switch {
	case s.Ends < seen:
		return Renew
	case origin > 1 && s.Ends == origin-1 && s.Through < s.Ends:
		return Finish
	case all && s.Known > 0 && (origin <= 1 || s.Ends >= origin): // not one that is new already
		return Renew
	}
	return GoesOn
}
