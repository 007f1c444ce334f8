package cassandra_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

// raw reads a column of numbers as it is in the ring.
func raw(t testing.TB, statement ring.Statement, args ...any) []chat.Seq {
	t.Helper()
	seqs, err := ring.List(t.Context(), home.ring, ring.Read{Statement: statement, Args: args}, func(r ring.Row) (chat.Seq, error) {
		var n int64
		err := r.Scan(&n)
		return chat.Seq(n), err
	})
	ok(t, err)
	return seqs
}

// buckets is the seqs in each bucket of a channel. It fails when a row is in another bucket than where its seq is looked
// for, or when a bucket with rows is not told of by the one before it.
func buckets(t testing.TB, channel chat.ChannelID) map[chat.Seq][]chat.Seq {
	t.Helper()
	all := map[chat.Seq][]chat.Seq{}
	begins := raw(t, "SELECT bucket FROM buckets_by_channel WHERE channel_id = ?", string(channel))
	slices.Reverse(begins)
	for i, begin := range begins {
		end := chat.MaxSeq
		if i+1 < len(begins) {
			end = begins[i+1] - 1
		}
		rows := raw(t, "SELECT seq FROM messages_by_channel WHERE channel_id = ? AND bucket = ?", string(channel), int64(begin))
		for _, seq := range rows {
			if seq < begin || seq > end {
				t.Errorf("%d is in the bucket of %d to %d", seq, begin, end)
			}
		}
		if len(rows) > 0 && i > 0 {
			told := raw(t, "SELECT next_bucket FROM messages_by_channel WHERE channel_id = ? AND bucket = ? LIMIT 1", string(channel), int64(begins[i-1]))
			if !slices.Equal(told, []chat.Seq{begin}) {
				t.Errorf("the bucket before %d tells of %v", begin, told)
			}
		}
		all[begin] = rows
	}
	return all
}

// readsAll fails unless a reader finds the messages of events in every way.
func readsAll(t testing.TB, reader store.Messages, channel chat.ChannelID, events []event.Stored) {
	t.Helper()
	want := storetest.NewModel(events).Messages(channel, 0)
	var all []chat.Message
	for q := (store.PageQuery{ChannelID: channel, Limit: 7}); ; {
		p, err := reader.Page(t.Context(), q)
		ok(t, err)
		all = append(all, p.Messages...)
		if !p.HasMore || len(p.Messages) == 0 {
			break
		}
		q.Before = p.Messages[len(p.Messages)-1].Seq
	}
	if diff := cmp.Diff(seqsOf(want), seqsOf(all)); diff != "" {
		t.Errorf("backward (-want +got):\n%s", diff)
	}
	all = nil
	for q := (store.PageQuery{ChannelID: channel, Limit: 7, After: 1}); ; {
		p, err := reader.Page(t.Context(), q)
		ok(t, err)
		all = append(slices.Clone(p.Messages), all...)
		if !p.HasMore || len(p.Messages) == 0 {
			break
		}
		q.After = p.Messages[0].Seq
	}
	newer := seqsOf(storetest.NewModel(events).Messages(channel, 0))
	newer = slices.DeleteFunc(newer, func(seq chat.Seq) bool { return seq == 1 }) // where the walk begins
	if diff := cmp.Diff(newer, seqsOf(all)); diff != "" {
		t.Errorf("forward (-want +got):\n%s", diff)
	}
}

func TestAHotChannelIsSplit(t *testing.T) {
	t.Parallel()
	const limit, n = 200, 3000 // rows under way elsewhere are not counted: here up to 40, of 50 that a raise gives
	channel := newChannel()
	writers := []*cassandra.Messages{apart(t, limit), apart(t, limit)}
	all := posts(channel, 2, 1, n)
	batches := make(chan []event.Stored, n) // closed here, when all are in it
	for batch := range slices.Chunk(all, 10) {
		batches <- batch
	}
	close(batches)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for batch := range batches {
				if err := writers[i%2].Apply(t.Context(), batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	found := buckets(t, channel)
	for begin, rows := range found {
		if len(rows) > 3*limit {
			t.Errorf("the bucket %d has %d rows", begin, len(rows))
		}
	}
	if len(found) < n/limit/3 {
		t.Errorf("%d buckets for %d rows", len(found), n)
	}
	readsAll(t, apart(t, limit), channel, all)
}

func TestCeilingsAreSeldomRaised(t *testing.T) {
	t.Parallel()
	const limit, n = 400, 4000
	m, channel := apart(t, limit), newChannel()
	for batch := range slices.Chunk(posts(channel, 1_000_000, 1, n), 50) {
		ok(t, m.Apply(t.Context(), batch))
		ok(t, m.Apply(t.Context(), batch)) // redelivered: it costs no raise
	}
	c := m.Counts()
	if most := uint64(n / limit * (cassandra.RaisesPerBucket + 1)); c.Raises > most || c.Raises < n/limit {
		t.Errorf("%d conditional writes for %d rows; want at most %d", c.Raises, n, most)
	}
	if c.LayoutReads > 1 {
		t.Errorf("%d reads of the layout", c.LayoutReads)
	}
	for begin, rows := range buckets(t, channel) {
		if len(rows) > 2*limit {
			t.Errorf("the bucket %d has %d rows", begin, len(rows))
		}
	}
}

// counted counts questions.
type counted struct {
	cassandra.Database
	mu    sync.Mutex
	reads []string // guarded by mu
}

func (c *counted) Rows(ctx context.Context, q ring.Read, scan func(ring.Row) (any, error)) ([]any, error) {
	c.mu.Lock()
	c.reads = append(c.reads, string(q.Statement))
	c.mu.Unlock()
	return c.Database.Rows(ctx, q, scan)
}

func (c *counted) since(before int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.reads[before:])
}

func TestTheNewestPageIsOneQuestion(t *testing.T) {
	t.Parallel()
	channel := newChannel()
	all := posts(channel, 10, 3, 120)
	ok(t, apart(t, tiny*10).Apply(t.Context(), all))
	if len(buckets(t, channel)) < 2 {
		t.Fatal("the channel has one bucket only")
	}
	var db *counted
	reader := cassandra.Through(onRing(t), tiny*10, func(d cassandra.Database) cassandra.Database {
		db = &counted{Database: d}
		return db
	})
	page := func(want int, q store.PageQuery) {
		t.Helper()
		q.ChannelID = channel
		before := len(db.since(0))
		p, err := reader.Page(t.Context(), q)
		ok(t, err)
		if len(p.Messages) != q.Limit || !p.HasMore {
			t.Errorf("%+v reads %d messages", q, len(p.Messages))
		}
		if asked := db.since(before); len(asked) != want {
			t.Errorf("%+v is %d questions:\n%s", q, len(asked), strings.Join(asked, "\n"))
		}
	}
	page(2, store.PageQuery{Limit: 5}) // where buckets begin, and the page
	page(1, store.PageQuery{Limit: 5})
	page(1, store.PageQuery{Limit: 5, Before: 40})
	page(1, store.PageQuery{Limit: 5, After: 12})
	if m, err := reader.Message(t.Context(), channel, all[60].Seq); err != nil || m.Body != all[60].Body {
		t.Errorf("%+v, %v", m, err)
	}
	if n := len(db.since(0)); n != 6 {
		t.Errorf("%d questions in all", n)
	}
}

// A reader that learned where buckets begin long ago sees what was written before it asked, and after that what it knew
// serves it again.
func TestAReaderWithOldKnowledgeMissesNothing(t *testing.T) {
	t.Parallel()
	channel := newChannel()
	all := posts(channel, 1, 1, 90)
	writers := []*cassandra.Messages{apart(t, tiny), apart(t, tiny)}
	newest, after, around, single := apart(t, tiny), apart(t, tiny), apart(t, tiny), apart(t, tiny)
	for i, e := range all {
		ok(t, writers[i%2].Apply(t.Context(), all[i:i+1]))
		if i%9 > 0 && i%9 < 6 && i > 20 {
			continue // several buckets go by
		}
		for name, read := range map[string]func() (store.Page, error){
			"newest": func() (store.Page, error) {
				return newest.Page(t.Context(), store.PageQuery{ChannelID: channel, Limit: 1})
			},
			"after": func() (store.Page, error) {
				return after.Page(t.Context(), store.PageQuery{ChannelID: channel, After: max(e.Seq, 5) - 4, Limit: 10})
			},
			"around": func() (store.Page, error) {
				return around.Page(t.Context(), store.PageQuery{ChannelID: channel, Around: max(e.Seq, 3) - 2, Limit: 10})
			},
			"message": func() (store.Page, error) {
				m, err := single.Message(t.Context(), channel, e.Seq)
				return store.Page{Messages: []chat.Message{m}}, err
			},
		} {
			p, err := read()
			ok(t, err)
			if (i > 5 || name != "after") && (len(p.Messages) == 0 || p.Messages[0].Seq != e.Seq) {
				t.Fatalf("%s: %d was written, and %v is read", name, e.Seq, seqsOf(p.Messages))
			}
		}
	}
	for _, r := range append(writers, newest, after, around, single, onRing(t)) {
		readsAll(t, r, channel, all)
	}
	buckets(t, channel)
}

// errDied is the end of a process, or of its connection, for who waits for it.
var errDied = errors.New("the process died")

// dying lets so many writes through, and then no more: the last is done or not, and nobody hears of it.
type dying struct {
	cassandra.Database
	mu   sync.Mutex
	left int // guarded by mu
	done bool
}

func (d *dying) step() (lives, last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left--
	return d.left >= 0, d.left == -1
}

func (d *dying) Batch(ctx context.Context, writes []ring.Write) error {
	lives, last := d.step()
	if lives {
		return d.Database.Batch(ctx, writes)
	}
	if last && d.done {
		return errors.Join(errDied, d.Database.Batch(context.WithoutCancel(ctx), writes))
	}
	return errDied
}

func (d *dying) ExecIf(ctx context.Context, w ring.Write) (bool, error) {
	lives, last := d.step()
	if lives {
		return d.Database.ExecIf(ctx, w)
	}
	if last && d.done {
		_, err := d.Database.ExecIf(context.WithoutCancel(ctx), w)
		return false, errors.Join(errDied, err)
	}
	return false, errDied
}

func (d *dying) Rows(ctx context.Context, q ring.Read, scan func(ring.Row) (any, error)) ([]any, error) {
	d.mu.Lock()
	dead := d.left < 0
	d.mu.Unlock()
	if dead {
		return nil, errDied
	}
	return d.Database.Rows(ctx, q, scan)
}

// A process dies after each of its writes in turn, once before the ring has the next and once after. Whoever comes
// after it finds every row, and so does a reader that knew the channel before.
func TestAProcessMayDieBetweenAnyTwoWrites(t *testing.T) {
	t.Parallel()
	for _, done := range []bool{false, true} {
		for steps := 0; ; steps++ {
			channel := newChannel()
			all := posts(channel, 1, 1, 14)
			reader, successor := apart(t, tiny), apart(t, tiny)
			ok(t, apart(t, tiny).Apply(t.Context(), all[:tiny+1]))
			readsAll(t, reader, channel, all[:tiny+1])
			_, err := successor.Page(t.Context(), store.PageQuery{ChannelID: channel, Limit: 1})
			ok(t, err)
			process := cassandra.Through(onRing(t), tiny, func(d cassandra.Database) cassandra.Database {
				return &dying{Database: d, left: steps, done: done}
			})
			err = process.Apply(t.Context(), all[tiny+1:10])
			if err == nil {
				if steps < 5 {
					t.Fatalf("only %d writes", steps)
				}
				break
			}
			if !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			buckets(t, channel)
			ok(t, successor.Apply(t.Context(), all[10:]))
			ok(t, successor.Apply(t.Context(), all[tiny+1:10])) // the log delivers it again
			readsAll(t, reader, channel, all)
			if buckets(t, channel); t.Failed() {
				t.Fatalf("it died after %d writes; the next was done: %v", steps, done)
			}
		}
	}
}

// lost does a raise and loses the answer, once. It notes how the ring is read after that.
type lost struct {
	cassandra.Database
	once   sync.Once
	missed bool
	serial []bool // of the reads after it
}

func (l *lost) Rows(ctx context.Context, q ring.Read, scan func(ring.Row) (any, error)) ([]any, error) {
	if l.missed {
		l.serial = append(l.serial, q.Serial)
	}
	return l.Database.Rows(ctx, q, scan)
}

func (l *lost) ExecIf(ctx context.Context, w ring.Write) (applied bool, err error) {
	applied, err = l.Database.ExecIf(ctx, w)
	l.once.Do(func() {
		l.missed, applied, err = true, false, fault.New(fault.Unavailable, "The answer is lost.")
	})
	return applied, err
}

func TestARaiseWhoseAnswerIsLostIsFound(t *testing.T) {
	t.Parallel()
	channel := newChannel()
	var db *lost
	m := cassandra.Through(onRing(t), tiny, func(d cassandra.Database) cassandra.Database {
		db = &lost{Database: d}
		return db
	})
	all := posts(channel, 1, 1, 6)
	ok(t, m.Apply(t.Context(), all[:1]))
	if !slices.Equal(db.serial, []bool{true}) {
		t.Errorf("a raise that may be under way still is looked for by reads that are serial: %v", db.serial)
	}
	if n := m.Counts(); n.Raises != 1 || n.LayoutReads != 2 {
		t.Errorf("%+v; want one raise, and a read after it", n)
	}
	ok(t, m.Apply(t.Context(), all))
	readsAll(t, m, channel, all)
}

// An event may name what is not there: it is not below the event in the log. It decides nothing about what comes.
func TestAnEventAboutWhatIsNotBelowItLeavesNoTrace(t *testing.T) {
	t.Parallel()
	m, channel := apart(t, tiny), newChannel()
	all := posts(channel, 1, 1, 40)
	for _, seq := range []chat.Seq{1, 2, 40, chat.MaxSeq} {
		for _, kind := range []event.Kind{event.PinAdded, event.MessageDeleted, event.ReactionAdded} {
			e := about(aPost(channel, seq, ""), 1, kind)
			e.Emoji = "👍"
			ok(t, m.Apply(t.Context(), []event.Stored{e}))
		}
	}
	if n := m.Counts(); n.Raises != 0 || n.Rows != 0 {
		t.Errorf("%+v", n)
	}
	for _, e := range all {
		ok(t, m.Apply(t.Context(), []event.Stored{e}))
	}
	if n := len(buckets(t, channel)); n < 5 {
		t.Errorf("%d buckets of %d rows", n, tiny)
	}
	readsAll(t, apart(t, tiny), channel, all)
	err := m.Apply(t.Context(), []event.Stored{aPost(channel, chat.MaxSeq+1, "beyond")})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a post above every seq: %v", err)
	}
	ok(t, m.Apply(t.Context(), []event.Stored{aPost(channel, chat.MaxSeq, "the last")}))
	if p, err := m.Page(t.Context(), store.PageQuery{ChannelID: channel, Limit: 1}); err != nil || p.Messages[0].Body != "the last" {
		t.Errorf("%+v, %v", p, err)
	}
}

// Whatever the order, no table has a deleted text, nor one that was stored after the delete.
func TestADeletedTextIsInNoTable(t *testing.T) {
	t.Parallel()
	m := apart(t, tiny)
	var channels []string
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 2, 3, 0}} {
		channel := newChannel()
		channels = append(channels, string(channel))
		post := aPost(channel, 1, "abrakadabra one")
		post.Attachments = []chat.Attachment{{ID: "1", Name: "abrakadabra two", Size: 1, Type: "text/plain"}}
		edit, late := about(post, 2, event.MessageEdited), about(post, 4, event.MessageEdited)
		edit.Body, late.Body = "abrakadabra three", "abrakadabra four"
		events := []event.Stored{post, edit, about(post, 3, event.MessageDeleted), late}
		for _, n := range order {
			ok(t, m.Apply(t.Context(), events[n:n+1]))
		}
	}
	seen := map[string]bool{}
	for _, table := range []string{"messages_by_channel", "replies_by_thread", "pins_by_channel", "sends_by_client_id", "buckets_by_channel",
		"read_cursors", "device_cursors", "deliveries_by_message", "progress"} {
		_, err := ring.List(t.Context(), home.ring, ring.Read{Statement: ring.Statement("SELECT JSON * FROM " + table), PageSize: 5000},
			func(r ring.Row) (none struct{}, err error) {
				var text string
				err = r.Scan(&text)
				if strings.Contains(text, "abrakadabra") {
					t.Errorf("%s has %s", table, text)
				}
				for _, channel := range channels {
					seen[channel] = seen[channel] || table == "messages_by_channel" && strings.Contains(text, channel)
				}
				return none, err
			})
		ok(t, err)
	}
	for _, channel := range channels {
		if !seen[channel] {
			t.Errorf("the row of %s was not looked at", channel)
		}
	}
}

func TestReactionsAreSortedByEmojiAndUser(t *testing.T) {
	t.Parallel()
	m, post := apart(t, tiny), aPost(newChannel(), 1, "hello")
	events := []event.Stored{post}
	for i, emoji := range []string{"a", "a!", "a.", "a0", "ab", `\`, `"`, "👍"} {
		for j, user := range []chat.UserID{"z", "0", "bob"} {
			e := about(post, chat.Seq(10+3*i+j), event.ReactionAdded)
			e.Emoji, e.SenderID = emoji, user
			events = append(events, e)
		}
	}
	ok(t, m.Apply(t.Context(), events))
	got, err := m.Message(t.Context(), post.ChannelID, 1)
	ok(t, err)
	if diff := cmp.Diff(storetest.NewModel(events).Messages(post.ChannelID, 0)[0].Reactions, got.Reactions); diff != "" {
		t.Errorf("reactions (-want +got):\n%s", diff)
	}
}

// Rows without a post are as many as anything, and take no place on a page.
func TestRowsWithoutAPostTakeNoPlace(t *testing.T) {
	t.Parallel()
	m, channel := apart(t, 30), newChannel()
	var all []event.Stored
	for i := range chat.Seq(200) {
		post := aPost(channel, i+1, fmt.Sprint(i))
		post.Thread = 1000
		if i%40 == 0 {
			all = append(all, post)
			continue
		}
		edit := about(post, 500+i, event.MessageEdited)
		edit.Body = "of a post that is not there"
		all = append(all, edit)
	}
	ok(t, m.Apply(t.Context(), all))
	model := storetest.NewModel(all)
	for _, q := range []store.PageQuery{{Limit: 1}, {Limit: 4}, {Limit: 5}, {Limit: 6}, {Limit: 2, After: 3}, {Limit: 5, After: 1}, {Limit: 3, Before: 100},
		{Limit: 4, Around: 81}, {Limit: 5, Thread: 1000}, {Limit: 4, Thread: 1000}} {
		q.ChannelID = channel
		got, err := m.Page(t.Context(), q)
		ok(t, err)
		want := model.Page(q)
		if diff := cmp.Diff(seqsOf(want.Messages), seqsOf(got.Messages)); diff != "" || want.HasMore != got.HasMore {
			t.Errorf("%+v: HasMore %v; (-want +got):\n%s", q, got.HasMore, diff)
		}
	}
}

// A body as large as an event can be comes back, and does not break what travels with it.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	m, channel := apart(t, 100), newChannel()
	var all []event.Stored
	for i := range chat.Seq(12) {
		all = append(all, aPost(channel, i+1, strings.Repeat("ä", 1+int(i)*2_000)))
	}
	ok(t, m.Apply(t.Context(), all))
	p, err := m.Page(t.Context(), store.PageQuery{ChannelID: channel, Limit: 12})
	ok(t, err)
	if diff := cmp.Diff(storetest.NewModel(all).Messages(channel, 0), p.Messages); diff != "" {
		t.Error("not what was written")
	}
}
