// Package reach keeps in the Directory's database how people want to be reached, and where: store.Reach. It also answers
// who was in a channel when something was said, from the times that relational/directory keeps.
//
// Who was in a channel at a seq is known as soon as the log gave the seqs of all comings and goings that were made before.
// The package asks that first and for the people then: what is changed in between has a later place in the log.
//
// A limit is counted under the lock of the account or the workspace that it is about, as everywhere in the tree.
package reach
