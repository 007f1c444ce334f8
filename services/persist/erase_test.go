package persist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// paper is a log whose events can be erased.
type paper struct {
	entries []bus.Entry
	erased  []chat.Seq
	lags    chat.Seq // reading shows nothing from here on; 0: it shows all
	fail    error
}

func (p *paper) Read(_ context.Context, q bus.ReadQuery) (bus.Batch, error) {
	var b bus.Batch
	for _, e := range p.entries {
		subject, err := streams.ChatSubject(q.Shard, e.Place.WorkspaceID, e.Place.ChannelID)
		if err != nil {
			return bus.Batch{}, err
		}
		if p.lags != 0 && e.Seq >= p.lags {
			continue
		}
		if e.Seq >= q.From && subject == q.Filter && !slices.Contains(p.erased, e.Seq) {
			b.Entries = append(b.Entries, e)
		}
	}
	if len(b.Entries) > 2 { // small pages
		b.Pending, b.Entries = uint64(len(b.Entries)-2), b.Entries[:2]
	}
	return b, nil
}

func (p *paper) LeaderLast(_ context.Context, shard streams.Shard, filter string) (last chat.Seq, err error) {
	for _, e := range p.entries {
		subject, err := streams.ChatSubject(shard, e.Place.WorkspaceID, e.Place.ChannelID)
		if err != nil {
			return 0, err
		}
		if subject == filter && !slices.Contains(p.erased, e.Seq) {
			last = max(last, e.Seq)
		}
	}
	return last, nil
}

func (p *paper) Bounds(context.Context, streams.Shard) (first, last chat.Seq, err error) {
	return 1, chat.Seq(len(p.entries)), nil
}

func (p *paper) Erase(_ context.Context, _ streams.Shard, seq chat.Seq) error {
	if p.fail != nil {
		return p.fail
	}
	p.erased = append(p.erased, seq)
	return nil
}

func about(seq chat.Seq, channel chat.ChannelID, kind string, message chat.Seq) bus.Delivery {
	text := ""
	if kind == "message.edited" {
		text = `,"body":"edited"`
	}
	return delivery(seq, channel, fmt.Sprintf(
		`{"v":1,"kind":%q,"epoch":1,"channel_id":%q,"sender_id":"u1","message_seq":%d%s}`, kind, channel, message, text))
}

// erasing runs batches through a Persister whose log is p, and answers the outcomes of the last one.
func erasing(t *testing.T, p *paper, batches ...[]bus.Delivery) []bus.Outcome {
	t.Helper()
	src := &script{batches: batches, handled: make(chan []bus.Outcome, len(batches)), failed: make(chan error, len(batches))}
	for _, b := range batches {
		for _, d := range b {
			p.entries = append(p.entries, d.Entry)
		}
	}
	per := persist.New(persist.Config{Store: &memoryStore{}, Source: src, Log: p, Shards: 1, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := per.Run(ctx); err != nil {
		t.Fatal(err)
	}
	var last []bus.Outcome
	for range batches {
		last = <-src.handled
	}
	return last
}

func TestADeleteErasesThePostAndItsEditsAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{}
		outcomes := erasing(t, p,
			[]bus.Delivery{
				posted(1), posted(2), about(3, "c1", "message.edited", 2), about(4, "c1", "message.edited", 1),
				about(5, "c1", "reaction.added", 2), about(6, "c1", "message.edited", 2),
			},
			[]bus.Delivery{about(7, "c1", "message.deleted", 2)},
		)
		if outcomes[0] != bus.Done() || fmt.Sprint(p.erased) != "[2 3 6]" {
			t.Errorf("outcome %+v, erased %v", outcomes[0], p.erased)
		}
	})
}

func TestADeleteOfAnotherChannelsMessageErasesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{}
		outcomes := erasing(t, p, []bus.Delivery{posted(1)}, []bus.Delivery{about(2, "c2", "message.deleted", 1)})
		if outcomes[0] != bus.Done() || len(p.erased) != 0 {
			t.Errorf("outcome %+v, erased %v", outcomes[0], p.erased)
		}
	})
}

func TestWhatIsNotAcknowledgedIsNotErasedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{}
		outcomes := erasing(t, p, []bus.Delivery{posted(1), about(2, "c1", "message.deleted", 1)})
		if outcomes[0] != bus.Done() || outcomes[1].Kind != bus.KindKeep || len(p.erased) != 0 {
			t.Errorf("outcomes %+v, erased %v", outcomes, p.erased)
		}
	})
}

func TestADeleteThatCouldNotEraseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{fail: errors.New("the stream is sealed")}
		outcomes := erasing(t, p, []bus.Delivery{posted(1)}, []bus.Delivery{about(2, "c1", "message.deleted", 1)})
		if outcomes[0].Kind != bus.KindKeep {
			t.Errorf("outcome %+v", outcomes[0])
		}
	})
}

// A replica that does not have the last edit yet must not make its text stay.
func TestADeleteWaitsForAReplicaThatLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{lags: 2}
		outcomes := erasing(t, p,
			[]bus.Delivery{posted(1), about(2, "c1", "message.edited", 1)},
			[]bus.Delivery{about(3, "c1", "message.deleted", 1)},
		)
		if outcomes[0].Kind != bus.KindKeep || len(p.erased) != 0 {
			t.Errorf("outcome %+v, erased %v", outcomes[0], p.erased)
		}
	})
}
