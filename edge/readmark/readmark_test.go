package readmark_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/edge/readmark"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/wire"
)

func ref(n int) wire.Ref { return wire.Ref(fmt.Sprint(n)) }

func TestMarksOfOneChannelBecomeOne(t *testing.T) {
	var l readmark.Lane
	if !l.Idle() {
		t.Fatal("it is not empty")
	}
	l.Offer("c1", 5, ref(1))
	first, ok := l.Take()
	if !ok || first.ChannelID != "c1" || first.Seq != 5 || len(first.Refs) != 1 {
		t.Fatalf("%+v, %t", first, ok)
	}
	l.Offer("c1", 7, ref(2))
	l.Offer("c2", 3, nil)
	l.Offer("c1", 9, ref(3))
	l.Offer("c1", 8, nil)
	l.Offer("c1", 8, nil)
	if more, ok := l.Take(); ok {
		t.Fatalf("%+v while another is on its way", more)
	}
	l.Done()
	second, _ := l.Take()
	if second.ChannelID != "c1" || second.Seq != 9 || fmt.Sprintf("%s", second.Refs) != "[2 3 ]" {
		t.Errorf("%+v", second)
	}
	l.Done()
	third, _ := l.Take()
	if third.ChannelID != "c2" || third.Seq != 3 || l.Idle() {
		t.Errorf("%+v, idle %t", third, l.Idle())
	}
	l.Done()
	if _, ok := l.Take(); ok || !l.Idle() {
		t.Error("something is left")
	}
}

func TestALaneIsBounded(t *testing.T) {
	var l readmark.Lane
	for i := range readmark.MaxWaiting {
		if !l.Offer("c1", 1, ref(i)) {
			t.Fatalf("number %d is refused", i)
		}
	}
	if l.Offer("c2", 1, nil) || l.Offer("c1", 2, ref(1000)) {
		t.Error("one more is taken")
	}
	a, _ := l.Take()
	if l.Offer("c2", 1, nil) || len(a.Refs) != readmark.MaxWaiting || a.Seq != 1 {
		t.Errorf("%d answers are on their way, and one more is taken", len(a.Refs))
	}
	l.Done()
	if !l.Offer("c2", 1, nil) {
		t.Error("there is room, and it is refused")
	}
	if !fault.Is(readmark.ErrFull(), fault.RateLimited) {
		t.Error(readmark.ErrFull())
	}
}

type keeper func(context.Context, rpc.ReadRequest) (rpc.ReadReply, error)

func (k keeper) Read(ctx context.Context, req rpc.ReadRequest) (rpc.ReadReply, error) {
	return k(ctx, req)
}

func TestMarkAsks(t *testing.T) {
	o := readmark.NewOffice(keeper(func(_ context.Context, req rpc.ReadRequest) (rpc.ReadReply, error) {
		if req != (rpc.ReadRequest{UserID: "alice", ChannelID: "c1", Seq: 5}) {
			return rpc.ReadReply{}, fault.New(fault.NotFound, "%+v", req)
		}
		return rpc.ReadReply{Seq: 8}, nil
	}))
	if seq, err := o.Mark(t.Context(), "alice", readmark.Ask{ChannelID: "c1", Seq: 5}); seq != 8 || err != nil {
		t.Errorf("%d, %v", seq, err)
	}
	if _, err := o.Mark(t.Context(), "bob", readmark.Ask{ChannelID: "c1", Seq: 5}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// However many wait for a service that hangs, each has its answer in time.
func TestAServiceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := readmark.NewOffice(keeper(func(ctx context.Context, _ rpc.ReadRequest) (rpc.ReadReply, error) {
			<-ctx.Done()
			return rpc.ReadReply{}, ctx.Err()
		}))
		var refused atomic.Int32
		began := time.Now()
		for range 500 {
			go func() {
				if _, err := o.Mark(t.Context(), "alice", readmark.Ask{ChannelID: "c1", Seq: 5}); fault.Is(err, fault.Unavailable) {
					refused.Add(1)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := refused.Load(); n != 500 {
			t.Errorf("%d are refused after %v", n, time.Since(began))
		}
	})
}

func TestAnOfficeIsBounded(t *testing.T) {
	o := readmark.NewOffice(nil)
	for range readmark.MaxBooked {
		if err := o.Book(); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Book(); !fault.Is(err, fault.Unavailable) || o.Booked() != readmark.MaxBooked {
		t.Errorf("%v, %d", err, o.Booked())
	}
	o.Free()
	if err := o.Book(); err != nil {
		t.Error(err)
	}
}
