// Package ingest is the one way into the log for what users do: gateways call it for their sockets and
// the api for REST. It implements event.Submitter.
//
// It checks a change, asks what the rules need to know (whose message it is, whether a post was stored
// before), publishes it, and understands the answer. It promises that a Receipt exists only for what the
// log has stored, that one (sender, client_msg_id) has one seq however often and wherever it is sent, and
// that a change which cannot be told from a repetition is refused as Unavailable rather than doubled.
//
// It owns no database: what the log does not hold any more it asks the history service for, through
// History. Who the user is and where they stand is the caller's word.
//
//	                    ┌ young id ────────────────────────────────────┐
//	check ─▶ permit ─▶ post                                            ├▶ publish ─▶ stored ──▶ stamp ─▶ receipt
//	           │        └ old id, retry ─▶ store ─▶ tail ─▶ not there ─┘          └▶ duplicate ─┐
//	           │                             └────────┴──▶ there ───────────────────────────────┴▶ compare ─▶ receipt, conflict
//	           └─▶ edit, delete, reaction, pin ─▶ original ─▶ publish ─▶ stored
//
// The process may die between any two lines: what was not answered is unknown to its sender, who sends
// again with the same client_msg_id. Other changes are harmless when they are stored twice.
package ingest
