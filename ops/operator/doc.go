// Package operator is what operators type: canopy user, canopy workspace and canopy token. It is their flags and
// arguments, and what they print: tables for people, one JSON object a line for scripts.
//
// ops/cli puts the commands into its grammar and hands each a Session; ops/ctl asks the deployment. A password comes
// from a file, from the terminal or from chance, and never from an argument, which everybody on the machine can read.
// A mistake of the user is a *config.Problem.
package operator
