package bus

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
)

// eraseRequest is the body of a message delete; without no_erase the server overwrites the bytes.
type eraseRequest struct {
	Seq chat.Seq `json:"seq"`
}

// Erase overwrites an event and takes it out of the log; its seq stays used. One that is not there any more is no
// error.
func (l *Log) Erase(ctx context.Context, shard streams.Shard, seq chat.Seq) error {
	subject, err := streams.EraseSubject(streams.ChatStream(shard))
	if err != nil {
		return err
	}
	var done struct {
		Success bool `json:"success"`
	}
	err = l.conn.RequestAPI(ctx, subject, eraseRequest{seq}, &done)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
