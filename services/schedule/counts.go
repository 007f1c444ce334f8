package schedule

import "sync"

// Counts is what a Service did since it was made.
type Counts struct {
	Scheduled uint64 // jobs that were taken to wait
	Cancelled uint64 // by their users
	Sent      uint64 // that became messages
	Repeated  uint64 // of these, those that had been sent before: somebody died before they said so
	Dropped   uint64 // that became due though they were cancelled in the same moment
	Parked    uint64 // that may or can not be sent any more
	Retried   uint64 // that come again because of an error of their own
	Held      uint64 // times that the consumer waited because the log or the directory did not answer
}

// Counts is what was done so far.
func (s *Service) Counts() Counts {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	return s.tally.counts
}

type tally struct {
	mu     sync.Mutex // guards counts
	counts Counts
}

func (t *tally) add(f func(*Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.counts)
}
