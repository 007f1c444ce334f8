// Package app is the composition root: the only place that knows every component and who serves whom.
//
//	       ┌──────────── api ─────────────┐   ┌────────────── edge ──────────────┐   ┌── persist ──┐
//	       │ REST · directory · auth ·    │   │ gateway ← fanout    ingest       │   │ persister   │
//	       │ outbox relay · history ·     │   │    │                  │          │   │    │        │
//	       │ ingest · rpc services        │   │    └ verifier, directory, history │   │    │        │
//	       └──┬──────────┬────────────────┘   │      by rpc                      │   └─┬──┴────────┘
//	directory.db   messages.db                └───────────────┬──────────────────┘     │ messages.db
//	          │          │                                  leaf ──── leaf link ──── hub
//	          └──────────┴── hub connection ───────────────────────────────────────────┘
//
// `canopy up` is all roles in one process; `canopy hub|leaf|edge|api|persist` are the same roles alone. What
// differs between the two is decided here and nowhere else: which server a connection leads to, and whether
// a listener is shared.
//
// Parts start in the order of their needs and stop in the reverse one, each waited for. A part that ends by
// itself ends all.
package app
