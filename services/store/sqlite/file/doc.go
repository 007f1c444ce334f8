// Package file opens one SQLite file, brings its tables up to date, and runs what reads and writes it. It is the
// only package that imports the driver and the migrations' runner.
//
// In a process there is one connection that writes and a few that read. Several processes may have the same file
// open: a write begins with BEGIN IMMEDIATE, so that it waits for its turn and never fails half-way, and migrations run
// in one such transaction.
//
// The package knows no table: what is in a file, its users say.
package file
