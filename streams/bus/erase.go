package bus

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
)

// eraseRequest is the body of a STREAM.MSG.DELETE (nats-server jetstream_api.go); without no_erase the server overwrites the bytes.
type eraseRequest struct {
	Seq     chat.Seq `json:"seq"`
	NoErase bool     `json:"no_erase,omitempty"`
}

// Erase overwrites an event and takes it out of the log; its seq stays used. One that is not there any more is no
// error.
func (l *Log) Erase(ctx context.Context, shard streams.Shard, seq chat.Seq) error {
	return l.conn.Erase(ctx, streams.ChatStream(shard), seq)
}

// Erase overwrites a message of a stream and takes it out: what it says may be what somebody wrote. One that is not there any more is
// no error. The error is streams.ErrBadStream, or that of RequestAPI.
func (c *Conn) Erase(ctx context.Context, stream string, seq chat.Seq) error {
	return c.delete(ctx, stream, eraseRequest{Seq: seq})
}

// TakeOut is Erase without overwriting, which is much cheaper: for what is no secret that was taken back.
func (c *Conn) TakeOut(ctx context.Context, stream string, seq chat.Seq) error {
	return c.delete(ctx, stream, eraseRequest{Seq: seq, NoErase: true})
}

func (c *Conn) delete(ctx context.Context, stream string, req eraseRequest) error {
	subject, err := streams.EraseSubject(stream)
	if err != nil {
		return err
	}
	err = c.RequestAPI(ctx, subject, req, &struct{}{}) // it is done, or an error
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
