// Package migration reads the numbered files that make the tables of a keyspace, and says which of them a keyspace lacks.
//
// Cassandra has no transactions, so a migration may die between two statements and is run again from its beginning. That
// is safe because a file with a statement that may not be run twice is refused when it is read, long before a ring
// sees it. The package runs nothing: services/store/cassandra/ring does.
package migration
