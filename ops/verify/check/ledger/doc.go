// Package ledger reads the log out of a record: what its stream says is the truth that everything else in the record is held
// against (Source "stream"). Who was a member of what at which seq, what a message is after all, and who may see an event: the
// answers are made here, from the log's own events and by the rules of DESIGN, and by no code of the product.
//
// The rules, for somebody who is not a guest (the workload has none):
//
//	an event of the whole workspace          everybody in the workspace
//	channel created, updated, archived       everybody, when the channel is public; else its members
//	one's own joining                        oneself
//	one's own leaving, or being taken out    oneself, when one was in it
//	everything else                          who was a member at that seq; the events of joining and leaving are inside
//	a page of history                        who may see the channel: its members, and everybody when it is public;
//	                                         whoever may see it may read all of it
//
// A log has holes: when a message is deleted, the bytes of its post and of its edits are taken out. What stood there is known from
// the delete, and from what was answered and told. Such an event has Erased set and no Body, and it may have been told or not.
//
// A stream may be lost in a run, and the log goes on in a new one, of a higher epoch, with higher seqs. Then the log is what all its streams
// held: what those that were lost held was looked at before (record.Event.Look).
//
// A log may begin in the middle, on a deployment that was there before. Then some of these questions have no answer, and the
// methods say so: known is false, and nobody may call it a violation.
package ledger
