package faults_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/check"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
)

// row is what was seen of a fault.
type row struct {
	name                             string
	stored, unknown, refused, resent int
	longest                          time.Duration // of a send that was stored in the end
	healed                           time.Duration // from the mending until all is ready and everybody hears everybody
	current                          time.Duration // from then on until `canopy check` has nothing to say of quorum
	caughtUp                         time.Duration // from then on until the consumers had everything of that time
	blinks, resyncs                  int           // sockets that were lost or not to be had; readers who were told to resync
	total                            time.Duration
}

// table is all rows, for people.
func (w *site) table() string {
	var text strings.Builder
	tabs := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tabs, "fault\tstored\tunknown\trefused\tsent again\tlongest send\thealed\tcurrent\tcaught up\tlost sockets\tresyncs\ttook")
	short := func(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
	for _, r := range w.rows {
		fmt.Fprintf(tabs, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.name, r.stored, r.unknown, r.refused, r.resent, short(r.longest),
			short(r.healed), short(r.current), short(r.caughtUp), r.blinks, r.resyncs, short(r.total))
	}
	_ = tabs.Flush() // a strings.Builder takes everything
	return text.String()
}

// tally counts what has happened to sockets so far.
func (w *site) tally() (blinks, resyncs int) {
	for _, p := range w.people {
		p.mu.Lock()
		blinks, resyncs = blinks+len(p.offline), resyncs+p.resyncs
		p.mu.Unlock()
	}
	return blinks, resyncs
}

// sum is what was answered in all.
func (w *site) sum() (all row) {
	for _, r := range w.rows {
		all.stored, all.unknown = all.stored+r.stored, all.unknown+r.unknown
		all.refused, all.resent = all.refused+r.refused, all.resent+r.resent
	}
	return all
}

// heals waits until everything is well by itself after a fault was mended, has people stop talking, and holds all that
// was seen so far against what is promised.
func (w *site) heals(t *talk, r *row) {
	w.t.Helper()
	w.must(w.Ready(w.ctx))
	w.awaits("everybody is back", w.allOnline)
	t.goesOn(w.people)
	r.healed = time.Since(w.mended)
	t.end()
	healthy, content := time.Now(), make(chan error, 1)
	go func() {
		err := w.checksOut()
		r.current = time.Since(healthy)
		content <- err
	}()
	defer func() { w.must(<-content) }()
	seen := record{answers: w.seen.since(0), log: w.log(), history: map[string][]message{}}
	var last chat.Seq
	if n := len(seen.log); n > 0 {
		last = seen.log[n-1].seq
	}
	w.follow(r, last, healthy)
	for _, p := range w.people {
		w.awaits(p.login+" has heard all", func() (bool, string) { return p.hasHeard(last) })
		seen.readers = append(seen.readers, p.reader(w))
	}
	for _, p := range []*person{w.owner, w.people[len(w.people)-1]} { // one of each region
		seen.history[p.login] = w.historyOf(p, seen.log)
	}
	for _, v := range violations(seen) {
		w.t.Error(v)
	}
	r.count(w.seen.since(t.first))
}

func (r *row) count(answers []answer) {
	for _, a := range answers {
		switch {
		case a.outcome == unknown:
			r.unknown++
		case a.outcome == refused:
			r.refused++
		case a.again:
			r.resent++
		default:
			r.stored++
		}
	}
}

// log is the messages of the workspace as they lie in the stream.
func (w *site) log() []message {
	w.t.Helper()
	filter, err := streams.ChatWorkspaceFilter(w.shard, w.workspace)
	if err != nil {
		w.t.Fatal(err)
	}
	// The consumer is on any server, also on one that has just come back and is behind. How much there is, the leader says.
	stream, err := w.js.Stream(w.ctx, streams.ChatStream(w.shard))
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := stream.Info(w.ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		w.t.Fatal(err)
	}
	left := uint64(0)
	for _, n := range info.State.Subjects {
		left += n
	}
	from, err := stream.OrderedConsumer(w.ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		w.t.Fatal(err)
	}
	reading, err := from.Messages()
	if err != nil {
		w.t.Fatal(err)
	}
	defer reading.Stop()
	var all []message
	for ; left > 0; left-- {
		m, err := reading.Next(jetstream.NextContext(w.ctx))
		if err != nil {
			w.t.Fatal(err)
		}
		at, err := m.Metadata()
		if err != nil {
			w.t.Fatal(err)
		}
		e, err := event.Parse(m.Data())
		if err != nil {
			w.t.Fatalf("the log has %q at %d: %v", m.Data(), at.Sequence.Stream, err)
		}
		if e.Kind == event.MessagePosted {
			all = append(all, message{chat.Seq(at.Sequence.Stream), e.ChannelID, w.loginOf(e.SenderID), e.ClientMsgID, e.Body})
		}
	}
	return all
}

// historyOf is all channels that somebody may read, each from its beginning, page by page, as soon as they say that
// they have everything that the log has.
func (w *site) historyOf(p *person, log []message) (all []message) {
	w.t.Helper()
	of := w.channels
	if p == w.owner {
		of = append(slices.Clone(of), w.secret)
	}
	last := make(map[chat.ChannelID]chat.Seq)
	for _, m := range log {
		last[m.channel] = m.seq
	}
	for _, channel := range of {
		w.awaits("history is complete", func() (bool, string) {
			page, err := p.client.History(w.ctx, channel, client.Page{})
			return err == nil && page.CompleteThrough >= last[channel], fmt.Sprintf("it is up to %d of %d, %v", page.CompleteThrough, last[channel], err)
		})
		for at, more := chat.Seq(client.FromBeginning), true; more; {
			page, err := p.client.History(w.ctx, channel, client.Page{After: at, Limit: chat.MaxPageSize})
			if err != nil {
				w.t.Fatal(err)
			}
			for _, m := range slices.Backward(page.Messages) {
				all, at = append(all, w.messageOf(m)), m.Seq
			}
			more = page.HasMore && len(page.Messages) > 0
		}
	}
	return all
}

// checksOut waits until `canopy check` finds nothing that fails and every replica current.
func (w *site) checksOut() error {
	return w.until("canopy check is content", func() (bool, string) {
		cmd := exec.CommandContext(w.ctx, w.canopy, "check", "--json", "--config", filepath.Join(w.Dir, local.ConfigName), "--system", w.SystemURL())
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return false, err.Error()
		}
		findings := json.NewDecoder(bytes.NewReader(out))
		looked, ill := 0, ""
		for findings.More() {
			var f check.Finding
			if err := findings.Decode(&f); err != nil {
				return false, err.Error()
			}
			looked++
			if f.Level == check.Fail || f.Check == "quorum" && f.Level != check.OK {
				ill += fmt.Sprintf("%s %s: %s\n", f.Level, f.Check, f.Detail)
			}
		}
		return looked > 0 && ill == "" && err == nil, fmt.Sprintf("%d findings, %s %v", looked, ill, err)
	})
}

// follow waits, beside the faults that come next, until every consumer has done with the log as it is now: what a process
// held that was killed, and acks that an election lost, come again after half a minute.
func (w *site) follow(r *row, last chat.Seq, since time.Time) {
	w.t.Helper()
	stream := streams.ChatStream(w.shard)
	names, err := streams.Consumers(stream)
	w.must(err)
	if len(names) == 0 {
		w.t.Fatal("the log has no consumers")
	}
	w.following.Go(func() {
		for _, name := range names {
			err := w.until(fmt.Sprintf("after %s the consumer %s has done with %d", r.name, name, last), func() (bool, string) {
				time.Sleep(200 * time.Millisecond) // it is no hurry
				c, err := w.js.Consumer(w.ctx, stream, name)
				if err != nil {
					return false, err.Error()
				}
				info := c.CachedInfo()
				return info.AckFloor.Stream >= uint64(last), fmt.Sprintf("its floor is %d, %d wait, %d are out", info.AckFloor.Stream, info.NumPending, info.NumAckPending)
			})
			if err != nil {
				w.whole.Error(err)
			}
		}
		r.caughtUp = time.Since(since)
	})
}
