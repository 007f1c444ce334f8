package dlq

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Filter says which letters. A zero field says nothing.
type Filter struct {
	Stream    string
	Consumer  string
	Subject   string // of the original, with the wildcards of NATS
	Reason    string // part of it, whatever the case
	Workspace chat.WorkspaceID
	Since     time.Time // ended then or later
	Until     time.Time // ended then or before
	IDs       []uint64
}

// matches reports whether a letter is meant.
func (f Filter) matches(l Letter) bool {
	return (f.Stream == "" || l.Stream == f.Stream) &&
		(f.Consumer == "" || l.Consumer == f.Consumer) &&
		(f.Subject == "" || matchSubject(f.Subject, l.Subject)) &&
		(f.Reason == "" || strings.Contains(strings.ToLower(l.Reason), strings.ToLower(f.Reason))) &&
		(f.Workspace == "" || l.WorkspaceID() == f.Workspace) &&
		(f.Since.IsZero() || !l.At.Before(f.Since)) &&
		(f.Until.IsZero() || !l.At.After(f.Until)) &&
		(len(f.IDs) == 0 || slices.Contains(f.IDs, l.ID))
}

// matchSubject reports whether a subject matches a filter: * is one token, > at the end is one or more.
func matchSubject(filter, subject string) bool {
	for {
		f, moreFilter, hasFilter := strings.Cut(filter, ".")
		s, moreSubject, hasSubject := strings.Cut(subject, ".")
		switch {
		case f == everything && !hasFilter:
			return s != ""
		case s == "" || (f != "*" && f != s):
			return false
		case !hasFilter || !hasSubject:
			return hasFilter == hasSubject
		}
		filter, subject = moreFilter, moreSubject
	}
}

// on is the subjects that can hold what is meant. What lies there by hand is shown only to who asks for all.
func (f Filter) on() (string, error) {
	if f.Stream == "" && f.Consumer == "" {
		return streams.DLQFilter(), nil
	}
	filter, err := streams.DeadFilter(f.Stream, f.Consumer)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "There is no consumer %.40q of %.40q", f.Consumer, f.Stream)
	}
	return filter, nil
}

// List is the letters that f finds after an id, at most limit, the oldest first; more: there are others. The error is Invalid for
// names that cannot be.
func (q *Queue) List(ctx context.Context, f Filter, after uint64, limit int) (letters []Letter, more bool, err error) {
	enough := errors.New("there are enough")
	err = q.each(ctx, f, after, func(l Letter) error {
		if len(letters) == limit {
			return enough
		}
		letters = append(letters, l)
		return nil
	})
	if errors.Is(err, enough) {
		return letters, true, nil
	}
	return letters, false, err
}

// Count is how many letters f finds. It reads them all, if f says more than a stream and a consumer.
func (q *Queue) Count(ctx context.Context, f Filter) (n int, err error) {
	err = q.each(ctx, f, 0, func(Letter) error { n++; return nil })
	return n, err
}

// each calls do with the letters that f finds after an id, until it says an error.
func (q *Queue) each(ctx context.Context, f Filter, after uint64, do func(Letter) error) error {
	if len(f.IDs) > 0 {
		return q.eachOf(ctx, f, after, do)
	}
	filter, err := f.on()
	if err != nil {
		return err
	}
	for from := chat.Seq(after) + 1; from <= chat.MaxSeq; {
		page, err := q.page(ctx, streams.StreamDLQ, filter, from)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, m := range page {
			from = m.seq + 1
			if l := letterOf(m); f.matches(l) {
				if err := do(l); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// eachOf is each for letters that are named.
func (q *Queue) eachOf(ctx context.Context, f Filter, after uint64, do func(Letter) error) error {
	ids := slices.Clone(f.IDs)
	slices.SortFunc(ids, cmp.Compare[uint64])
	for _, id := range slices.Compact(ids) {
		if id <= after {
			continue
		}
		l, err := q.Get(ctx, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if f.matches(l) {
			if err := do(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// watchEvery is how often Watch looks.
const watchEvery = 500 * time.Millisecond

// Watch calls do with each letter that f finds and that is stored from now on, soon after it is, until ctx ends; then it returns nil. It waits while NATS
// does not answer, and misses nothing. The error is Invalid for names that cannot be.
func (q *Queue) Watch(ctx context.Context, f Filter, do func(Letter)) error {
	if _, err := f.on(); err != nil {
		return err
	}
	var after uint64
	for begun := false; ctx.Err() == nil; {
		if !begun {
			s, err := q.state(ctx, streams.StreamDLQ)
			begun, after = err == nil, uint64(s.State.Last)
		} else if err := q.each(ctx, f, after, func(l Letter) error { after = l.ID; do(l); return ctx.Err() }); err != nil && ctx.Err() == nil {
			q.conn.Logger().Debug("the DLQ does not answer", "err", err)
		}
		if bus.Pause(ctx, watchEvery) != nil {
			break
		}
	}
	return nil
}
