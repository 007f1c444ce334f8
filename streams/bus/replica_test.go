package bus_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

// replicas answer for the stream of a shard as several servers would, of which some lag. The log that they have is the same.
type replicas struct {
	t  *testing.T
	nc *nats.Conn

	mu     sync.Mutex
	log    map[chat.Seq]string // seq → subject
	ends   []chat.Seq          // of who answers next, in turn
	erased map[chat.Seq]bool
}

// request is what is asked.
type request struct {
	Seq       chat.Seq `json:"seq"`
	NextFor   string   `json:"next_by_subj"`
	LastFor   string   `json:"last_by_subj"`
	Batch     int      `json:"batch"`
	MultiLast []string `json:"multi_last"`
	UpToSeq   chat.Seq `json:"up_to_seq"`
}

func newReplicas(t *testing.T, n int) (*replicas, *bus.Log) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	c.Link.Cut()
	c.WaitUnlinked() // nobody else answers for the hub
	r := &replicas{t: t, nc: c.LeafConn, log: map[chat.Seq]string{}, erased: map[chat.Seq]bool{}}
	for i := range n {
		r.log[chat.Seq(i+1)] = fmt.Sprintf("chat.2.w1.c%d", i%3)
	}
	direct, err := streams.DirectGetSubject(streams.ChatStream(shard))
	r.must(err)
	leader, err := streams.LeaderGetSubject(streams.ChatStream(shard))
	r.must(err)
	info, err := streams.StreamInfoSubject(streams.ChatStream(shard))
	r.must(err)
	for subject, answer := range map[string]func(*nats.Msg){direct: r.direct, leader: r.leader, info: r.info} {
		_, err := r.nc.Subscribe(subject, answer)
		r.must(err)
	}
	r.must(r.nc.Flush())
	return r, bus.NewLog(dial(t, c.LeafURL()))
}

func (r *replicas) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// held are the seqs from one on up to another that a replica shows, of the subjects that match.
func (r *replicas) held(from, upTo chat.Seq, match func(string) bool) []chat.Seq {
	var seqs []chat.Seq
	for seq, subject := range r.log {
		if seq >= from && seq <= upTo && !r.erased[seq] && match(subject) {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs
}

func (r *replicas) direct(m *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var q request
	if err := json.Unmarshal(m.Data, &q); err != nil {
		r.t.Error(err)
		return
	}
	end := r.ends[0]
	if len(r.ends) > 1 {
		r.ends = r.ends[1:]
	}
	var found []chat.Seq
	switch {
	case len(q.MultiLast) > 0:
		last := map[string]chat.Seq{}
		for _, seq := range r.held(q.Seq, min(end, q.UpToSeq), func(s string) bool { return slices.Contains(q.MultiLast, s) }) {
			last[r.log[seq]] = seq
		}
		found = slices.Sorted(maps.Values(last))
	case q.NextFor != "":
		found = r.held(q.Seq, end, func(s string) bool { return q.NextFor == "chat.2.>" || s == q.NextFor })
	default:
		found = r.held(q.Seq, min(end, q.Seq), func(string) bool { return true })
	}
	r.answer(m.Reply, found, q)
}

func (r *replicas) answer(to string, found []chat.Seq, q request) {
	single := q.Batch == 0 && len(q.MultiLast) == 0
	var before chat.Seq
	for _, seq := range found {
		r.must(r.nc.PublishMsg(&nats.Msg{Subject: to, Data: []byte("x"), Header: nats.Header{
			streams.HeaderStream: {streams.ChatStream(shard)}, streams.HeaderSubject: {r.log[seq]},
			streams.HeaderSequence: {fmt.Sprint(seq)}, streams.HeaderLastSequence: {fmt.Sprint(before)},
			streams.HeaderTimeStamp: {"2026-01-01T00:00:00Z"}, streams.HeaderMsgID: {fmt.Sprint("m", seq)},
		}}))
		before = seq
	}
	switch {
	case len(found) == 0:
		r.must(r.nc.PublishMsg(&nats.Msg{Subject: to, Header: nats.Header{"Status": {"404"}}}))
	case !single:
		r.must(r.nc.PublishMsg(&nats.Msg{Subject: to, Header: nats.Header{
			"Status": {"204"}, streams.HeaderNumPending: {"0"}, streams.HeaderLastSequence: {fmt.Sprint(before)},
		}}))
	}
}

func (r *replicas) leader(m *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var q request
	r.must(json.Unmarshal(m.Data, &q))
	seqs := r.held(1, chat.MaxSeq, func(s string) bool { return q.LastFor == "chat.2.>" || s == q.LastFor })
	r.must(m.Respond(fmt.Appendf(nil, `{"message":{"seq":%d}}`, seqs[len(seqs)-1])))
}

func (r *replicas) info(m *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.must(m.Respond(fmt.Appendf(nil, `{"state":{"first_seq":1,"last_seq":%d}}`, len(r.log))))
}

func (r *replicas) lag(ends ...chat.Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = ends
}

// Each question may be answered by another replica. What is answered is right, or it is Unavailable.
func TestLastBeforeBelievesNoReplicaThatLags(t *testing.T) {
	r, log := newReplicas(t, 60)
	subjects := []string{"chat.2.w1.c0", "chat.2.w1.c1", "chat.2.w1.none"}
	want := map[string]chat.Seq{"chat.2.w1.c0": 49, "chat.2.w1.c1": 50} // up to 50
	for _, c := range []struct {
		name   string
		ends   []chat.Seq // of the replicas that answer, in turn
		erased []chat.Seq
		ok     bool
	}{
		{"none lags", []chat.Seq{60}, nil, true},
		{"they lag, and have it", []chat.Seq{50, 52}, nil, true},
		{"the second has nothing after 40", []chat.Seq{60, 40}, nil, false},
		{"the second has nothing of one of them", []chat.Seq{60, 1}, nil, false},
		{"the second has nothing", []chat.Seq{60, 0}, nil, false},
		{"the first does not have it", []chat.Seq{30}, nil, false},
		{"the event was erased", []chat.Seq{60}, []chat.Seq{51, 50, 48}, true},
		{"the event was erased, and they lag", []chat.Seq{60, 60, 45}, []chat.Seq{50, 48}, false},
		{"the event was erased, and none has gone on", []chat.Seq{60, 49}, []chat.Seq{50}, false},
		{"much was erased", []chat.Seq{60}, until(12, 50), true},
		{"all before was erased", []chat.Seq{60}, until(1, 50), true},
	} {
		r.mu.Lock()
		r.erased = map[chat.Seq]bool{}
		for _, seq := range c.erased {
			r.erased[seq] = true
		}
		exact := maps.Clone(want)
		for i, s := range subjects {
			delete(exact, s)
			if seqs := r.held(1, 50, func(subject string) bool { return subject == s }); i < 2 && len(seqs) > 0 {
				exact[s] = seqs[len(seqs)-1]
			}
		}
		r.mu.Unlock()
		r.lag(c.ends...)
		got, err := log.LastBefore(t.Context(), shard, subjects, 50)
		switch {
		case c.ok && (err != nil || !maps.Equal(got, exact)):
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, exact)
		case !c.ok && !fault.Is(err, fault.Unavailable):
			t.Errorf("%s: %v, %v; want Unavailable", c.name, got, err)
		}
	}
}

func until(from, to chat.Seq) (seqs []chat.Seq) {
	for ; from <= to; from++ {
		seqs = append(seqs, from)
	}
	return seqs
}

func TestFindMsgIDBelievesNoReplicaThatLags(t *testing.T) {
	r, log := newReplicas(t, 60)
	q := bus.ReadQuery{Shard: shard, Filter: "chat.2.w1.c0"} // 1, 4 … 58
	r.lag(60)
	if seq, err := log.FindMsgID(t.Context(), q, "m58"); err != nil || seq != 58 {
		t.Errorf("%v, %v", seq, err)
	}
	_, err := log.FindMsgID(t.Context(), q, "m59") // of another channel
	wantKind(t, err, fault.NotFound)
	r.lag(57)
	_, err = log.FindMsgID(t.Context(), q, "m58")
	wantKind(t, err, fault.Unavailable)
	if seq, err := log.FindMsgID(t.Context(), q, "m55"); err != nil || seq != 55 {
		t.Errorf("%v, %v", seq, err)
	}
}
