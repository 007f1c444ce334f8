package deadletters

import (
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/dlq"
)

// filter are the flags that say which dead letters are meant.
type filter struct {
	Stream    string `placeholder:"NAME" help:"Only those of this stream, as canopy status calls it."`
	Consumer  string `placeholder:"NAME" help:"Only those of this consumer: persist, deliver, push or due."`
	Subject   string `placeholder:"FILTER" help:"Only originals on this subject, with the wildcards of NATS."`
	Workspace string `placeholder:"ID" help:"Only those of this workspace."`
	Reason    string `placeholder:"TEXT" help:"Only those whose reason holds this text."`
	Since     string `placeholder:"TIME" help:"Only those since then: 2026-03-01T08:00:00Z, or a duration before now such as 2h."`
	Until     string `placeholder:"TIME" help:"Only those until then."`
}

// parse is what the flags say, seen from a moment.
func (f filter) parse(now time.Time) (dlq.Filter, error) {
	q := dlq.Filter{Stream: f.Stream, Consumer: f.Consumer, Subject: f.Subject, Reason: f.Reason}
	if f.Stream != "" {
		if _, err := streams.Consumers(f.Stream); err != nil {
			return q, config.Problemf("--stream: %w", err)
		}
	}
	if f.Workspace != "" {
		ws, err := chat.ParseWorkspaceID(f.Workspace)
		if err != nil {
			return q, config.Problemf("--workspace: %w", err)
		}
		q.Workspace = ws
	}
	var err error
	if q.Since, err = moment(f.Since, now); err != nil {
		return q, config.Problemf("--since: %w", err)
	}
	if q.Until, err = moment(f.Until, now); err != nil {
		return q, config.Problemf("--until: %w", err)
	}
	return q, nil
}

// moment reads a time, or a duration before now; zero for nothing.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, config.Problemf("%.40q is neither a time such as 2026-03-01T08:00:00Z nor a duration such as 2h", s)
	}
	return at, nil
}

// some is the dead letters that a command is about: those that are named, or all that the flags find.
type some struct {
	filter `embed:""`
	IDs    []uint64 `arg:"" optional:"" name:"id" help:"Ids, as canopy dlq ls shows them."`
	All    bool     `help:"All that the flags find; without flags, all there are."`
}

func (c some) parse(now time.Time) (dlq.Filter, error) {
	q, err := c.filter.parse(now)
	switch {
	case err != nil:
		return q, err
	case len(c.IDs) > 0 && (c.All || c.filter != (filter{})):
		return q, config.Problemf("give ids, or --all with flags that say which")
	case len(c.IDs) == 0 && !c.All:
		return q, config.Problemf("which ones? Give ids, or --all, with flags that say which; canopy dlq ls shows what they find")
	}
	q.IDs = slices.Compact(slices.Sorted(slices.Values(c.IDs))) // whoever names one twice means it once
	return q, nil
}
