// Package site is the deployment that canopy verify looks at: where everything is, and what of it can be broken and mended.
//
// Local starts one on this machine as it is in production, by ops/local and, when asked, ops/engines, with a proxy in every connection:
//
//	people ──▶ front, gateways, apis      client-gateway, client-api
//	gateways ──▶ leaf ──▶ hub             gateway-leaf, leaf-hub
//	hub ◀──▶ hub                          hub-hub
//	api, persist, deliver ──▶ hub         api-hub, persist-hub, deliver-hub
//	      … ──▶ Cassandra, PostgreSQL     api-cassandra, persist-postgres, …
//	deliver ──▶ our own webhook           deliver-hook
//
// Running is one that somebody else has started: what can be broken there is the way to it.
//
// A lever does what its name says to real processes, files and connections. What it promises to bear is in Lever.Most and Lever.Alone;
// what takes a node of the hub away from the others waits, at its end, until that node has all that the others have, so that the next
// fault meets a hub that is whole. Every Begin and End is bounded by leverBudget.
//
// Disks are slow or full for the processes of this site alone (package disk), where strace is there and may attach; where not, Local says
// so once and offers no such lever. What can be done to the logs is in package logs.
//
// The package makes people and channels (Settle) and hears what webhooks are told (Hook). It must not know who does what there, nor
// what is true afterwards.
package site
