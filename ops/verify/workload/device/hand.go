package device

import (
	"context"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Hand does things as one person on one device. Its methods may be called from many goroutines. A new hand has not signed in: its first
// op is a Login.
type Hand interface {
	// Do numbers the op (Recorder.Begin), performs it, fills in its outcome, code and results, and writes it (Recorder.Done). It is bounded:
	// a send waits for its answer at most a minute. What its sockets tell meanwhile it writes by itself (Recorder.Tell). Ids, bodies and
	// cursors go out as they are in the op, however wrong they look: it is for the server to refuse them.
	//
	// An op that names a Conn goes over that. Connect opens one more socket, at the gateway op.At ("": whichever the front gives), which goes
	// on after op.Cursor where that is set, and names it in op.Conn. Close ends when the socket is gone. A Stall lasts until ctx ends. Revoke
	// finds the sign-in whose name is op.Target. A Probe says in op.Body what to try, and is OK when that was let in. It is one of the words
	// that the hand knows (person.Who.Probes), with an id of another workspace as op.Target, or else it says it literally:
	//
	//	Over "rest"     «GET /channels/x/messages», or «POST /channels/x/messages {"body":"y"}»: a request
	//	Over "socket"   a frame to send over op.Conn, with a client_msg_id or a ref that its answer will name
	//	Over "connect"  «workspace=x&cursor=y»: the query of a socket to open at op.At
	Do(ctx context.Context, op *record.Op)
}

// Listener is a Hand that says how its conns stand. One that is open no more is the workload's to open again, with the cursor,
// «<epoch>.<seq>», up to which it was told everything; a hand that comes back by itself has it open all the time.
type Listener interface {
	Open() []string            // names of conns
	Cursor(conn string) string // also of one that has ended
}

// shutter is a Hand that can end all that it has begun, and waits for it.
type shutter interface{ Shut() }

// Connecting is Op.Over of a probe that opens a socket.
const Connecting = "connect"
