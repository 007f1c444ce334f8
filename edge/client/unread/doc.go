// Package unread counts what waits for a user, as one device of theirs sees it: the messages of others in each of their
// channels that are not deleted and lie after both what they have read and when they came.
//
// The flow. A Tracker is told every event of a socket, in order, and every read mark, and counts by sets of messages and
// not by numbers: an edit, a delete or a mark then changes what it must, and doing it twice changes nothing. What a
// device cannot know it does not guess: after a gap, an interruption or a reconnect the Tracker says so (Due), and is given
// the server's answer (rest.ReadState, with its messages).
//
//	Due ─▶ Begin ─▶ GET /workspaces/{id}/read?messages=true ─▶ Answer, or Failed and Begin again later
//
// An answer is right up to its Through, and events go on meanwhile. So from Begin on the Tracker keeps them, and plays those
// after Through upon the answer. One that is older than what the device has seen is not taken for that channel, and Due
// stays. What lies before the head of a resync, or of the first socket, is in no event: of that the answer must be whole.
//
// It promises that counts are never negative, that a read mark never goes back, and that with everything told and nothing Due
// all devices count what the server counts. It is pure: no clock, no lock, no network.
package unread
