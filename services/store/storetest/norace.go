//go:build !race

package storetest

// manyPeople are those of a large channel.
const manyPeople = 10_000
