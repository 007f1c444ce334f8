// Package config is what an operator may say about a deployment: one typed Config for every role, with its
// defaults, its checks and its sources; and run.json, by which commands find a deployment that runs.
//
// A setting comes from a flag, else from the environment (CANOPY_EDGE_HEARTBEAT for edge.heartbeat), else
// from the file, else from Default. The file is in the syntax of NATS's own configuration files, and this
// package is the only one that knows it: of nats-server it imports the parser and nothing else.
//
// It promises that what is wrong is said in one line, with the file and the line when it stands in a file:
// a *Problem, the user's mistake, exit code 2. It opens no data and starts nothing, and it must not know
// what the settings do.
package config
