// Package accounts is how people get into a deployment and out of it: the first visitor, invites, accounts that are
// closed and opened again, and what operators do by hand.
//
//	Service    setup, invites, deactivation: the rules for people
//	Admin      the questions of service admin (schemas/rpc): an operator may do all of it
//
// Whatever it changes is in the log when it answers, as services/directory promises for its own changes: both write the
// same outbox. It keeps no secret: codes of invites are stored as their SHA-256, passwords as the Hasher makes them.
//
// Nothing here needs a mail server. An invite is a link that can be handed over; with a Mailer it is sent besides.
//
// It knows no SQL, no HTTP and no connection.
package accounts
