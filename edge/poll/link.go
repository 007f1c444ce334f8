package poll

import "context"

// Link is the bytes' way to one client.
type Link interface {
	// Attach has h told of what happens from now on. When it fails, Close is still to be called, and h may be told
	// of the end.
	Attach(on Loop, h Handler) error
	// Write takes as many bytes of bufs as it can at once. Fewer than all, without an error: the rest has to wait.
	// It keeps nothing of bufs.
	Write(bufs [][]byte) (int, error)
	// WatchWrites asks for, or waives, a call of Writable when Write can take more.
	WatchWrites(on bool) error
	// ShutdownWrites says to the client that nothing follows what Write took.
	ShutdownWrites()
	// Sent reports whether what Write took survives Close.
	Sent() bool
	// Close ends it at once, attached or not. It is called once.
	Close()
}

// Handler is told what happens to a link.
type Handler interface {
	// Take is given what the client sent. Nothing of data may be kept.
	Take(data []byte)
	// Writable says that Write can take more.
	Writable()
	// Ended says that nothing comes any more: io.EOF when the client ended, or why not.
	Ended(err error)
}

// Loop is what links need of the loop that they belong to.
type Loop interface {
	// Poller is what the loop waits with.
	Poller() *Poller
	// Post has fn run by the loop. It is false when the loop has ended: then fn never runs.
	Post(fn func()) bool
	// Begin starts a goroutine that somebody waits for. It is false when nothing is started any more.
	Begin(work func(ctx context.Context)) bool
}
