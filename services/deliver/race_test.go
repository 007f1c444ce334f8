//go:build race

package deliver_test

const crowdSize = 2_000 // the race detector makes a server five to ten times as slow
