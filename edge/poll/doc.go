// Package poll carries the bytes of many clients to a few loops, and back: what a loop waits for, and the two
// kinds of Link, which look the same to their user.
//
//	socket   plain TCP on Linux: in the epoll of its loop's Poller, without a goroutine or a buffer of its own
//	stream   everything else (TLS that ends in this process, other systems): a reading and a writing goroutine
//
// A Link belongs to one loop: its Handler is called on that loop, and its methods are called there. No method
// blocks. It owns descriptors and their deadlines. It knows neither frames nor sessions.
package poll
