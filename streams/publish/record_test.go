package publish_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

func record(n int) publish.Record {
	return publish.Record{
		Stream: stream, Subject: fmt.Sprintf("chat.1.w1.c%d", n%20),
		Header: nats.Header{streams.HeaderMsgID: {fmt.Sprintf("u1.m%d", n)}}, Payload: fmt.Appendf(nil, `{"n":%d}`, n),
	}
}

func records(n int) []publish.Record {
	all := make([]publish.Record, n)
	for i := range all {
		all[i] = record(i)
	}
	return all
}

func TestRecordsAreStoredOnce(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	const n = 3000
	acks, err := publish.StoreAll(c.Context(), conn, records(n))
	if err != nil {
		t.Fatal(err)
	}
	seqs := map[chat.Seq]bool{}
	for i, ack := range acks {
		if ack.Stream != stream || ack.Domain != streams.HubDomain || ack.Duplicate || seqs[ack.Seq] {
			t.Errorf("%d: %+v", i, ack)
		}
		seqs[ack.Seq] = true
	}
	again, err := publish.Store(c.Context(), conn, record(17))
	if err != nil || !again.Duplicate || again.Seq != acks[17].Seq {
		t.Errorf("again: %+v, %v", again, err)
	}
	if got := stored(t, c); got != n {
		t.Errorf("the stream holds %d of %d", got, n)
	}
}

func TestRecordsAreStoredOverARestart(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	const n = 3000
	var breaker sync.WaitGroup
	breaker.Go(c.RestartHub)
	for part := range 10 {
		if _, err := publish.StoreAll(c.Context(), conn, records(n)[part*n/10:(part+1)*n/10]); err != nil {
			t.Fatal(err)
		}
	}
	breaker.Wait()
	if got := stored(t, c); got != n {
		t.Errorf("the stream holds %d of %d", got, n)
	}
}

// One that can never be stored keeps no other from it.
func TestOneRecordThatIsRefused(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	all := records(5)
	all[4].Payload = make([]byte, chat.MaxStoredEvent)
	acks, err := publish.StoreAll(c.Context(), conn, all)
	if !fault.Is(err, fault.TooLarge) || acks[4].Seq != 0 {
		t.Errorf("%+v, %v", acks, err)
	}
	for i := range 4 {
		if again, err := publish.Store(c.Context(), conn, all[i]); err != nil || !again.Duplicate || acks[i].Seq != again.Seq {
			t.Errorf("%d: %+v, %+v, %v", i, acks[i], again, err)
		}
	}
	other := record(9)
	other.Stream = "CHAT_2" // whose subject it is not: what another stream stored is no proof
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if ack, err := publish.Store(ctx, conn, other); !fault.Is(err, fault.Unavailable) || !errors.Is(err, bus.ErrUnknown) {
		t.Errorf("%+v, %v", ack, err)
	}
}

func TestARecordThatNobodyTakesIsCertainlyNotStored(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	for name, url := range map[string]string{"no stream": c.LeafURL(), "no server": "nats://canopy:secret@127.0.0.1:1"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		acks, err := publish.StoreAll(ctx, dial(t, url), records(5))
		if !fault.Is(err, fault.Unavailable) || errors.Is(err, bus.ErrUnknown) || len(acks) != 5 || acks[0].Seq != 0 {
			t.Errorf("%s: %+v, %v", name, acks, err)
		}
	}
}

// Only what says for certain that it is not stored makes the outcome certain.
func TestTheOutcomeOfARecord(t *testing.T) {
	for name, test := range map[string]struct {
		answers []string // to one attempt after the other; empty: none
		kind    fault.Kind
		unknown bool
	}{
		"busy, then stored":       {[]string{`{"error":{"code":429,"err_code":10167}}`, `{"stream":"CHAT_1","domain":"hub","seq":5}`}, "", false},
		"in process, then stored": {[]string{`{"error":{"code":409,"err_code":10158}}`, `{"stream":"CHAT_1","domain":"hub","seq":5,"duplicate":true}`}, "", false},
		"refused":                 {[]string{`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"}}`}, fault.Internal, false},
		"of another stream":       {[]string{`{"stream":"OTHER","domain":"hub","seq":5}`, `{"error":{"code":400,"err_code":10071}}`}, fault.Unavailable, true},
		"no JSON, then too large": {[]string{`?`, `{"error":{"code":400,"err_code":10054}}`}, fault.TooLarge, false},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			n := 0
			server := scripted(t, func(*nats.Msg) string {
				mu.Lock()
				defer mu.Unlock()
				n++
				return test.answers[min(n, len(test.answers))-1]
			})
			ack, err := publish.Store(t.Context(), dial(t, server), record(1))
			if fault.KindOf(err) != test.kind || errors.Is(err, bus.ErrUnknown) != test.unknown || (err == nil) != (ack.Seq == 5) {
				t.Errorf("%+v, %v", ack, err)
			}
			if n != len(test.answers) {
				t.Errorf("%d attempts", n)
			}
		})
	}
}
