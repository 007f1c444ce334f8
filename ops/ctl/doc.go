// Package ctl is what operators' commands do against a deployment that runs: find it, fill a workspace with
// people and talk, show and apply what its streams should be, look after its accounts and workspaces (Admin).
//
// It reaches everything over NATS with the operator's credentials, as any process of the deployment does, so it
// works from another machine. It promises that a command may be stopped anywhere and run again: what is there
// is kept. It knows nothing of flags and terminals: that is ops/cli.
package ctl
