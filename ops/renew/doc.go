// Package renew is canopy hub renew: it begins new logs for a deployment whose hub was lost, or is older than its stores.
//
// The stores say how far the logs had come, and a log that ends before that would give its seqs a second time; so every
// process refuses to start on it (streams/provision, CheckNotEmptied). A new log begins above every seq that anybody can have
// seen, in a new epoch of its workspaces: seqs go on rising, cursors of before are answered with resync, and what the message
// store has stays the history.
//
// The steps of a shard are in an order that can be interrupted anywhere and begun again:
//
//  1. What an old log holds beyond the store's progress is written into the store. It changes nothing that is there.
//  2. The Directory gives the workspaces the next epoch, and notes the new first seq. From here on no process starts that
//     has the Directory, until 3 is done.
//  3. The old log is deleted, and the new one made. From here on processes start.
//  4. The store's progress is moved to just before the new log, where nothing ever was.
//
// Stopped before 2 is done, nothing has changed that anybody sees. Stopped after 2, the log still ends before what the
// stores know, and the next run does all steps again, in one more epoch and above one more Margin: an epoch that had no log
// harms nobody, and two logs of one epoch might. Stopped after 3, the next run finds a log that is new and unused, and
// does 4; and without it the persister does the same, with an alarm about what it takes for forgotten.
//
// Nobody may write meanwhile: Living finds those who would.
package renew
