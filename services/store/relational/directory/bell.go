package directory

import "sync"

// bell tells all who hear it. Its zero value is ready.
type bell struct {
	mu      sync.Mutex
	hearers map[*func()]bool // guarded by mu
}

// hear has wake called at every ring until the result is called. wake must not block.
func (b *bell) hear(wake func()) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hearers == nil {
		b.hearers = map[*func()]bool{}
	}
	b.hearers[&wake] = true
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hearers, &wake)
	}
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for wake := range b.hearers {
		(*wake)()
	}
}
