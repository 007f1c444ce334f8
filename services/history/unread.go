package history

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

const (
	// unreadAtOnce is how many channels of one question are counted at the same time.
	unreadAtOnce = 8
	// unreadFirst is the messages of the first page that is counted. Most channels have fewer unread ones, and everybody
	// who asks at the same time after a gateway went asks for the same newest page of a channel (sharedPages).
	unreadFirst = 50
	// unreadLook is how many messages of a channel are looked at: somebody's own and the deleted ones do not count, and there
	// may be any number of them.
	unreadLook = 4 * chat.MaxUnread
)

// Unread counts what a user has not read, in the order of the question's channels. It is all or an error: Unavailable when
// one of them cannot be counted, because a wrong number is worse than none. Who may see what is for the caller to know.
//
// It reads pages as Page does, newest first, and stops at what the user has read. A channel in which nothing happened after
// that costs one question to the log, and no page.
func (r *Reader) Unread(ctx context.Context, q store.UnreadQuery) ([]store.Unread, error) {
	all := make([]store.Unread, len(q.Channels))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(unreadAtOnce)
	for i, in := range q.Channels {
		group.Go(func() (err error) {
			c := counting{query: &q, in: in, base: max(in.Read, in.Joined), through: chat.MaxSeq}
			if all[i], err = r.unreadOf(ctx, &c); err != nil {
				return fmt.Errorf("unread of %s: %w", in.ChannelID, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return all, nil
}

func (r *Reader) unreadOf(ctx context.Context, c *counting) (store.Unread, error) {
	place := store.ChannelPlace{WorkspaceID: c.query.WorkspaceID, Shard: c.query.Shard, ChannelID: c.in.ChannelID}
	quiet, last, err := r.quietAfter(ctx, place, c.base)
	if err != nil {
		return store.Unread{}, err
	}
	if quiet {
		c.through = last
		return c.result(), nil
	}
	for page := (store.PageQuery{Limit: unreadFirst}); ; page.Limit = chat.MaxPageSize {
		got, err := r.Page(ctx, place, page)
		if err != nil {
			return store.Unread{}, err
		}
		if done := c.take(got); c.through < last {
			return store.Unread{}, unreachable() // something happened that nobody can count now
		} else if done {
			return c.result(), nil
		}
		if len(got.Messages) == 0 { // there is more, and nobody can say what
			return store.Unread{}, unreachable()
		}
		page.Before = got.Messages[len(got.Messages)-1].Seq
	}
}

func unreachable() error {
	return fault.New(fault.Unavailable, "the history is not available now").After(retryAfter)
}

// quietAfter reports whether nothing happened in a channel after base, and how far that is known. A log that does not
// answer, or has forgotten the channel, says nothing.
func (r *Reader) quietAfter(ctx context.Context, place store.ChannelPlace, base chat.Seq) (quiet bool, last chat.Seq, err error) {
	subject, err := subjectOf(place)
	if err != nil {
		return false, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.logBudget)
	defer cancel()
	last, err = r.log.LeaderLast(ctx, place.Shard, subject)
	if err != nil {
		r.logger.Debug("unread without the log's end", "channel_id", place.ChannelID, "err", err)
		return false, 0, nil
	}
	return last != 0 && last <= base, last, nil
}

// counting is the counting of one channel. It is pure.
type counting struct {
	// immutable
	query *store.UnreadQuery
	in    store.ReadIn
	base  chat.Seq // what is up to it is read, or was before the user came

	through chat.Seq              // how far all pages are complete
	looked  int                   // messages of the pages
	found   []store.UnreadMessage // newest first
	more    bool
}

// take counts a page, which comes after those before it. done: what is older is read, or not there, or not counted any more.
//
// What was posted after through is not counted: some of it may be missing, and who goes on from there meets all of it in
// the log. An edit or delete after through may show already; to meet it again changes nothing.
func (c *counting) take(page store.Reading) (done bool) {
	c.through = min(c.through, page.CompleteThrough)
	c.found = slices.DeleteFunc(c.found, func(m store.UnreadMessage) bool { return m.Seq > c.through })
	for _, m := range page.Messages {
		if m.Seq <= c.base {
			return true
		}
		c.looked++
		if m.Seq > c.through || m.Deleted || m.SenderID == c.query.User.ID {
			continue
		}
		if len(c.found) == chat.MaxUnread {
			c.more = true
			return true
		}
		mention := c.in.Type.Direct() || chat.MentionsOf(m.Body).Names(c.query.User.Login)
		c.found = append(c.found, store.UnreadMessage{Seq: m.Seq, Mention: mention})
	}
	if page.HasMore && c.looked >= unreadLook {
		c.more = true
		return true
	}
	return !page.HasMore
}

func (c *counting) result() store.Unread {
	u := store.Unread{ChannelID: c.in.ChannelID, Count: len(c.found), More: c.more, Through: c.through}
	for _, m := range c.found {
		if m.Mention {
			u.Mentions++
		}
	}
	if c.query.Messages {
		u.Messages = c.found
	}
	return u
}
