// Package cassandrajars fetches Cassandra from Maven Central, once, into a folder that is there whole or not at all, and
// finds a Java that it runs on. What is missing is told in one line that says how to get it. It starts no server.
package cassandrajars
