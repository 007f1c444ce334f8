package logs

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// poison is what nobody of ours writes into a log. It is in the log all the same: a bug, or an operator, has put it there.
var poison = []string{"", "hello", "{", "null", "[]", `{"v":1}`, `{"v":99,"kind":"message.posted"}`, "\xff\xfe", `{"v":1,"kind":"of.no.kind","epoch":1}`}

// poison writes rubbish into the logs of the workspaces, in the first channel of each and in what is of the whole workspace. It stays there;
// nothing else may come to harm by it.
func (c Config) poison(ctx context.Context) error {
	return c.InHub(func(js jetstream.JetStream) error {
		for _, space := range c.Spaces() {
			if err := spoil(ctx, js, space); err != nil {
				return fmt.Errorf("rubbish for %s: %w", space.Name, err)
			}
		}
		return nil
	})
}

// spoil writes rubbish into one workspace's log.
func spoil(ctx context.Context, js jetstream.JetStream, space record.Workspace) error {
	ws := chat.WorkspaceID(space.ID)
	shard, err := shardOf(ctx, js, ws)
	if err != nil {
		return err
	}
	for _, channel := range []chat.ChannelID{"", chat.ChannelID(space.Channels[0].ID)} {
		subject, err := streams.ChatSubject(shard, ws, channel)
		if err != nil {
			return err
		}
		for _, payload := range poison {
			if _, err := js.Publish(ctx, subject, []byte(payload)); err != nil {
				return err
			}
		}
	}
	return nil
}

// shardOf is where the log of a workspace lies: where there is something of it.
func shardOf(ctx context.Context, js jetstream.JetStream, ws chat.WorkspaceID) (streams.Shard, error) {
	for shard, name := range streams.ChatStreams() {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return 0, err
		}
		subject, err := streams.ChatSubject(shard, ws, "")
		if err != nil {
			return 0, err
		}
		switch _, err := stream.GetLastMsgForSubject(ctx, subject); {
		case err == nil:
			return shard, nil
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return 0, err
		}
	}
	return 0, fmt.Errorf("no log has the workspace %s", ws)
}
