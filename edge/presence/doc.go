// Package presence knows who can be reached: online, away or offline, with a text of their own, and who types.
//
// The flow (DESIGN §7). The gateway says when a user's sockets open and close, and what they set. A Book merges a user's
// devices, and holds what other gateways say:
//
//	own users        Book → dirty → the region's bucket: <region>.<ws>.<user>.<gateway>, only when the state changes
//	                              → eph.<ws>.presence.<user>, for other regions, and once more when a lease has gone by
//	own lease        every third of its TTL: one key <region>.<gateway>, and eph.-.lease.<region>.<gateway>
//	the region       one watch of the bucket → Book
//	other regions    eph.<ws>.> of the workspaces with somebody here → Book; at the first one a question, eph.<ws>.ask
//	Book             a user's merged presence changed → Deliverer
//
// The same subscription brings what users have read on other devices (eph.<ws>.read.<user>); the Deliverer is handed that as
// it comes, and told when some of it may not have come.
//
// A gateway whose lease lapses counts for nothing; the first of the living gateways of its region sweeps its keys. So
// steady state costs one key per gateway, however many users it has.
//
// Typing is passed on at most once in chat.TypingEvery for a user and channel; clients forget it after chat.TypingLife.
//
// It promises that no call but Run waits for anything, that everything is bounded by the users who are online, and that
// a bucket or link that fails delays presence and nothing else. It knows no socket and no membership.
package presence
