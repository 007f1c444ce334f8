// Package replay is canopy persist replay: it writes the history of a deployment that runs again, from its log into its
// message store.
//
// What is written, in which order, and what the store may say of it is services/persist. This package reads what a
// person says about where to begin, asks for all shards before it writes one, and says how to go on when it is stopped.
package replay
