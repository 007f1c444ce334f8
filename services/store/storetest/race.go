//go:build race

package storetest

// manyPeople are those of a large channel. The race detector makes a store in this process ten times as slow.
const manyPeople = 2_000
