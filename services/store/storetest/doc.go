// Package storetest is what every implementation of services/store's contracts passes, on the real
// server: one case for each sentence of a contract, and for Messages random histories that are compared with the
// model, store.State.
//
// RunMessages and RunDirectory ask for a store that nothing else writes to. They leave no goroutine behind.
package storetest
