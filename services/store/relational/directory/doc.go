// Package directory keeps services/store's Directory in a relational.Database: accounts, workspaces, channels, who is in
// them, and the events of all that on their way to the log. What rests on being signed in is in relational/signin, and how
// people are reached in relational/reach.
//
// A change is one transaction, which locks the accounts and the workspaces that it is about before it looks: what it reads
// then stays true until it has written, and its events are rows of the outbox in it. So a rule over many rows (a workspace
// keeps an owner, an invite is used so many times) needs no more than to be asked inside of it; and because an id of the
// outbox is taken under the lock of its workspace, which is held until the commit, the rows of one workspace become readable
// in the order of their ids.
package directory
