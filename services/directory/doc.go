// Package directory is the authority for what needs one: workspaces, channels, and who belongs to them.
//
//	Service    the rules: what a user may create, change, see, join and leave; what a session starts from
//	Relay      brings the events of those changes into the log, in order, once
//
// A change and its event are written in one transaction (store.Outbox), so a crash leaves both or neither. A
// change counts from the seq that its event gets. Service answers when the event has one, so that whoever
// reads the answer finds the change in the log.
//
// The package promises that what a user may not see is NotFound, also when they ask for it by its id, and
// that the log gets every event of the outbox once, in the order of its workspace, whatever dies and however
// many relays run. It knows no SQL, no HTTP and no connection.
package directory
