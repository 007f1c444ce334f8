package publish

import (
	"context"
	"time"

	"github.com/canopychat/canopy/streams"
)

// Begun is when the stream of a shard was made. It knows no Msg-Id of what was published before: what is repeated from then
// is stored again.
func (p *Publisher) Begun(ctx context.Context, shard streams.Shard) (time.Time, error) {
	var info struct {
		Created time.Time `json:"created"`
	}
	to, err := streams.StreamInfoSubject(streams.ChatStream(shard))
	if err == nil {
		err = p.conn.RequestAPI(ctx, to, nil, &info)
	}
	return info.Created, err
}
