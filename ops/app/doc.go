// Package app is the composition root: the only place that knows every component and who serves whom.
//
//	┌────────── api ──────────┐┌───────── deliver ─────────┐┌──────────── edge ─────────────┐┌─ persist ─┐
//	│ REST · auth · accounts  ││ router · worker ·         ││ gateway ← fanout    ingest    ││ persister │
//	│ rpc services            ││ dead letters · forgetting ││    │                  │       ││     │     │
//	├─────────────────────────┴┴───────────────────────────┤│    └ verifier, directory,     ││     │     │
//	│ rules: directory · relay · history · ingest · cursors││      history, cursors by rpc  ││     │     │
//	│ deliveries: targets · schedule · ledger              │└────────────────┬──────────────┘└─────┼─────┘
//	└──┬─────────────┬─────────────────────┬───────────────┘                 │                     │
//	directory.db  messages.db              │                               leaf               messages.db
//	                                       │                                 │ leaf link           │
//	                                       └──────── hub connection ──────── hub ──────────────────┘
//
// The roles api and deliver both hold the two databases, and so what is made of them: package rules (who may do what, the way into
// the log, history, what people have read, and the relay of the directory's outbox) and package deliveries (who is reached how, what
// waits for its time, the ledger). In one process they are there once. Deliver alone runs what takes events and jobs from the
// streams: the router reads the log behind everybody else, the worker takes what is due to people's browsers and to webhooks,
// the schedule sends what has come to its time, dead letters keep what was given up.
//
// `canopy up` is all roles in one process; `canopy hub|leaf|edge|api|persist|deliver` are the same roles alone. What
// differs between the two is decided here and nowhere else: which server a connection leads to, and whether
// a listener is shared.
//
// Parts start in the order of their needs and stop in the reverse one, each waited for. A part that ends by
// itself ends all.
package app
