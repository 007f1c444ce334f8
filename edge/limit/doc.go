// Package limit says who may do something now and who must wait: token buckets by the generic cell rate algorithm
// (GCRA, ITU-T I.371), one for each key of a bounded map.
//
//	Rate    how much: so many a second on average, so many at once
//	Bucket  how far one key is: 16 bytes, a pure function of the times that it is given
//	Limits  a bucket for each key, from many goroutines
//
// It promises that in any span of time t a key is allowed at most Burst + PerSecond·t, and that what is refused is
// allowed at the time that the refusal names, and not before, if nothing else is taken meanwhile. There is no clock in
// it: the caller says what time it is. It knows nothing of what is limited.
package limit
