// Package workbench is the commands that start real servers and whole deployments on this machine, for tests and for
// trying out: canopy engines and canopy local. ops/engines and ops/local do it; here is what a person says and sees.
package workbench
