// Package cursors is up to where people and their devices have come: read cursors, which say what a user has read of a
// channel, and delivered cursors, which say up to where a device has everything of a workspace.
//
// It owns the rules of both: whose they are, that they never go back, and that a user's other devices hear of what was
// read. It keeps nothing itself: the cursors lie in the message store. Seqs rise over
// all logs that a workspace has had (epochs), so what was read in an earlier one stays read. What is unread after a read cursor is for services/history to count.
package cursors
