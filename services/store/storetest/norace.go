//go:build !race

package storetest

const (
	manyPeople    = 10_000 // of a large channel
	manyHistories = 40     // that are random
)
