// Package rows writes rows in bounded batches of one partition, and reads them. It is what the tables of a keyspace have in
// common; it knows the name of none, and no connection: package ring does.
package rows
