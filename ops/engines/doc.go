// Package engines starts the real servers that Canopy runs on, on the loopback of this machine: a ring of Cassandra, a
// PostgreSQL, a hub of three. Tests use it, and canopy engines up.
//
// It owns the processes that it starts and a folder with their data and logs: one run at a time holds the folder, and
// when all is ready engines.json in it says where everything is. It promises that each is ready when Start returns,
// that they stop in order, by process id and with their data whole, and that none outlives the process that started
// it, however that ends. Cassandra comes from Maven Central, once, into a cache; PostgreSQL is the system's; the hub is
// this very program. What is missing is told in one line.
//
// It must not know what is stored in them, and it speaks none of their protocols beyond asking whether they answer. It
// runs on Linux only: one machine there has all of 127.0.0.0/8, and children that end with their parent.
package engines
