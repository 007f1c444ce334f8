package storetest

import (
	"context"
	"math"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// seqsOf is which messages a page has.
func seqsOf(p store.Page) []chat.Seq {
	var out []chat.Seq
	for _, m := range p.Messages {
		out = append(out, m.Seq)
	}
	return out
}

func pageBorders(t *testing.T, s store.Messages) {
	l := newLog()
	l.last = 10
	apply(t, s, l.posts(5)...) // seqs 11 to 15
	const huge = math.MaxUint64
	for _, c := range []struct {
		name string
		q    store.PageQuery
		want []chat.Seq
		more bool
	}{
		{"newest", store.PageQuery{Limit: 2}, []chat.Seq{15, 14}, true},
		{"exactly all", store.PageQuery{Limit: 5}, []chat.Seq{15, 14, 13, 12, 11}, false},
		{"more than all", store.PageQuery{Limit: 200}, []chat.Seq{15, 14, 13, 12, 11}, false},
		{"before is exclusive", store.PageQuery{Before: 13, Limit: 1}, []chat.Seq{12}, true},
		{"before, to the oldest", store.PageQuery{Before: 13, Limit: 2}, []chat.Seq{12, 11}, false},
		{"before the oldest", store.PageQuery{Before: 11, Limit: 2}, nil, false},
		{"before the first seq", store.PageQuery{Before: 1, Limit: 2}, nil, false},
		{"before a seq that is not there yet", store.PageQuery{Before: 1000, Limit: 1}, []chat.Seq{15}, true},
		{"before the largest seq", store.PageQuery{Before: huge, Limit: 1}, []chat.Seq{15}, true},
		{"after is exclusive, and the nearest", store.PageQuery{After: 12, Limit: 2}, []chat.Seq{14, 13}, true},
		{"after, to the newest", store.PageQuery{After: 12, Limit: 3}, []chat.Seq{15, 14, 13}, false},
		{"after the newest", store.PageQuery{After: 15, Limit: 3}, nil, false},
		{"after the largest seq", store.PageQuery{After: huge, Limit: 3}, nil, false},
		{"after a seq of another channel", store.PageQuery{After: 5, Limit: 1}, []chat.Seq{11}, true},
		{"around, even", store.PageQuery{Around: 13, Limit: 4}, []chat.Seq{15, 14, 13, 12}, true},
		{"around, odd: one more of the older", store.PageQuery{Around: 13, Limit: 3}, []chat.Seq{14, 13, 12}, true},
		{"around, one", store.PageQuery{Around: 13, Limit: 1}, []chat.Seq{13}, true},
		{"around the oldest", store.PageQuery{Around: 11, Limit: 4}, []chat.Seq{13, 12, 11}, false},
		{"around the newest", store.PageQuery{Around: 15, Limit: 4}, []chat.Seq{15, 14}, true},
		{"around nothing, below", store.PageQuery{Around: 3, Limit: 4}, []chat.Seq{12, 11}, false},
		{"around nothing, above", store.PageQuery{Around: huge, Limit: 4}, []chat.Seq{15, 14}, true},
	} {
		c.q.ChannelID = l.channel
		p := page(t, s, c.q)
		same(t, c.name, c.want, seqsOf(p))
		same(t, c.name+": HasMore", c.more, p.HasMore)
	}
}

func badQueries(t *testing.T, s store.Messages) {
	for name, q := range map[string]store.PageQuery{
		"no limit":         {},
		"negative limit":   {Limit: -1},
		"limit too large":  {Limit: chat.MaxPageSize + 1},
		"before and after": {Before: 5, After: 1, Limit: 1},
		"all three":        {Before: 5, After: 1, Around: 3, Limit: 1},
	} {
		q.ChannelID = newID[chat.ChannelID]()
		_, err := s.Page(within(t), q)
		isKind(t, name, err, fault.Invalid)
	}
}

func threadPages(t *testing.T, s store.Messages) {
	l := newLog()
	root := l.post("root")
	var events []event.Stored
	for range 5 { // seqs: root 1; replies 2, 4, … 10; other posts 3, 5, … 11
		events = append(events, l.reply(root, "reply"), l.post("not a reply"))
	}
	apply(t, s, append(events, root, l.about(events[2], event.MessageDeleted))...)
	for _, c := range []struct {
		name string
		q    store.PageQuery
		want []chat.Seq
		more bool
	}{
		{"newest", store.PageQuery{Limit: 2}, []chat.Seq{10, 8}, true},
		{"all, the deleted one included, without the root", store.PageQuery{Limit: 5}, []chat.Seq{10, 8, 6, 4, 2}, false},
		{"before", store.PageQuery{Before: 7, Limit: 2}, []chat.Seq{6, 4}, true},
		{"after", store.PageQuery{After: 3, Limit: 2}, []chat.Seq{6, 4}, true},
		{"around", store.PageQuery{Around: 6, Limit: 2}, []chat.Seq{8, 6}, true},
	} {
		c.q.ChannelID, c.q.Thread = l.channel, root.Seq
		p := page(t, s, c.q)
		same(t, c.name, c.want, seqsOf(p))
		same(t, c.name+": HasMore", c.more, p.HasMore)
	}
	same(t, "a thread without replies", store.Page{},
		page(t, s, store.PageQuery{ChannelID: l.channel, Thread: events[1].Seq, Limit: 5}))
	same(t, "the channel has replies and others", 11,
		len(page(t, s, store.PageQuery{ChannelID: l.channel, Limit: 50}).Messages))
}

func channelsAreApart(t *testing.T, s store.Messages) {
	l := newLog()
	post := l.post("here")
	apply(t, s, post)
	here := l.channel
	l.channel = newID[chat.ChannelID]()
	apply(t, s, l.edit(post, "from another channel"), l.about(post, event.MessageDeleted), l.about(post, event.PinAdded),
		l.react(post, event.ReactionAdded, "👍"), l.reply(post, "a reply from another channel"))
	same(t, "the message", NewModel([]event.Stored{post}).Messages(here, 0)[0], read(t, s, here, post.Seq))
	same(t, "its thread", store.Page{}, page(t, s, store.PageQuery{ChannelID: here, Thread: post.Seq, Limit: 5}))
	_, err := s.Message(within(t), l.channel, post.Seq)
	isKind(t, "the same seq in another channel", err, fault.NotFound)
}

func sparseChannel(t *testing.T, s store.Messages) {
	l := newLog()
	var events []event.Stored
	for year := range 12 {
		l.now = dawn.AddDate(year-12, year%5, 0)
		l.last += 1 << 30
		events = append(events, l.post("once a year"))
	}
	apply(t, s, events...)
	want := NewModel(events).Messages(l.channel, 0)
	for _, limit := range []int{1, 5, 12, 50} {
		same(t, "walk", want, walk(t, s, store.PageQuery{ChannelID: l.channel, Limit: limit}))
	}
	same(t, "after the first", events[1].Seq, page(t, s, store.PageQuery{ChannelID: l.channel, After: events[0].Seq, Limit: 1}).Messages[0].Seq)
}

func progress(t *testing.T, s store.Messages) {
	expect := func(shard int, want chat.Seq) {
		t.Helper()
		got, err := s.Progress(within(t), shard)
		ok(t, err)
		same(t, "progress", want, got)
	}
	expect(0, 0)
	ok(t, s.NoteProgress(within(t), 0, 10))
	ok(t, s.NoteProgress(within(t), 1, 3))
	ok(t, s.NoteProgress(within(t), 0, 9))
	expect(0, 10)
	expect(1, 3)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range 20 {
				if err := s.NoteProgress(within(t), 0, chat.Seq(20-i+w*10)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	expect(0, 20+(writers-1)*10)
}

func endedContext(t *testing.T, s store.Messages) {
	l := newLog()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	isKind(t, "Apply", s.Apply(ctx, l.posts(3)), fault.Unavailable)
	_, err := s.Page(ctx, store.PageQuery{ChannelID: l.channel, Limit: 1})
	isKind(t, "Page", err, fault.Unavailable)
	_, err = s.Message(ctx, l.channel, 1)
	isKind(t, "Message", err, fault.Unavailable)
	isKind(t, "NoteProgress", s.NoteProgress(ctx, 0, 1), fault.Unavailable)
}
