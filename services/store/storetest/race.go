//go:build race

package storetest

// The race detector makes a store in this process ten times as slow.
const (
	manyPeople    = 2_000 // of a large channel
	manyHistories = 15    // that are random
)
