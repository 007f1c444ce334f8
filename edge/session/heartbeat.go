package session

import "time"

// Beat is what a socket's silence asks for.
type Beat uint8

// The answers to silence.
const (
	Fine Beat = iota // it was heard of lately
	Ping             // ask whether it is there
	Dead             // it left two pings without an answer
)

// Listen says what to do with a socket that was last heard of silent ago. It is called once an interval, so
// a dead peer is noticed within two intervals of the first ping that it did not answer, and one that only
// paused for an interval keeps its socket.
func Listen(silent, interval time.Duration) Beat {
	switch {
	case silent >= 3*interval:
		return Dead
	case silent >= interval:
		return Ping
	}
	return Fine
}
