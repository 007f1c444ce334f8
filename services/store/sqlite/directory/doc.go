// Package directory keeps services/store's Directory in a SQLite file: accounts, workspaces, channels, who is in them, and
// the events of all that on their way to the log. What rests on being signed in is in sqlite/signin.
//
// A change is one transaction that holds the file's write lock: what it reads stays true until it has written, its
// events are rows of the outbox in it, and the ids of the outbox rise in the order of the commits. So a rule over many
// rows (a workspace keeps an owner, an invite is used so many times) needs no more than to be asked inside of it.
package directory
