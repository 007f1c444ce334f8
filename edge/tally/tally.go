// Package tally is what a gateway counts: plain numbers that any goroutine may add to and read. It owns their names, which
// become the labels of metrics (ops/obs), and knows no metric.
package tally

import (
	"sync"
	"sync/atomic"
)

// By is counters by reason. The reasons are few: a fault.Kind, or one of the constants of this package.
type By struct{ counts sync.Map } // string → *atomic.Uint64

// Add counts n of a reason.
func (b *By) Add(reason string, n uint64) {
	count, ok := b.counts.Load(reason)
	if !ok {
		count, _ = b.counts.LoadOrStore(reason, new(atomic.Uint64))
	}
	count.(*atomic.Uint64).Add(n)
}

// All is the counters that are not 0.
func (b *By) All() map[string]uint64 {
	all := make(map[string]uint64)
	b.counts.Range(func(reason, n any) bool {
		all[reason.(string)] = n.(*atomic.Uint64).Load()
		return true
	})
	return all
}

// Sum adds them up.
func (b *By) Sum() uint64 {
	var sum uint64
	for _, n := range b.All() {
		sum += n
	}
	return sum
}

// Client is the reason of sockets that the client, or the network, ended.
const Client = "client"

// Why something was thrown away that nobody is told of.
const (
	EphemeralBlocked = "ephemeral_blocked" // typing, presence or a read mark, for a socket that takes nothing now; the mark's is told cursor.stale
	EphemeralQueue   = "ephemeral_queue"   // typing, presence or a read mark, for a loop that has too much of it waiting; the mark's are told cursor.stale
	SendAbandoned    = "send_abandoned"    // a send that waited when its socket went: the client has no answer and sends it again
)

// Gateway is what a gateway did since it began.
type Gateway struct {
	Opened     atomic.Uint64 // sockets
	Resumed    atomic.Uint64 // of these, those that went on where they were
	Delivered  atomic.Uint64 // frames of events handed to sockets whole
	Ephemeral  atomic.Uint64 // frames of typing, presence and read marks handed to sockets
	Stale      atomic.Uint64 // times that a session was told that read marks may have moved unseen
	Behind     atomic.Uint64 // times that a socket would take no more and its session fell behind
	BehindNow  atomic.Int64  // sessions that are behind; a gauge
	Pages      atomic.Uint64 // pages of the log read for sessions behind the ring
	Resyncs    atomic.Uint64
	ResyncsBy  By // by wire.ResyncReason
	SendsTaken atomic.Uint64
	Refused    By // what sockets were refused, and requests for sockets, by fault.Kind
	Dropped    By // what was thrown away, by the reasons above
	ClosedBy   By // sockets, by fault.Kind or Client
}

// Closed is how many sockets were closed, by reason.
func (g *Gateway) Closed() map[string]uint64 { return g.ClosedBy.All() }
