// Package registry is who lives: each process announces itself in the hub's bucket registry, and a view knows them all.
//
//	Announce  puts a process's entry at once, every Refresh and when it changed, and takes it out at the end
//	View      keeps a copy of the entries, and shows those that are not older than TTL
//	Rank      which gateways of a view a client of a workspace should try, in which order
//
// An entry that is not put again ends after TTL: the server removes it, and a view that is cut off from the hub hides
// it by its own clock. So a view never shows a process for longer than two TTLs after its death, and may miss one that
// lives while the hub is away: the registry gives hints, and nobody's right to anything depends on it.
//
// It does not know what an entry is used for.
package registry
