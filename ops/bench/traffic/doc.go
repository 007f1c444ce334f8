// Package traffic is what people do to a server, for measurements that last: a steady mix of everything at fixed rates
// (Mix), and a crowd that loses its sockets at one moment and comes back (Crowd).
//
// It owns its sockets, each read by a goroutine that keeps a cursor as clients should, and ends all of it before it
// returns. It promises that what it counts has been answered by the server. It knows no process and no figure of
// the server's, and runs in the process that measures: only the server's own figures are looked at.
package traffic
