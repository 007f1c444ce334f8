// Package site is a deployment in a temporary folder that is measured: the server as a process of its own, who is in it,
// and what can be known of it from outside.
//
// It owns the process and promises that it has ended when Stop returns. It knows the server only by its command line,
// run.json, REST, the admin address, and what /proc says of the process.
package site
