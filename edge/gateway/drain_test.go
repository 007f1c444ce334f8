package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
)

// A draining gateway takes nobody, tells everybody when to come back, answers what is on its way, and closes.
func TestDrain(t *testing.T) {
	on(t, options{gw: gateway.Config{DrainSpread: 3 * time.Second}}, func(t *testing.T, w *world) {
		w.crowd(5, "c1")
		hold := make(chan struct{})
		w.with(func() { w.hold = hold })
		var all []*client
		for i := range 5 {
			all = append(all, w.open(chat.UserID(fmt.Sprint("u", i))))
		}
		sender := all[0]
		for i := range 10 {
			sender.write(post(fmt.Sprint("m", i), "c1", "x"))
		}
		w.eventually("one is on its way", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.inSubmit == 1 })
		sender.quiet() // all are in the lane
		drained := make(chan struct{})
		go func() { defer close(drained); w.gw.Drain(context.Background()) }()
		for _, c := range all {
			if f, _ := c.until("error"); f.Code != "moving" || f.RetryAfter == nil || *f.RetryAfter <= 0 || *f.RetryAfter > 3 {
				t.Errorf("%+v", f)
			}
		}
		if !w.gw.Draining() {
			t.Error("it does not say so")
		}
		w.refused(w.request("", "Authorization: Bearer u0"), 503, "moving", true)
		sender.write(post("late", "c1", "x"))
		if f, _ := sender.until("error"); f.Code != "moving" || f.ClientMsgID != "late" {
			t.Errorf("%+v", f)
		}
		close(hold)
		for i := range 10 {
			if f, _ := sender.until("message.ack"); f.ClientMsgID != fmt.Sprint("m", i) {
				t.Fatalf("%+v", f)
			}
		}
		for _, c := range all {
			c.ends(1012)
		}
		select {
		case <-drained:
		case <-time.After(patience):
			t.Fatal("Drain does not return")
		}
		if n := w.gw.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

// One that was being opened when the drain began does not hold it up.
func TestDrainWhileOneOpens(t *testing.T) {
	w := start(t, options{})
	w.crowd(2, "c1")
	other := w.open("u1")
	slow, asked := make(chan struct{}), make(chan struct{}, 1)
	w.with(func() { w.behind = func(chat.UserID) { asked <- struct{}{}; <-slow } })
	answered := make(chan error, 1)
	go func() { _, err := w.tryOpen("u0", ""); answered <- err }()
	<-asked
	drained := make(chan struct{})
	go func() { defer close(drained); w.gw.Drain(context.Background()) }()
	other.until("error")
	close(slow)
	if err := <-answered; err == nil {
		t.Error("a draining gateway opened a session")
	}
	other.ends(1012)
	<-drained
}

func TestDrainEndsWithItsContext(t *testing.T) {
	w := start(t, options{})
	w.crowd(1, "c1")
	c := w.open("u0")
	w.with(func() { w.hold = make(chan struct{}) })
	c.write(post("m", "c1", "never answered"))
	w.eventually("it is on its way", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.inSubmit == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	w.gw.Drain(ctx)
	w.stopGateway()
	if n := w.gw.Sockets(); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
}

// Sockets that open while the gateway stops are closed, whatever comes first.
func TestStopWhileManyOpen(t *testing.T) {
	for _, d := range []driver{epoll, onStream} {
		t.Run(d.name, func(t *testing.T) {
			for range 10 {
				w := start(t, options{driver: d})
				w.crowd(1, "c1")
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() {
						for {
							c, err := w.tryOpen("u0", "")
							if err != nil {
								return
							}
							_, err = c.gather(1 << 40)
							if err := errors.Join(err, c.nc.Close()); err == nil {
								t.Error("it has not ended")
							}
						}
					})
				}
				w.eventually("some are open", func() bool { return w.gw.Sockets() > rand.IntN(20) })
				w.stopGateway()
				w.eventually("all are closed", func() bool { return w.gw.Sockets() == 0 && w.feeds.balance() == 0 })
				all.Wait()
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("descriptors cannot be counted here")
	}
	return len(open)
}

func TestNothingLeaks(t *testing.T) {
	for _, d := range []driver{epoll, onStream} {
		t.Run(d.name, func(t *testing.T) {
			w := start(t, options{driver: d})
			w.crowd(1, "c1")
			w.open("u0")
			before, goroutines := descriptors(t), runtime.NumGoroutine()
			for i := range 1000 {
				c, err := w.tryOpen("u0", "")
				if err != nil {
					t.Fatal(err)
				}
				if i%3 == 0 {
					c.write(closing(1000, ""))
				}
				if err := c.nc.Close(); err != nil {
					t.Error(err)
				}
			}
			w.eventually("all have gone", func() bool { return w.gw.Sockets() == 1 })
			w.eventually("all descriptors and goroutines have gone", func() bool {
				return descriptors(t) <= before+5 && runtime.NumGoroutine() <= goroutines+5
			})
			if n := w.feeds.balance(); n != 1 {
				t.Errorf("%d feeds are held", n)
			}
		})
	}
}

func TestIdleSocketsHaveNoGoroutines(t *testing.T) {
	w := start(t, options{})
	w.crowd(1, "c1")
	w.open("u0")
	before := runtime.NumGoroutine()
	for range 1000 {
		w.open("u0")
	}
	w.eventually("the server's goroutines have gone", func() bool { return runtime.NumGoroutine() <= before+5 })
	if n := w.gw.Sockets(); n != 1001 {
		t.Errorf("%d sockets", n)
	}
}

// A crowd comes, sends, stops reading, breaks off and resumes, and everybody gets what they must.
func TestACrowd(t *testing.T) {
	size, times := 1000, 3
	if testing.Short() {
		size = 200
	}
	w := start(t, options{gw: gateway.Config{Admit: session.Pace{PerSecond: -1}}}) // they come more often than a crowd may
	w.crowd(size/10, "c1")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		w.slowTraffic(stop, size/10)
	}()
	failed := make(chan error, size)
	for i := range size {
		user := chat.UserID(fmt.Sprint("u", i%(size/10)))
		go func() {
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
			failed <- w.roam(user, times)
		}()
	}
	for range size {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-stopped
	w.eventually("all have gone", func() bool { return w.gw.Sockets() == 0 })
}

// slowTraffic is traffic at a pace that thousands of sockets of one process can follow.
func (w *world) slowTraffic(stop chan struct{}, users int) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(4 * time.Millisecond):
		}
		user := chat.UserID(fmt.Sprint("u", n%users))
		switch n % 10 {
		case 3:
			w.join("c2", user)
		case 5:
			w.say("c2", "x")
		case 7:
			w.leave("c2", chat.UserID(fmt.Sprint("u", (n-4)%users)))
		default:
			w.say("c1", "x")
		}
	}
}
