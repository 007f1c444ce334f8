// Package fanout turns the republished log of a workspace into a ring of ready-made frames that every
// session of the workspace on this gateway reads.
//
// It owns one Feed per workspace that has somebody online here: one NATS subscription, one bounded ring,
// one encoding of each frame however many sockets get it. It promises order and completeness: the entries
// of a feed rise in seq, and nothing later is shown while something before it is known to be missing.
//
// Republishing is at most once, so a feed proves that it is whole instead of trusting it:
//
//	each message     the seq before it in its channel (Nats-Last-Sequence) must be the channel's last one here;
//	                 if not, what lies between is read from the log first
//	every few s      what the log holds since the last proof is read again; the feed must have got all of it
//	each signal      (a reconnect, a new stream leader, the hub's link back, a subscription that overflowed)
//	                 the feed shows nothing more until it has what the stream's leader has
//
// What is found missing after the newest entry is read from the log and appended. What is found missing
// before it cannot be shown in order any more: the feed starts a new generation, and its sessions are told
// to resync. Readers who are behind the ring get pages of the log, in the same form (Feed.Page).
//
// It knows no sockets and no users: who may see an entry is edge/session's to say.
package fanout
