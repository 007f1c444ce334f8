package storetest

import (
	"os"
	"testing"
)

// The real servers that tests may use, from the environment. ops/test starts them and says where they are.
const (
	// Cassandra is some nodes of a ring, host or host:port with commas between. Tests make keyspaces of their own.
	Cassandra = "CANOPY_TEST_CASSANDRA"
	// Postgres is the DSN of a user who may make databases. Tests make databases of their own.
	Postgres = "CANOPY_TEST_POSTGRES"

	required = "CANOPY_ENGINES" // "required": a server that is not there is a failure
)

// Server is where a real server is. Without it the test is skipped, and says so; in ops/test it fails.
func Server(t testing.TB, name string) string {
	t.Helper()
	at := os.Getenv(name)
	if at == "" {
		if os.Getenv(required) == "required" {
			t.Fatalf("%s is not set: ops/test starts the server", name)
		}
		t.Skipf("%s is not set: start the server with canopy engines up, or all of it with ops/test", name)
	}
	return at
}
