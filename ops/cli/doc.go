// Package cli is the canopy command: its subcommands and flags, what each prints, and the exit codes.
//
// Exit codes: 0 when all went well, 1 for a failure, 2 for a mistake of the user, told in one line. What a script
// may read goes to stdout; progress, logs and errors go to stderr.
//
// People set up, join and talk over HTTP, where whoever runs a role or operates a deployment uses NATS. What they are
// told to type next begins as they have begun themselves: go run, a path, or the name alone.
//
// It only says and shows: ops/app runs the roles, ops/ctl works on a deployment that runs. The commands about accounts
// and workspaces are in ops/operator. It is the only package that knows of kong and progressbar.
package cli
