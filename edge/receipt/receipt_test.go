package receipt_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/edge/receipt"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
)

// service keeps cursors, unless it is down.
type service struct {
	mu    sync.Mutex
	down  error
	kept  map[receipt.Device]chat.Cursor
	last  map[receipt.Device]time.Time
	asked []int // how many cursors each question had
	drops map[string]uint64
}

func (s *service) Delivered(_ context.Context, req rpc.DeliveredRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, len(req.Cursors))
	if s.down != nil {
		return s.down
	}
	for _, c := range req.Cursors {
		d := receipt.Device{WorkspaceID: c.WorkspaceID, UserID: c.UserID, SignInID: c.DeviceID}
		s.kept[d], s.last[d] = chat.Cursor{Epoch: c.Epoch, Seq: c.Seq}, c.At
	}
	return nil
}

func (s *service) set(down error) { s.mu.Lock(); defer s.mu.Unlock(); s.down = down }

func (s *service) drop(reason string, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops[reason] += n
}

// questions are those since the last call.
func (s *service) questions() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func device(i int) receipt.Device {
	return receipt.Device{WorkspaceID: "w1", UserID: chat.UserID(fmt.Sprint("u", i)), SignInID: token.SignInID(fmt.Sprint("s", i))}
}

func at(seq chat.Seq) chat.Cursor { return chat.Cursor{Epoch: 1, Seq: seq} }

// in runs a test with a Gatherer that runs. stop ends it.
func in(t *testing.T, cfg receipt.Config, test func(g *receipt.Gatherer, s *service, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{kept: map[receipt.Device]chat.Cursor{}, last: map[receipt.Device]time.Time{}, drops: map[string]uint64{}}
		cfg.Keeper, cfg.Drop = s, s.drop
		g := receipt.New(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		stop := sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		defer stop()
		synctest.Wait()
		test(g, s, stop)
	})
}

func TestTheFurthestCursorIsSavedEveryFewSeconds(t *testing.T) {
	in(t, receipt.Config{}, func(g *receipt.Gatherer, s *service, _ func()) {
		for seq := range chat.Seq(1000) {
			g.Note(device(1), at(seq+1))
		}
		g.Note(device(1), at(7)) // another socket of the device is behind
		g.Note(device(2), at(5))
		if n := g.Waiting(); n != 2 || len(s.questions()) != 0 {
			t.Fatalf("%d wait", n)
		}
		time.Sleep(receipt.DefaultEvery + time.Millisecond)
		synctest.Wait()
		if asked := s.questions(); !slices.Equal(asked, []int{2}) || s.kept[device(1)] != at(1000) || s.kept[device(2)] != at(5) || g.Waiting() != 0 {
			t.Errorf("%v asked, %v kept", asked, s.kept)
		}
		time.Sleep(time.Minute)
		if asked := s.questions(); len(asked) != 0 {
			t.Errorf("%v asked while nothing changed", asked)
		}
		g.Note(device(1), chat.Cursor{Epoch: 2, Seq: 3})
		time.Sleep(receipt.DefaultEvery)
		synctest.Wait()
		if s.kept[device(1)] != (chat.Cursor{Epoch: 2, Seq: 3}) {
			t.Errorf("%v kept of a later log", s.kept[device(1)])
		}
	})
}

func TestAnEndIsSavedSoonAndOnce(t *testing.T) {
	in(t, receipt.Config{}, func(g *receipt.Gatherer, s *service, _ func()) {
		g.Note(device(1), at(5))
		time.Sleep(time.Minute)
		s.questions()
		for i := range 100 {
			g.End(device(i), at(5))
		}
		ended := time.Now()
		time.Sleep(receipt.DefaultEvery / 3)
		synctest.Wait()
		asked, told := s.questions(), 0
		for _, n := range asked { // more than one: some had ended while others were asked about
			told += n
		}
		if told != 100 || len(asked) > 10 || !s.last[device(1)].Equal(ended) {
			t.Errorf("%v asked; the device was there at %v, and not %v", asked, s.last[device(1)], ended)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	in(t, receipt.Config{}, func(g *receipt.Gatherer, s *service, _ func()) {
		const n = 5*rpc.MaxDelivered + 1
		for i := range n {
			g.Note(device(i), at(1))
		}
		time.Sleep(receipt.DefaultEvery + time.Millisecond)
		synctest.Wait()
		asked := s.questions()
		if len(asked) != 6 || slices.Max(asked) != rpc.MaxDelivered || len(s.kept) != n {
			t.Errorf("%v asked, %d kept", asked, len(s.kept))
		}
	})
}

func TestAServiceThatIsDownIsAskedLessAndLess(t *testing.T) {
	in(t, receipt.Config{MaxEnded: 3}, func(g *receipt.Gatherer, s *service, _ func()) {
		s.set(fault.New(fault.Unavailable, "down"))
		for i := range 10 {
			g.Note(device(i), at(5))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(s.questions()); n < 10 || n > 30 {
			t.Errorf("it was asked %d times in ten minutes", n)
		}
		for i := range 5 {
			g.End(device(i), at(6))
		}
		g.Note(device(9), at(9))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if g.Waiting() != 8 || s.drops[receipt.DropEnded] != 2 {
			t.Errorf("%d wait, %v were dropped", g.Waiting(), s.drops)
		}
		s.set(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if g.Waiting() != 0 || s.kept[device(9)] != at(9) || len(s.kept) != 8 {
			t.Errorf("%d wait, and %v are kept", g.Waiting(), s.kept)
		}
		s.questions()
		g.Note(device(1), at(10))
		time.Sleep(receipt.DefaultEvery)
		synctest.Wait()
		if len(s.questions()) != 1 {
			t.Error("the pauses are still long")
		}
	})
}

func TestWhatIsRefusedIsDropped(t *testing.T) {
	in(t, receipt.Config{}, func(g *receipt.Gatherer, s *service, _ func()) {
		s.set(fault.New(fault.Invalid, "no such cursor"))
		g.Note(device(1), at(5))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.questions()); n != 1 || g.Waiting() != 0 || s.drops[receipt.DropRefused] != 1 {
			t.Errorf("asked %d times, %d wait, %v dropped", n, g.Waiting(), s.drops)
		}
	})
}

func TestWhatIsLeftIsSavedAtTheEnd(t *testing.T) {
	in(t, receipt.Config{}, func(g *receipt.Gatherer, s *service, stop func()) {
		g.Note(device(1), at(5))
		stop()
		if s.kept[device(1)] != at(5) {
			t.Errorf("%v kept", s.kept)
		}
	})
}
