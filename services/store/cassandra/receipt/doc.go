// Package receipt keeps who got and read what: store.ReadCursors, store.DeviceCursors and store.Deliveries in Cassandra. Each
// write carries as its timestamp what it is ordered by, a version or a rank, so that the furthest counts whatever the order
// of the writes, and nothing is read before it.
//
// Device cursors and deliveries expire by their tables' time to live. Read cursors stay.
//
// The package owns its statements. It knows no connection (package ring) and no log.
package receipt
