// Package notify is the part of the REST API about what waits for people: how far they have read, what they want to be
// woken for and where, what they scheduled, and what became of a message for each of them.
//
// It turns requests into calls of the parts behind it, as services/api does, which mounts it: every request has been
// through the same services/api/entry. It decides nothing but who may ask the ledger: owners and administrators of the
// workspace, about channels that they may see. It promises that every id is parsed before anything else sees it.
package notify
