// Package chat holds the nouns of Canopy: workspaces, channels, members and
// messages, their ids, their limits, and the rules of who may do what, as pure
// functions.
//
// It owns no format (schemas/event, schemas/wire and schemas/rest do) and no
// storage. It imports the standard library only, so that every other package
// may import it.
//
// Glossary, with one spelling each in Go, JSON, SQL, CQL, labels and logs:
//
//	workspace  an organisation's space; one log (Epoch, Seq) belongs to it
//	channel    public, private, dm or group_dm; one subject of that log
//	member     a user in a workspace (with a Role) or in a channel
//	message    what a user posted; its id is the Seq of its message.posted event
//	thread     the Seq of the message that a reply answers (its root)
//	cursor     Epoch and Seq: everything up to here has been seen
//	shard      which CHAT stream a workspace's log lies in
package chat
