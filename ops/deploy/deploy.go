// Package deploy holds what operators run Canopy with: the configuration files of the NATS servers, alerts and
// dashboards. Tests and `canopy local` use the very same files.
//
// A configuration file of a NATS server is the same on every machine; what differs comes from the environment, listed
// at the head of the file (Quote writes such a value). Certificates are the operator's own; package certs makes some for
// tests and for a deployment on one machine.
package deploy

import (
	_ "embed"
	"strconv"
	"strings"
)

// HubConf is the configuration of a server of the hub, LeafConf that of a region's leaf node.
var (
	//go:embed nats/hub.conf
	HubConf []byte
	//go:embed nats/leaf.conf
	LeafConf []byte
)

// Quote is a text as the value of a variable that a configuration file of nats-server reads: unquoted, what begins
// with a digit is taken for a number, and a backslash ends it.
func Quote(text string) string { return strconv.Quote(text) }

// List is several texts as the value of such a variable.
func List(texts ...string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = Quote(t)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
