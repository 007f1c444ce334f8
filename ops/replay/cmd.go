package replay

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Session is what the command has from the process it runs in: ops/cli hands it over.
type Session struct {
	Context        context.Context // ends with the first signal
	Stdout, Stderr io.Writer
	Program        string              // as the person types it
	Quote          func(string) string // makes a word for the shell
	Progress       ctl.Progress

	// Reach connects to the deployment and reads its settings. The caller closes the connection.
	Reach func(operator.Where) (*bus.Conn, config.Config, error)
	// Open opens the message store of the settings. The caller closes it.
	Open func(context.Context, config.Config) (store persist.Store, closes func() error, err error)
}

// Cmd is canopy persist replay.
type Cmd struct {
	operator.Where `embed:""`
	From           string `required:"" placeholder:"SEQ|TIME" help:"Where to begin: first, a seq, a time such as 2026-03-01T08:00:00Z, or a duration before now such as 72h."`
	Shard          int    `default:"-1" placeholder:"N" help:"Only this shard (default: all of them)."`
	To             uint64 `placeholder:"SEQ" help:"The last seq to write, with --shard (default: the last one that is stored now)."`
	LeaveHole      bool   `help:"Begin at --from although events between what the store has and --from are then missing in it."`
	Cassandra      string `placeholder:"HOST,.." help:"Write to Cassandra: some nodes of its ring (default: as the settings say)."`
}

// Help is shown by canopy persist replay --help.
func (Cmd) Help() string {
	return `Reads the log in its order and writes what it says into the message store of the settings: give the --config that the deployment runs with. An empty store ends up as the one that the log filled at first; in one that is not empty, nothing changes that was right. The deployment may run meanwhile. Stopped anywhere, it says how to go on.

What the log has forgotten by age cannot be written again, nor who had posted a message that was deleted since. The store's progress, which history's complete_through rests on, moves with the replay, as long as nothing that the log still holds was left out before --from.

` + operator.WhereHelp
}

// Run is of kong.
func (c Cmd) Run(s *Session) error {
	start, err := ParseStart(c.From, time.Now())
	if err != nil {
		return config.Problemf("--from: %w", err)
	}
	shards, err := c.shards(start)
	if err != nil {
		return err
	}
	if c.Cassandra != "" {
		c.Set = append(c.Set, "cassandra.hosts="+c.Cassandra)
	}
	conn, cfg, err := s.Reach(c.Where)
	if err != nil {
		return err
	}
	defer conn.Close()
	if len(cfg.Cassandra.Hosts) == 0 {
		if _, err := os.Stat(cfg.Data); err != nil { // else an empty store would be made where nobody looks
			return config.Problemf("there is no data folder with a message store: %v", err)
		}
	}
	store, closes, err := s.Open(s.Context, cfg)
	if err != nil {
		return fmt.Errorf("open the message store: %w", err)
	}
	done, err := All(s.Context, Query{
		Log: bus.NewLog(conn), Store: store, Start: start, Shards: shards, To: chat.Seq(c.To), LeaveHole: c.LeaveHole,
		Progress: s.Progress,
	})
	if failed := closes(); err == nil && failed != nil {
		err = fmt.Errorf("close the message store: %w", failed)
	}
	if _, shown := fmt.Fprint(s.Stdout, replayedText(done)); err == nil {
		err = shown
	}
	if err != nil {
		fmt.Fprint(s.Stderr, c.resumeText(s, done))
	}
	return err
}

// shards are those to replay. A seq is one shard's: only 1 means the same in all of them.
func (c Cmd) shards(start Start) ([]streams.Shard, error) {
	switch {
	case c.Shard >= streams.Shards || c.Shard < -1:
		return nil, config.Problemf("--shard: there are shards 0 to %d", streams.Shards-1)
	case c.Shard >= 0:
		return []streams.Shard{c.Shard}, nil
	case c.To != 0:
		return nil, config.Problemf("--to: a seq is of one shard: say which one with --shard")
	case start.Seq > 1:
		return nil, config.Problemf("--from: a seq is of one shard: say which one with --shard")
	}
	all := make([]streams.Shard, streams.Shards)
	for shard := range all {
		all[shard] = shard
	}
	return all, nil
}

// replayedText says what was done.
func replayedText(all []Shard) string {
	var text strings.Builder
	for _, r := range all {
		if r.Next == r.From {
			fmt.Fprintf(&text, "shard %d: nothing was written\n", r.Shard)
			continue
		}
		fmt.Fprintf(&text, "shard %d: %d to %d, %d events", r.Shard, r.From, r.Next-1, r.Events)
		if r.Skipped > 0 {
			fmt.Fprintf(&text, ", %d that the store cannot take", r.Skipped)
		}
		if !r.Noted {
			text.WriteString("; its progress stays where it was")
		}
		text.WriteString("\n")
	}
	return text.String()
}

// resumeText is the commands that do what is left.
func (c Cmd) resumeText(s *Session, all []Shard) string {
	var text strings.Builder
	for _, r := range all {
		if r.Done() {
			continue
		}
		if text.Len() == 0 {
			text.WriteString("canopy: to go on:\n")
		}
		fmt.Fprintf(&text, "  %s persist replay --shard %d --from %d", s.Program, r.Shard, r.Next)
		if c.To != 0 {
			fmt.Fprintf(&text, " --to %d", c.To)
		}
		if c.LeaveHole {
			text.WriteString(" --leave-hole")
		}
		for _, flag := range [][2]string{{"--config", c.Config}, {"--data", c.Data}, {"--context", c.Context}} {
			if flag[1] != "" {
				fmt.Fprintf(&text, " %s %s", flag[0], s.Quote(flag[1]))
			}
		}
		for _, set := range c.Set {
			fmt.Fprintf(&text, " --set %s", s.Quote(set))
		}
		text.WriteString("\n")
	}
	return text.String()
}
