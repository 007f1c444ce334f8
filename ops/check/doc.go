// Package check looks at a deployment before traffic: whether the hub answers and has its quorum, whether streams and
// consumers are what their files say, whether what is acknowledged is synced, whether stores have the tables that this
// program knows, whether clocks agree, which processes live, and whether an edge may do no more than it must.
//
// It changes nothing but a probe in the stream that is there for it. A check that needs something it was not given (a
// login of the system account, a leaf) says that it was left out: what was not looked at is not fine.
package check
