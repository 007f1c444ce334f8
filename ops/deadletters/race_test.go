//go:build race

package deadletters_test

const underRace = true
