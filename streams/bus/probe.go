package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/streams"
)

// Times of a Probe.
const (
	ProbeTimeout = 2 * time.Second // of the whole, when the caller's context allows more
	readPause    = 20 * time.Millisecond
)

var errNotStored = errors.New("what the hub acknowledged is not there")

// Probe finds out whether the hub stores and gives back, through whatever lies between: it stores a few bytes of the
// process, waits for the acknowledgement and reads them from any replica. The error is Unavailable, at the latest after
// ProbeTimeout; or about the process's id.
func (c *Conn) Probe(ctx context.Context, process string) error {
	subject, err := streams.ProbeSubject(process)
	if err != nil {
		return err
	}
	from, err := streams.DirectGetSubject(streams.StreamProbe)
	if err != nil {
		return err
	}
	unique, err := uuid.NewV7()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ProbeTimeout)
	defer cancel()
	var ack struct {
		Stream string `json:"stream"`
		Domain string `json:"domain"`
		Seq    uint64 `json:"seq"`
	}
	if err := c.RequestAPI(ctx, subject, unique, &ack); err != nil {
		return err
	}
	if ack.Stream != streams.StreamProbe || ack.Domain != streams.HubDomain || ack.Seq == 0 {
		return Unavailable(fmt.Errorf("probe: acknowledged by %.40q in domain %.40q", ack.Stream, ack.Domain))
	}
	body, err := json.Marshal(getRequest{LastFor: subject})
	if err != nil {
		return err
	}
	stored, err := json.Marshal(unique)
	if err != nil {
		return err
	}
	for {
		m, err := c.request(ctx, from, body)
		if err != nil {
			return err
		}
		seq, err := strconv.ParseUint(m.Header.Get(streams.HeaderSequence), 10, 64)
		switch {
		case err == nil && seq == ack.Seq && bytes.Equal(m.Data, stored):
			return nil
		case err == nil && seq > ack.Seq: // another probe of this process came after it
			return nil
		}
		if Pause(ctx, readPause) != nil { // a replica may be a moment behind
			return Unavailable(errNotStored)
		}
	}
}
