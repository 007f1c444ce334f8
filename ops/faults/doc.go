// Package faults tests a deployment of many processes while parts of it are killed and cut off. It has no code of
// its own.
//
// One deployment of ops/local (three hub servers, two regions with a leaf and two gateways each) serves all tests, and
// a dozen people in both regions chat in it. One fault after the other is made under that load, and mended the way a
// supervisor or the network would mend it: nobody lends a hand beyond that. After each, everything that anybody was
// answered, told or could read is recorded, and violations (check_test.go), which is pure, holds it against what Canopy
// promises: nothing lost, nothing doubled, one order for all, no false ack.
//
// It is about what goes on beside a fault: who notices nothing, what waits and is never falsely acknowledged, what a region that is
// cut off still has. That nothing is lost or doubled by any fault is for canopy verify (ops/verify), which breaks in more ways.
//
// The stores are SQLite files, so the deployment is two processes smaller than on servers: what happens when a database
// is away is for ops/outage.
package faults
