//go:build race

package absent_test

// crowd is how many recipients there are besides who posts, in whole thousands. The race detector makes the server, which is in this process, ten times as
// slow; ops/test runs the same without it.
const crowd = 1_000
