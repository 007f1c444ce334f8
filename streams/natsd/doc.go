// Package natsd runs nats-server inside our process: a Hub, where the streams live, and a Leaf, the
// edge's server with a JetStream domain of its own and one link to the hub. They are real servers on
// real sockets, with accounts and passwords; a deployment at scale runs the same two as processes of
// their own, from configuration files that say the same.
//
// Either may also be made from such a file (Common.File). The file then says everything about the server; what
// contradicts the role is refused. A member of a cluster that stops gives the streams that it leads to the others first,
// within a bounded time.
//
// It is the only package that imports nats-server. It knows nothing of what our streams are called
// or hold, except the names of the accounts and of the hub's domain.
//
// A constructor starts nothing. Run blocks until the server has shut down and closed its files.
// Whatever keeps a server from starting, such as a port that is taken, is the error of Run and of
// Ready, with ErrNotStarted in it; nothing here ends the process.
package natsd
