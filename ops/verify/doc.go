// Package verify is canopy verify: it proves what Canopy promises, on a deployment under load and faults, in a way that anybody can repeat.
//
//	site ──── levers ────▶ nemesis ──▶ faults ──┐
//	  │                                         │
//	  ├── addresses ─▶ crew, stranger           ├──▶ record ──▶ check ──▶ report
//	  │                  ▲      └─▶ ops, told ──┤    (a file)
//	  │              workload                   │
//	  └── views ──────▶ audit ──▶ what all have ┘
//
// A site is a deployment: one of its own, with a proxy in every connection (--local), or one that runs, where nothing but our own sockets
// is broken. Workload decides what people do, by the seed; half of them act by the product's client (crew), half by one that shares no
// line with the product (stranger). Nemesis breaks the site by a plan that the seed makes, and mends it. When the time is over all is
// mended, and audit waits until everything is quiet and writes down what each view of the log has. The record is all that the checks see:
// package check says of each invariant that it holds, in how many cases, or shows the smallest history that breaks it.
//
// An invariant without a case is a failure, as is a run that was broken off or a part that could not be mended. The checks are
// themselves tested by bugs that are planted in the product (package plants).
//
// This package is the order in which that happens, and the command line.
package verify
