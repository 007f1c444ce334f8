// Package history reads channels: the store's pages with the end of the log laid over them, so that a
// message is in the history from the moment that it was acknowledged, also while the persister is behind.
//
// A page is made in this order, and the order is the proof:
//
//  1. p: how far the store has applied the shard          everything up to p is on the page that follows
//  2. the store's page                                    and perhaps a part of what is after p
//  3. s: the channel's last event, asked of the leader    everything acknowledged before the request is up to s
//  4. the channel's tail of the log, after p up to s      everything of the channel that the page may lack
//  5. the tail over the page                              applying again what the page had changes nothing
//
// CompleteThrough is then max(p, s): whoever was answered seq n before they asked finds n on the page or
// reads a CompleteThrough below n (INVARIANTS 9). It is less, and never more, when a part is missing: p
// without the log, what was read of the tail when it is too long or a replica is behind, p when the log
// has already forgotten something after p.
//
// Readers who ask for the same page at the same time share steps 1 and 2, and nothing else (sharedPages).
//
// A store that does not answer is waited for within a budget, and after some silence not at all, but for a probe now
// and then (breaker).
//
// What somebody has not read is counted over such pages, newest first (Unread): so a count is right up to the lowest
// CompleteThrough of its pages, and says so. Or it is not told at all.
//
// Without the store, the log alone answers as far as it goes back. A deleted message has no post there any more; its delete tells
// whose it was, so that both show it alike. The package writes nothing. Its errors
// are *fault.Error: Invalid, NotFound, Unavailable.
package history
