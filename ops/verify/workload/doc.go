// Package workload is what people do in a run of canopy verify: who does what when. Hands (package crew, package stranger) do it, and write
// down what came of it; the workload chooses.
//
//	person     one of them: what they choose to do, and how often (weights.go); what they do for certain early in a run (deal.go)
//	device     one sign-in: its hand, its sockets
//	memory     what one of them knows of messages and channels
//	phrase     bodies and ids
//	hostile    what must be refused
//	capacity   how much can be sent
//	burst      more at once than one may send
//
// Each person has a loop of their own, with a random source of their own that the run's seed and their login begin: the same seed makes the
// same choices, as far as these do not hang on answers. A person acts upon little that they know, all of it bounded: which sends of theirs
// were stored or never answered, what pages showed them, which channels they believe to be in. They act on several devices, at several
// gateways at once, and have so many ops on their way at most; what finds no room is not done, and counted.
//
// The package knows no product: ids, seqs and cursors are plain strings and numbers here, and nothing but hands does anything.
package workload
