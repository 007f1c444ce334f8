package streams_test

import (
	"errors"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

func TestJobMsgID(t *testing.T) {
	if id, err := streams.JobMsgID("w1", "u1", 17, 2); err != nil || id != "job.w1.u1.17.2" {
		t.Errorf("got %q, %v", id, err)
	}
	for _, c := range []struct {
		ws    chat.WorkspaceID
		user  chat.UserID
		seq   chat.Seq
		round int
		want  error
	}{
		{"W", "u1", 1, 0, chat.ErrBadID}, {"w1", "u.1", 1, 0, chat.ErrBadID}, {"w1", "u1", 0, 0, streams.ErrBadMsgID},
		{"w1", "u1", chat.MaxSeq + 1, 0, streams.ErrBadMsgID}, {"w1", "u1", 1, -1, streams.ErrBadMsgID},
	} {
		if id, err := streams.JobMsgID(c.ws, c.user, c.seq, c.round); !errors.Is(err, c.want) || id != "" {
			t.Errorf("%+v: got %q, %v", c, id, err)
		}
	}
}
