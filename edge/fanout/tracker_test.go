package fanout_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name      string
		ch        chat.ChannelID
		seq, prev chat.Seq
		want      any
	}{
		{"the next of its channel", "a", 30, 20, fanout.Take},
		{"the next, when the log has dropped the one before", "a", 30, 0, fanout.Take},
		{"one was missed in the channel", "a", 30, 25, fanout.Gap},
		{"one was missed in the channel, before another's", "b", 30, 18, fanout.Gap},
		{"of a channel that was silent since the start", "c", 30, 7, fanout.Take},
		{"of a channel whose first message was missed", "c", 30, 25, fanout.Gap},
		{"again", "a", 20, 12, fanout.Old},
		{"again, and proved", "a", 12, 0, fanout.Old},
		{"from before the start", "c", 7, 0, fanout.Old},
		{"too late", "b", 18, 15, fanout.Hole},
		{"too late, but proved not to be in the log", "b", 13, 0, fanout.Old},
	} {
		tr := fanout.NewTracker(10)
		tr.Note("a", 12, 0, true)
		tr.Note("b", 15, 0, true)
		tr.Prove(15)
		tr.Note("a", 20, 0, true)
		if got := tr.Judge(c.ch, c.seq, c.prev); any(got) != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestNoteTellsTheVisibleOneBefore(t *testing.T) {
	tr := fanout.NewTracker(10)
	for _, c := range []struct {
		ch          chat.ChannelID
		seq, before chat.Seq
		shown       bool
		want        chat.Seq
	}{
		{"a", 12, 4, true, 4}, // before the start: as the log says
		{"a", 13, 12, false, 12},
		{"a", 14, 13, false, 12},
		{"b", 15, 0, false, 0},
		{"a", 16, 14, true, 12}, // what is nothing to show is passed over
		{"b", 17, 15, true, 0},
		{"a", 18, 0, true, 16}, // the log has dropped 16 since; who saw it wants to hear of it
	} {
		if got := tr.Note(c.ch, c.seq, c.before, c.shown); got != c.want {
			t.Errorf("%s %d: %d, want %d", c.ch, c.seq, got, c.want)
		}
	}
}

// A message of a model's log.
type noted struct {
	ch        chat.ChannelID
	seq, prev chat.Seq
}

// Messages are dropped, doubled and moved. Whatever arrives: what is taken rises and is in the log; a message
// of a channel is never taken after one of that channel was missed; and a comparison with the log finds all
// that was not taken.
func TestATrackerMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := chat.Seq(rapid.IntRange(0, 5).Draw(t, "start"))
		last := map[chat.ChannelID]chat.Seq{}
		var log, sent []noted
		seq := chat.Seq(0)
		for range rapid.IntRange(1, 60).Draw(t, "messages") {
			seq += chat.Seq(rapid.IntRange(1, 3).Draw(t, "step"))
			m := noted{chat.ChannelID(fmt.Sprint("c", rapid.IntRange(0, 3).Draw(t, "ch"))), seq, 0}
			m.prev, last[m.ch] = last[m.ch], seq
			if seq <= start {
				continue
			}
			log = append(log, m)
			switch rapid.SampledFrom([]string{"", "", "", "", "drop", "twice", "late", "old"}).Draw(t, "fate") {
			case "drop":
			case "twice":
				sent = append(sent, m, m)
			case "late":
				i := max(0, len(sent)-rapid.IntRange(1, 4).Draw(t, "by"))
				sent = append(sent[:i:i], append([]noted{m}, sent[i:]...)...)
			case "old":
				sent = append(sent, m, log[rapid.IntRange(0, len(log)-1).Draw(t, "which")])
			default:
				sent = append(sent, m)
			}
		}
		walk(t, start, log, sent)
	})
}

func walk(t *rapid.T, start chat.Seq, log, sent []noted) {
	tr := fanout.NewTracker(start)
	taken := map[chat.Seq]bool{}
	for _, m := range sent {
		head, proved, _ := tr.State()
		switch tr.Judge(m.ch, m.seq, m.prev) {
		case fanout.Take:
			if m.seq <= head {
				t.Fatalf("%d was taken after %d", m.seq, head)
			}
			for _, before := range log {
				if before.ch == m.ch && before.seq < m.seq && !taken[before.seq] {
					t.Fatalf("%d of %s was taken without %d", m.seq, m.ch, before.seq)
				}
			}
			tr.Note(m.ch, m.seq, m.prev, true)
			taken[m.seq] = true
		case fanout.Old:
			if !taken[m.seq] {
				t.Fatalf("%d was not taken before", m.seq)
			}
		case fanout.Gap, fanout.Hole:
			if taken[m.seq] {
				t.Fatalf("%d was taken before", m.seq)
			}
		}
		// From time to time everything up to here is compared with the log, and proved.
		if head, _, _ = tr.State(); rapid.IntRange(0, 9).Draw(t, "compare") > 0 {
			continue
		}
		var between []chat.Seq
		lacks := chat.Seq(0)
		for _, in := range log {
			if in.seq > proved && in.seq <= head {
				between = append(between, in.seq)
				if !taken[in.seq] && lacks == 0 {
					lacks = in.seq
				}
			}
		}
		if missed, found := tr.Differs(between, head); found != (lacks > 0) || missed != lacks {
			t.Fatalf("the difference is %d, %t, want %d", missed, found, lacks)
		}
		if lacks > 0 {
			return // a new generation begins
		}
		if seq, found := tr.Differs(between[:max(0, len(between)-1)], head); found != (len(between) > 0) {
			t.Fatalf("%d of %v was invented: %d, %t", head, between, seq, found)
		}
		tr.Prove(head)
		if _, _, n := tr.State(); n != 0 {
			t.Fatalf("%d are remembered after all was proved", n)
		}
	}
}
