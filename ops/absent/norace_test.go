//go:build !race

package absent_test

// crowd is how many recipients there are besides who posts, in whole thousands.
const crowd = 10_000
