package publish

import (
	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/streams/bus"
)

// JudgeAnswer is for FuzzJudgeAnswer: the Ack, whether it is one, and why not.
func JudgeAnswer(m *nats.Msg, stream string) (ack bus.Ack, isStored, isRefused bool, err error) {
	v := judgeAnswer(m, stream)
	return v.ack, v.then == stored, v.then == refused, v.err
}
