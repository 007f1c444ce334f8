package obs

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are where the figures of components are read, at each scrape and from several goroutines. One that is
// nil is not there: a process has the figures of its roles. What takes a context returns when it ends.
type Sources struct {
	Gateway   func() Gateway
	Feeds     func() Feeds
	InFlight  func() map[string]int                         // events that wait for their PubAck, by publisher
	FanDrops  func() uint64                                 // messages on fan subjects that no stream had sent
	Drops     func() map[string]uint64                      // what else was thrown away, by the reason's name
	Outbox    func(context.Context) (int, error)            // changes that the Directory owes the log
	Persist   func(context.Context) ([]PersistShard, error) // the persister of each shard
	Persisted func() Persisted                              // what it did
	Delivers  func() Delivering                             // what the role deliver did
	Readiness func(context.Context) map[string]error        // the checks of /readyz by name; nil: passed
	NATS      func() []Server                               // the NATS servers of this process
}

// Gateway is what a gateway did since it began, and what it has now.
type Gateway struct {
	Sessions  int // now
	Behind    int // of these, those whose socket takes no more bytes, or which read what they missed
	Opened    uint64
	Closed    map[string]uint64 // by reason: a fault.Kind, or "client"
	Refused   map[string]uint64 // what sockets were refused, by code; besides what Refused was called for
	Delivered uint64            // frames of events
	FellBack  uint64            // times that a session fell behind
	Pages     uint64            // read from the log for sessions behind the ring
	Resyncs   uint64
	Sends     uint64 // taken from clients
}

// Feeds is what the workspace feeds of a gateway did.
type Feeds struct {
	Taken    uint64 // events
	Repairs  uint64 // reads of the log because something was missing
	Holes    uint64 // times that what was missing could not be shown in order any more
	Garbage  uint64 // messages that are no events
	Repeated uint64 // messages that had been taken before
}

// PersistShard is the persister of one shard.
type PersistShard struct {
	Shard   int
	Lag     uint64        // events of the stream that the store does not have yet
	Pulling bool          // it takes events; false in an outage of the store or of NATS
	Held    time.Duration // how long it has been holding events because the store does not take them; 0: it takes them
}

// Persisted is what the persister of this process did.
type Persisted struct {
	Batches  uint64            // that the store took
	Events   uint64            // that the store took
	Outcomes map[string]uint64 // what else became of events and batches, by name
	Last     map[int]uint64    // the highest seq that the store took here, by shard
	Healed   uint64            // events that were written again because the store was behind the consumer
	Healing  map[int]uint64    // positions of the log that are still to be written again, by shard
	Lost     map[int]uint64    // positions that the log forgot before the store had them, by shard
}

// figure is a metric that is read, not kept.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) figure {
	return figure{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) figure {
	return figure{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

// The figures that are read at a scrape.
var (
	sessions      = gauge("canopy_sessions", "Sessions that are open: one a socket.")
	behind        = gauge("canopy_sessions_behind", "Sessions whose socket takes no more bytes, or which read what they missed.")
	fellBehind    = counter("canopy_sessions_fell_behind_total", "Times that a session fell behind.")
	opened        = counter("canopy_sockets_opened_total", "Sockets that were opened.")
	closed        = counter("canopy_sockets_closed_total", "Sockets that were closed: client when the client went, else why the gateway did it.", "reason")
	delivered     = counter("canopy_frames_delivered_total", "Frames of events that were handed to sockets whole.")
	pages         = counter("canopy_pages_total", "Pages of the log that were read for sessions behind the ring.")
	resyncs       = counter("canopy_resyncs_total", "Sessions that were told to page history, for what they missed is not at hand any more.")
	sends         = counter("canopy_sends_total", "Sends that were taken from clients.")
	refusedFigure = counter("canopy_refusals_total", "Refusals, by the code that the client was told.", "surface", "code")

	feedEvents   = counter("canopy_feed_events_total", "Events that came into the rings of workspaces.")
	feedRepairs  = counter("canopy_feed_repairs_total", "Times that the log was read because something was missing.")
	feedHoles    = counter("canopy_feed_holes_total", "Times that what was missing could not be shown in order any more.")
	feedGarbage  = counter("canopy_feed_garbage_total", "Messages on the subjects of workspaces that are no events.")
	feedRepeated = counter("canopy_feed_repeated_total", "Messages that had been taken before.")

	inFlight = gauge("canopy_publishes_in_flight", "Events that wait for the log's word that they are stored.", "publisher")
	fanDrops = counter("canopy_fan_drops_total", "Republished messages that no stream had sent; somebody put them there by hand.")
	drops    = counter("canopy_drops_total", "What was thrown away because a queue was full or a budget used up.", "reason")
	owed     = gauge("canopy_outbox_owed", "Changes of the Directory that are not in the log yet.")
	lag      = gauge("canopy_persist_lag_events", "Events of a shard's stream that the message store does not have yet.", "shard")
	pulling  = gauge("canopy_persist_pulling", "1 while the persister of a shard takes events; 0 in an outage of the store or of NATS.", "shard")

	heldFor   = gauge("canopy_persist_held_seconds", "How long the persister of a shard has been holding events because the message store does not take them.", "shard")
	lastSeq   = gauge("canopy_persist_last_seq", "The highest seq of a shard that this process wrote to the message store.", "shard")
	batches   = counter("canopy_persist_batches_total", "Batches of events that the message store took.")
	persisted = counter("canopy_persist_events_total", "Events that the message store took; what was delivered again counts again.")
	healed    = counter("canopy_persist_healed_events_total", "Events that were written again because the message store was behind what the log had handed out.")
	healing   = gauge("canopy_persist_healing_events", "Positions of a shard's stream that are still to be written again. Until then history says less than it has.", "shard")
	lost      = counter("canopy_persist_lost_events_total", "Positions of a shard's stream that the log forgot before the message store had them.", "shard")
	outcomes  = counter("canopy_persist_outcomes_total", "Events that were parked, retried or kept, and times that a batch was held because the message store did not take it.", "outcome")

	ready = gauge("canopy_ready", "1 when a check of readiness passed.", "check")
)

// own reads the figures of Sources.
type own struct{ m *Metrics }

// Describe implements prometheus.Collector. It says nothing, for which figures there are depends on the roles.
func (own) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (o own) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), o.m.budget)
	defer cancel()
	s, out := o.m.watched(), sink(ch)
	var g Gateway
	if s.Gateway != nil {
		g = s.Gateway()
		out.gateway(g)
	}
	for r, n := range o.m.refused.counts(g.Refused) {
		out.put(refusedFigure, float64(n), string(r.on), string(r.code))
	}
	if s.Feeds != nil {
		out.feeds(s.Feeds())
	}
	if s.Persisted != nil {
		out.persisted(s.Persisted())
	}
	if s.Delivers != nil {
		out.delivering(s.Delivers())
	}
	if s.InFlight != nil {
		for publisher, n := range s.InFlight() {
			out.put(inFlight, float64(n), publisher)
		}
	}
	if s.FanDrops != nil {
		out.put(fanDrops, float64(s.FanDrops()))
	}
	if s.Drops != nil {
		out.by(drops, s.Drops())
	}
	out.asked(ctx, s)
}

// sink is where a scrape's figures go.
type sink chan<- prometheus.Metric

func (out sink) put(f figure, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

// by puts a counter for each value of its label.
func (out sink) by(f figure, counts map[string]uint64) {
	for label, n := range counts {
		out.put(f, float64(n), label)
	}
}

func (out sink) gateway(g Gateway) {
	out.put(sessions, float64(g.Sessions))
	out.put(behind, float64(g.Behind))
	out.put(fellBehind, float64(g.FellBack))
	out.put(opened, float64(g.Opened))
	out.by(closed, g.Closed)
	out.put(delivered, float64(g.Delivered))
	out.put(pages, float64(g.Pages))
	out.put(resyncs, float64(g.Resyncs))
	out.put(sends, float64(g.Sends))
}

func (out sink) feeds(f Feeds) {
	out.put(feedEvents, float64(f.Taken))
	out.put(feedRepairs, float64(f.Repairs))
	out.put(feedHoles, float64(f.Holes))
	out.put(feedGarbage, float64(f.Garbage))
	out.put(feedRepeated, float64(f.Repeated))
}

func (out sink) persisted(p Persisted) {
	out.put(batches, float64(p.Batches))
	out.put(persisted, float64(p.Events))
	out.by(outcomes, p.Outcomes)
	out.put(healed, float64(p.Healed))
	for f, byShard := range map[*figure]map[int]uint64{&lastSeq: p.Last, &healing: p.Healing, &lost: p.Lost} {
		for shard, n := range byShard {
			out.put(*f, float64(n), strconv.Itoa(shard))
		}
	}
}

// asked puts what others must be asked for, and says of what they do not answer that it is missing.
func (out sink) asked(ctx context.Context, s *Sources) {
	if s.Outbox != nil {
		if n, err := s.Outbox(ctx); err == nil {
			out.put(owed, float64(n))
		} else {
			out <- prometheus.NewInvalidMetric(owed.desc, err)
		}
	}
	if s.Persist != nil {
		shards, err := s.Persist(ctx)
		if err != nil {
			out <- prometheus.NewInvalidMetric(lag.desc, err)
		}
		for _, p := range shards {
			shard := strconv.Itoa(p.Shard)
			out.put(lag, float64(p.Lag), shard)
			out.put(pulling, oneIf(p.Pulling), shard)
			out.put(heldFor, p.Held.Seconds(), shard)
		}
	}
	if s.Readiness != nil {
		for check, err := range s.Readiness(ctx) {
			out.put(ready, oneIf(err == nil), check)
		}
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
