// Package cli is the canopy command: its subcommands and flags, what each prints, and the exit codes.
//
// Exit codes: 0 when all went well, 1 for a failure, 2 for a mistake of the user, told in one line. What a script
// may read goes to stdout; progress, logs and errors go to stderr.
//
// It only says and shows: ops/app runs the roles, ops/ctl works on a deployment that runs. It is the only package
// that knows of kong and progressbar.
package cli
