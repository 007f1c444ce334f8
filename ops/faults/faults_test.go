package faults_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
)

// cutFor is for how long a region is cut off.
const cutFor = 15 * time.Second

// One fault after the other, of one deployment, under load.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills and cuts a whole deployment for some minutes")
	}
	w := start(t)
	began := time.Now()
	for _, f := range []struct {
		name string
		make func(*talk) // and mend it
	}{
		{"the stream leader is killed", w.leaderIsKilled},
		{"a leaf is killed", w.leafIsKilled},
		{"api and persister are killed", w.servicesAreKilled},
		{"a link is cut", w.linkIsCut},
		{"a link is silent from the hub", w.linkIsHalfOpen},
		{"two hub servers are killed", w.quorumIsLost},
	} {
		ok := t.Run(f.name, func(t *testing.T) {
			w.t = t
			r := &row{name: f.name}
			w.rows = append(w.rows, r)
			blinks, resyncs := w.tally()
			start := time.Now()
			w.seen.longest = 0
			talk := w.talks()
			talk.goesOn(w.people)
			w.mended = time.Time{}
			f.make(talk)
			w.heals(talk, r)
			r.longest = w.seen.longest
			r.blinks, r.resyncs = w.tally()
			r.blinks, r.resyncs = r.blinks-blinks, r.resyncs-resyncs
			r.total = time.Since(start)
		})
		if !ok {
			break // what comes next would be about this one
		}
	}
	w.t = t
	w.following.Wait()
	if sum := w.sum(); sum.stored == 0 || sum.refused == 0 || sum.resent == 0 {
		t.Errorf("something was never tried: %+v", sum)
	}
	t.Logf("%d people, %d sends in %s\n%s", len(w.people), len(w.seen.since(0)), time.Since(began).Round(time.Second), w.table())
}

// mends starts what was killed again. From now on nobody lends a hand.
func (w *site) mends(killed ...*local.Process) {
	w.t.Helper()
	for _, p := range killed {
		w.must(p.Start())
	}
	w.mended = time.Now()
}

// leader is the hub server that leads the workspace's log, and one that does not.
func (w *site) leader() (leader, other *local.Process) {
	w.t.Helper()
	w.awaits("the log has a leader", func() (bool, string) {
		var err error
		leader, err = w.StreamLeader(w.ctx, w.shard)
		return leader != nil, fmt.Sprint(err)
	})
	i := slices.IndexFunc(w.Hubs, func(p *local.Process) bool { return p != leader })
	return leader, w.Hubs[i]
}

// leaderIsKilled: the others go on.
func (w *site) leaderIsKilled(t *talk) {
	leader, _ := w.leader()
	w.must(leader.Kill())
	t.goesOn(w.people)
	w.mends(leader)
}

// leafIsKilled: the other region notices nothing.
func (w *site) leafIsKilled(t *talk) {
	before := w.lossesIn("eu")
	w.must(w.Leaves["us"].Kill())
	for _, g := range w.Gateways["us"] {
		w.awaits(g.Name+" says that it cannot serve", func() (bool, string) { return !g.IsReady(w.ctx), "" })
	}
	t.goesOn(w.region("eu"))
	w.checkNobodyWasLost("eu", before)
	w.mends(w.Leaves["us"])
}

// servicesAreKilled: who is connected chats on.
func (w *site) servicesAreKilled(t *talk) {
	before := w.lossesIn("")
	victims := []*local.Process{w.APIs[0], w.Persisters[0]}
	for _, p := range victims {
		w.must(p.Kill())
	}
	t.goesOn(w.people)
	w.mends(victims...)
	w.checkNobodyWasLost("", before)
}

// linkIsCut: the region that is cut off goes on by itself, but for what needs the log.
func (w *site) linkIsCut(t *talk) {
	before := w.lossesIn("")
	over := time.After(cutFor)
	w.Links["us"].Cut()
	waiting := w.beginSends("us")
	w.checkLocalLife("us")
	t.goesOn(w.region("eu"))
	<-over
	w.checkLocalLife("us")
	w.checkNobodyWasLost("", before)
	waiting.areSending()
	w.Links["us"].Heal()
	w.mends()
	waiting.areStored(t)
}

// linkIsHalfOpen: what is silent is found by its silence, and given up.
func (w *site) linkIsHalfOpen(t *talk) {
	link := w.Links["us"]
	tries := link.Counts().Accepted
	link.Hold(faultproxy.Down)
	waiting := w.beginSends("us")
	w.checkLocalLife("us")
	t.goesOn(w.region("eu"))
	w.awaits("the leaf tries another connection", func() (bool, string) {
		return link.Counts().Accepted > tries, fmt.Sprintf("%+v", link.Counts())
	})
	waiting.areSending() // also when the hub has them: no ack comes through
	link.Heal()
	w.mends()
	waiting.areStored(t)
}

// quorumIsLost: nobody can be told that anything is stored, and nobody is sent away.
func (w *site) quorumIsLost(t *talk) {
	before := w.lossesIn("")
	leader, other := w.leader()
	w.must(leader.Kill())
	w.must(other.Kill())
	waiting := w.beginSends("")
	for _, region := range w.Regions {
		w.checkLocalLife(region)
	}
	m := line(w.owner.login, w.channels[0])
	t.post(w.owner, m)
	for _, a := range w.seen.since(t.first) {
		if a.id == m.id && a.outcome != unknown {
			w.t.Errorf("without a quorum REST answers %s as %s", m, a.outcome)
		}
	}
	waiting.areSending()
	w.checkNobodyWasLost("", before)
	w.mends(leader, other)
	waiting.areStored(t)
}

// waiting is sends that nobody can answer now.
type waiting struct {
	w     *site
	sent  []inOutbox
	began time.Time
}

type inOutbox struct {
	of      *person
	what    message
	pending *live.Pending
}

// beginSends has everybody of a region send something, beside what they say anyway.
func (w *site) beginSends(region string) *waiting {
	w.t.Helper()
	all := &waiting{w: w, began: time.Now()}
	for _, p := range w.region(region) {
		m := line(p.login, w.channels[1])
		pending, err := p.Send(w.ctx, client.Message{ChannelID: m.channel, Body: m.body, ClientMsgID: m.id})
		w.must(err)
		all.sent = append(all.sent, inOutbox{p, m, pending})
	}
	return all
}

// areSending fails when one was answered.
func (s *waiting) areSending() {
	s.w.t.Helper()
	for _, one := range s.sent {
		if state := one.pending.State(); state != live.Sending {
			r, err := one.pending.Wait(s.w.ctx)
			s.w.t.Errorf("%s is %s as %d (%v), and nobody can know", one.what, state, r.Seq, err)
		}
	}
}

// areStored waits until all are.
func (s *waiting) areStored(t *talk) {
	s.w.t.Helper()
	var took []time.Duration
	for _, one := range s.sent {
		ctx, cancel := context.WithTimeout(s.w.ctx, patience)
		r, err := one.pending.Wait(ctx)
		cancel()
		if err != nil {
			s.w.t.Errorf("%s is not stored: %v", one.what, err)
		}
		took = append(took, time.Since(s.w.mended))
		t.note(one.of, answer{message: one.what, outcome: outcomeOf(err), at: one.of.login}, r.Seq, s.began)
	}
	s.w.t.Logf("what waited is stored %s to %s after the mending", slices.Min(took).Round(100*time.Millisecond), slices.Max(took).Round(100*time.Millisecond))
}

// checkLocalLife fails unless two people of a region, at different gateways, see each other type and change their
// status.
func (w *site) checkLocalLife(region string) {
	w.t.Helper()
	people := w.region(region)
	one, other := people[len(people)-2], people[len(people)-1]
	before := other.typed(one)
	w.awaits(fmt.Sprintf("%s sees %s type", other.login, one.login), func() (bool, string) {
		w.must(one.Typing(w.channels[0]))
		return other.typed(one) > before, ""
	})
	_, err := other.QueryPresence(w.ctx, one.id)
	w.must(err)
	text := fmt.Sprint("thought ", counter.Add(1))
	_, err = one.SetPresence(w.ctx, chat.StatusOnline, text)
	w.must(err)
	w.awaits(fmt.Sprintf("%s sees what %s says of themselves", other.login, one.login), func() (bool, string) {
		return other.sees(one) == text, other.sees(one)
	})
}

// lossesIn are how often each socket of a region was lost so far.
func (w *site) lossesIn(region string) map[string]int {
	all := make(map[string]int)
	for _, p := range w.region(region) {
		all[p.login], _ = p.losses()
	}
	return all
}

func (w *site) checkNobodyWasLost(region string, before map[string]int) {
	w.t.Helper()
	for _, p := range w.region(region) {
		if n, last := p.losses(); n != before[p.login] {
			w.t.Errorf("%s was sent away: %v", p.login, last)
		}
	}
}
