// Package faultproxy is a bad network between two processes of a test: a TCP proxy on the loopback that delays, holds
// and cuts what passes.
//
// Each of the two directions has its own fault. A direction that is held takes bytes and does not pass them on, nor
// the news that one side has closed or reset its connection, so the other side sees a peer that is silent: a link
// that is half-open. What was held passes when the direction is healed, in its order and whole. A new connection
// reaches the target when neither direction is held; until then its client waits.
//
// It promises that the bytes of a connection come out in the order in which they went in, whatever the faults; that
// what it holds in memory is bounded, by the network's own means: then it reads no more; and that nothing runs when
// Run has returned. It knows nothing of what passes.
package faultproxy
