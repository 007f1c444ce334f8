//go:build !race

package deliver_test

const crowdSize = 10_000
