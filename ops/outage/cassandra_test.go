package outage_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines"
	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
)

// longVariable says how long Cassandra stays away.
const longVariable = "CANOPY_OUTAGE_FOR"

// longEnough is more than the 30 s after which the log delivers again what nobody acknowledges or holds
// (streams/CHAT_*.persist.json).
const longEnough = 38 * time.Second

// brief is an outage that is no matter of time.
const brief = 12 * time.Second

// long is how long Cassandra stays away, unless the environment says otherwise.
func long(t *testing.T, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(longVariable)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", longVariable, err)
	}
	return d
}

// onCassandra are the settings of a town that is on the real databases, with a keyspace and a database of its own.
func onCassandra(t *testing.T, e *engines.Engines, network *faultproxy.Proxy, own string) config.Config {
	t.Helper()
	cfg := settings(t)
	cfg.Cassandra.Hosts, cfg.Cassandra.Keyspace = []string{network.Address()}, "of_"+own
	cfg.Postgres.DSN = database(t, e, own)
	return cfg
}

func TestCassandraIsAwayWhilePeopleChat(t *testing.T) {
	t.Parallel()
	e := databases.start(t)
	t.Run("killed", func(t *testing.T) { cassandraIsKilled(t, e) })
	t.Run("slow", func(t *testing.T) { cassandraIsSlow(t, e) })
}

// A node that is killed is away for longer than the log waits for an acknowledgement.
func cassandraIsKilled(t *testing.T, e *engines.Engines) {
	node := e.Cassandra[0]
	network := proxied(t, faultproxy.Config{Target: "127.0.61.1:9042", Listen: "127.0.61.1:0"})
	cfg := onCassandra(t, e, network, firstDatabase)
	w := inhabit(t, cfg, 2)
	old := w.channel("old")
	oldest := w.age(old, 60)

	o := outage{town: w, cfg: cfg, long: long(t, longEnough)}
	o.begin = func() {
		node.Kill()
		network.Reset()
	}
	o.end = func() {
		if err := node.Start(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	o.meanwhile = func() {
		// What the log has forgotten waits for the store, and that is said soon.
		if _, a, err := w.page(w.people[1], old, fmt.Sprintf("?before=%d&limit=20", oldest)); err != nil || a.problem.Code != fault.Unavailable || a.problem.RetryAfter <= 0 {
			t.Errorf("a page that is older than the log: %v, %v", a, err)
		} else {
			t.Logf("a page that is older than the log: %v", a)
		}
	}
	o.endured(t)
	if all := w.people[2].history(old, 0); len(all) != 60 {
		t.Errorf("of the 60 messages that are older than the log, %d are there when the node is back", len(all))
	}
}

// A node behind a network that adds 2 s each way answers after it was given up, and what it was told is applied all the
// same. One whose answers are lost applies everything and tells nobody.
func cassandraIsSlow(t *testing.T, e *engines.Engines) {
	network := proxied(t, faultproxy.Config{Target: "127.0.61.1:9042", Listen: "127.0.61.1:0"})
	cfg := onCassandra(t, e, network, secondDatabase)
	w := inhabit(t, cfg, 2)
	for _, c := range []struct {
		name  string
		begin func()
		long  time.Duration
	}{
		{"each way takes 2 s more", func() { network.Delay(2*time.Second, 0) }, long(t, brief)},
		{"the answers are held", func() { network.Hold(faultproxy.Down) }, brief},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t, w.log.t = t, t // this part's failures are its own
			before := network.Counts().Up
			o := outage{town: w, cfg: cfg, begin: c.begin, end: network.Heal, long: c.long}
			o.endured(t)
			if network.Counts().Up == before {
				t.Error("nobody spoke to the node through the network that was slow")
			}
		})
	}
}

// proxied runs a network until the test ends.
func proxied(t *testing.T, c faultproxy.Config) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// age fills a channel and has the log forget it, once the store has it; it answers the highest seq that is forgotten.
func (w *town) age(channel chat.ChannelID, messages int) chat.Seq {
	w.t.Helper()
	var last chat.Seq
	for i := range messages {
		ack, err := w.people[0].Post(w.t.Context(), client.Message{ChannelID: channel, Body: fmt.Sprintf("long ago %d", i)})
		if err != nil {
			w.t.Fatal(err)
		}
		last = ack.Seq
	}
	w.log.drained()
	shard := w.log.shard(w.workspace)
	w.log.routed(shard, last)
	w.log.forget(shard, last)
	return last
}

// outage takes Cassandra away from people who chat.
type outage struct {
	town       *town
	cfg        config.Config
	begin, end func()
	meanwhile  func() // may be nil
	long       time.Duration
}

// endured fails when anybody notices more than they must.
func (o outage) endured(t *testing.T) {
	t.Helper()
	w := o.town
	channel := w.channel("talk-" + strings.ToLower(string(client.NewMsgID())[24:]))
	talk := w.chatting(channel, true)
	talk.goesOn(20)
	early := talk.ears[1].Cursor()

	t.Logf("before:%s", talk.times())
	o.begin()
	began := time.Now()
	reads, refused := talk.looks()
	w.says(http.StatusServiceUnavailable, "the message store does not answer", "does not pull")
	deliveries := w.log.deliveries()
	talk.goesOn(10)
	w.newcomers(talk, early)
	if o.meanwhile != nil {
		o.meanwhile()
	}
	for time.Since(began) < o.long {
		talk.goesOn(20)
	}
	if now := w.log.deliveries(); !slices.Equal(now, deliveries) {
		t.Errorf("events were delivered %v times when the outage began, %v times when it ended", deliveries, now)
	}
	w.log.checkNothingCameTwice("in the outage")
	allReads, allRefused := talk.looks()
	if reads, refused = allReads-reads, allRefused-refused; refused*2 > reads {
		t.Errorf("of %d newest pages in the outage %d were refused", reads, refused)
	}
	n, _ := talk.figures()
	lag := w.log.lag()
	t.Logf("in the outage:%s", talk.times())

	o.end()
	back := time.Now()
	w.says(http.StatusOK)
	ready := time.Since(back)
	until(t, "the lag is that of a store which keeps up", func() (bool, string) {
		lag := w.log.lag()
		return lag < 200, fmt.Sprint(lag)
	})
	drained := time.Since(back)
	talk.goesOn(10)
	all := talk.end()
	w.log.drained()
	t.Logf("away for %v; %d messages until then, %d in all; %d of %d newest pages refused; behind by %d events; ready after %v, lag drained after %v",
		back.Sub(began).Round(time.Second), n, len(all), refused, reads, lag, ready.Round(time.Millisecond), drained.Round(time.Millisecond))

	w.log.checkNothingCameTwice("when the node was back")
	talk.checkHeard(all)
	talk.checkStored("REST", all, w.people[1].history(channel, 0))
	talk.checkStored("the store", all, stored(t, o.cfg, channel))
	for _, e := range talk.ears {
		e.close()
	}
}

// says waits until /readyz has a status and names parts.
func (w *town) says(status int, parts ...string) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("/readyz says %d %v", status, parts), func() (bool, string) {
		got, text := w.readiness()
		ok := got == status
		for _, part := range parts {
			ok = ok && strings.Contains(text, part)
		}
		return ok, fmt.Sprintf("%d %s", got, text)
	})
}

// newcomers come in an outage: one resumes by a cursor, and one signs in. Both hear what is said.
func (w *town) newcomers(talk *talk, from chat.Cursor) {
	t := w.t
	t.Helper()
	_, upTo := talk.figures()
	again := w.people[1].listen(from)
	again.hears(upTo)
	again.mu.Lock()
	if on := again.online[0]; !on.Resumed {
		t.Errorf("a cursor is not resumed: %+v", on)
	}
	again.mu.Unlock()
	again.checkCalm(t)
	var missed []chat.Seq
	for _, m := range again.heard(talk.channel) {
		if m.Seq <= upTo {
			missed = append(missed, m.Seq)
		}
	}
	var want []chat.Seq
	talk.mu.Lock()
	for _, s := range talk.acked {
		if s.seq > from.Seq && s.seq <= upTo {
			want = append(want, s.seq)
		}
	}
	talk.mu.Unlock()
	slices.Sort(want)
	for _, seq := range want { // somebody's message may be stored, and not acknowledged yet
		if _, ok := slices.BinarySearch(missed, seq); !ok {
			t.Errorf("who resumes at %v does not hear %d", from, seq)
		}
	}
	again.close()

	p := w.people[len(w.people)-1]
	c, err := client.Login(within(t), w.run.HTTP, p.login, p.password, "another device")
	if err != nil {
		t.Errorf("a login: %v", err)
		return
	}
	fresh := w.person(c, p.login, p.password).listen(chat.Cursor{})
	talk.goesOn(5)
	_, upTo = talk.figures()
	fresh.hears(upTo)
	fresh.checkCalm(t)
	fresh.close()
}

// stored is a channel as the store has it, oldest first, read by a process of its own and without the log.
func stored(t *testing.T, cfg config.Config, channel chat.ChannelID) []rest.Message {
	t.Helper()
	ctx := within(t)
	m, err := cassandra.Open(ctx, cassandra.Config{Hosts: cfg.Cassandra.Hosts, Keyspace: cfg.Cassandra.Keyspace, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var all []rest.Message
	for q := (store.PageQuery{ChannelID: channel, Limit: chat.MaxPageSize}); ; {
		page, err := m.Page(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range page.Messages {
			all = append(all, rest.MessageOf(message))
		}
		if !page.HasMore {
			slices.Reverse(all)
			return all
		}
		q.Before = all[len(all)-1].Seq
	}
}
