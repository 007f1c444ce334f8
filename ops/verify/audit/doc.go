// Package audit writes down how a deployment stands: what its processes need, from before the load until all is quiet again, and then
// what every view of the logs has.
//
//	Before   what processes need, before the load
//	Watch    the same during the load; what consumers have still to do; how late our own timers are; how a few jobs of delivery move
//	Quiet    waits until nothing is left to do
//	Silent   which sockets were not told of the last message
//	Finish   the logs, of every replica; histories; replays; rows of Cassandra; jobs; figures; and the record's end
//
// It is the operator's side: it reads the product's formats with the product's code, and looks where only operators may. It judges
// nothing. A view that could not be read whole is left out of the record and named in End.Unmet: a piece of one would look like a loss.
//
// Every wait is bounded by Config.Patience. It breaks nothing, and writes nothing into the deployment but sign-ins of its readers, and
// consumers in memory that it takes away again. Its sockets confirm nothing, so nobody counts as told because they are looked at.
package audit
