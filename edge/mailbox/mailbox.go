// Package mailbox is how other goroutines reach a loop: what they want done, and which of the things that it reads have
// moved on. The loop takes all of it at once. It owns nothing else, and promises that what was taken in is either done by
// the loop or was refused to its sender.
package mailbox

import "sync"

// Mailbox is for use by many goroutines; Take and Close are the loop's. Moved is what it reads, Ended whom it is to let
// go.
type Mailbox[Moved, Ended comparable] struct {
	// Wake wakes the loop; set it before the first use. It must not block, and is called under the lock.
	Wake func()

	mu    sync.Mutex
	posts []func() // bounded by sockets being opened, and sends and pages on their way
	moved map[Moved]struct{}
	ended map[Ended]struct{}
	over  bool
}

// Mail is what a loop takes.
type Mail[Moved, Ended comparable] struct {
	Posts []func()
	Moved map[Moved]struct{}
	Ended map[Ended]struct{}
}

// Post has fn run by the loop. It is false when the loop has ended: then fn never runs.
func (m *Mailbox[Moved, Ended]) Post(fn func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.post(fn)
}

func (m *Mailbox[Moved, Ended]) post(fn func()) bool {
	if m.over {
		return false
	}
	if m.posts = append(m.posts, fn); len(m.posts) == 1 {
		m.Wake()
	}
	return true
}

// Note says that something moved on; however often, the loop hears of it once.
func (m *Mailbox[Moved, Ended]) Note(what Moved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		put(&m.moved, what, m.Wake)
	}
}

// End says whom the loop is to let go; all that came in one turn are looked for at once.
func (m *Mailbox[Moved, Ended]) End(whom Ended) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		put(&m.ended, whom, m.Wake)
	}
}

// put adds to a set, and wakes for its first element.
func put[T comparable](set *map[T]struct{}, what T, wake func()) {
	if _, was := (*set)[what]; was {
		return
	}
	if *set == nil {
		*set = make(map[T]struct{})
	}
	if (*set)[what] = struct{}{}; len(*set) == 1 {
		wake()
	}
}

// Take gives everything that came.
func (m *Mailbox[Moved, Ended]) Take() Mail[Moved, Ended] {
	m.mu.Lock()
	defer m.mu.Unlock()
	mail := Mail[Moved, Ended]{Posts: m.posts, Ended: m.ended}
	m.posts, m.ended = nil, nil
	if len(m.moved) > 0 { // or the map stays theirs who note
		mail.Moved, m.moved = m.moved, make(map[Moved]struct{}, len(m.moved))
	}
	return mail
}

// Close takes nothing more in.
func (m *Mailbox[Moved, Ended]) Close() {
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
}

// Closed reports whether Close was called.
func (m *Mailbox[Moved, Ended]) Closed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}
