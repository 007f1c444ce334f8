// Package status is one screen about a deployment that runs: its streams, its consumers with what they lag behind, and
// the processes that live (gateways, services, hub and leaf nodes), as the hub and the registry tell it.
//
// Collect asks, Render writes for people, and a Report is JSON for scripts. It promises that a part which does not answer
// is said to be so, and that the rest is shown all the same. It changes nothing.
package status
