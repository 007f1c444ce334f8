// Package datadir is the data folder of a deployment: who holds it, which version it is of, and the secrets in it.
//
// It promises that one process holds the folder, or one process a role; that a folder of a newer build is left alone;
// and that secrets are written whole or not at all, readable by their owner only. It opens no store and no server: what
// lies in the folder belongs to those.
package datadir
