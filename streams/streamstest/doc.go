// Package streamstest gives a test the real thing: a hub with its streams and a leaf node linked to
// it, in this process, over loopback TCP, in a folder of the test. It starts in well under a second.
//
// The link runs through a Link that the test can cut, or leave open and deaf, and restore. The hub can be
// stopped and started again on the same files and ports, or emptied. Everything ends with the test.
//
// A HubCluster is the same with three hub servers, of which the test can stop, kill, isolate and start each.
package streamstest
