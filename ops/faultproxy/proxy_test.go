package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/ops/faultproxy"
)

const patience = 60 * time.Second

// pair is a proxy that runs and the target behind it, whose connections the test takes by itself.
type pair struct {
	t      *testing.T
	proxy  *faultproxy.Proxy
	target net.Listener
}

func start(t *testing.T, c faultproxy.Config) *pair {
	t.Helper()
	before := goleak.IgnoreCurrent()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Target = target.Addr().String()
	p, err := faultproxy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := p.Counts(); n.Open != 0 || n.HeldUp != 0 || n.HeldDown != 0 {
			t.Errorf("something is left: %+v", n)
		}
		target.Close()
		if again, err := net.Listen("tcp", p.Address()); err != nil {
			t.Errorf("its address is not given back: %v", err)
		} else {
			again.Close()
		}
		goleak.VerifyNone(t, before)
	})
	return &pair{t: t, proxy: p, target: target}
}

// side is one end of a connection.
type side struct {
	*net.TCPConn
	t *testing.T
}

func (p *pair) side(c net.Conn, err error) *side {
	p.t.Helper()
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience)) // nothing hangs for ever
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return &side{c.(*net.TCPConn), p.t}
}

func (p *pair) dial() *side {
	p.t.Helper()
	return p.side(net.Dial("tcp", p.proxy.Address()))
}

// open is both ends of a new connection.
func (p *pair) open() (client, target *side) {
	p.t.Helper()
	client = p.dial()
	return client, p.side(p.target.Accept())
}

func (s *side) say(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s, text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) hears(text string) {
	s.t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(s, got); err != nil || string(got) != text {
		s.t.Fatalf("it hears %q, %v; want %q", got, err, text)
	}
}

// ends reads the end: nil for one in order.
func (s *side) ends() error {
	s.t.Helper()
	n, err := s.Read(make([]byte, 1))
	switch {
	case n != 0 || err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		s.t.Fatalf("it does not end: %d bytes, %v", n, err)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// refuses looks at a new connection: it is reset, before the system calls it open or after.
func (p *pair) refuses() {
	p.t.Helper()
	c, err := net.Dial("tcp", p.proxy.Address())
	if err == nil {
		err = p.side(c, nil).ends()
	}
	if err == nil {
		p.t.Error("a new connection is welcome, or ends in order")
	}
}

func (p *pair) awaits(what string, is func(faultproxy.Counts) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !is(p.proxy.Counts()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain until %s: %+v", what, p.proxy.Counts())
		}
	}
}

func TestBytesPassBothWaysAndEachSideClosesByItself(t *testing.T) {
	p := start(t, faultproxy.Config{})
	client, target := p.open()
	client.say("question")
	target.hears("question")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := target.ends(); err != nil {
		t.Errorf("the target sees %v", err)
	}
	target.say("answer")
	target.Close()
	client.hears("answer")
	if err := client.ends(); err != nil {
		t.Errorf("the client sees %v", err)
	}
	p.awaits("it is forgotten", func(c faultproxy.Counts) bool { return c.Open == 0 })
	if c := p.proxy.Counts(); c.Accepted != 1 || c.Up != 8 || c.Down != 6 {
		t.Errorf("counted %+v", c)
	}
}

func TestNoByteChangesItsPlace(t *testing.T) {
	p := start(t, faultproxy.Config{})
	p.proxy.Delay(time.Millisecond, 3*time.Millisecond)
	client, target := p.open()
	sent := make([]byte, 12<<20)
	rand.Read(sent)
	var echoing sync.WaitGroup
	defer echoing.Wait()
	echoing.Go(func() { _, _ = io.Copy(target, target); _ = target.CloseWrite() }) // what is missing, the client sees
	echoing.Go(func() {
		for _, d := range []faultproxy.Direction{faultproxy.Up, faultproxy.Down, faultproxy.Up} {
			before := p.proxy.Counts()
			p.awaits("more has passed", func(c faultproxy.Counts) bool { return c.Down >= min(before.Down+1<<20, int64(len(sent))) })
			p.proxy.Hold(d)
			p.proxy.Delay(0, 0)
			p.proxy.Release(d)
			p.proxy.Delay(time.Millisecond, time.Millisecond)
		}
	})
	echoing.Go(func() { _, _ = client.Write(sent); _ = client.CloseWrite() })
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes went through twice, %d came back, equal: %v, %v", len(sent), len(got), bytes.Equal(got, sent), err)
	}
}

func TestHalfOpen(t *testing.T) {
	for name, d := range map[string]faultproxy.Direction{"up": faultproxy.Up, "down": faultproxy.Down} {
		t.Run(name, func(t *testing.T) {
			p := start(t, faultproxy.Config{})
			client, target := p.open()
			mute, loud := client, target
			held := func(c faultproxy.Counts) int64 { return c.HeldUp }
			if d == faultproxy.Down {
				mute, loud = target, client
				held = func(c faultproxy.Counts) int64 { return c.HeldDown }
			}
			p.proxy.Hold(d)
			mute.say("into the void")
			loud.say("still here")
			mute.hears("still here")
			p.awaits("it is held", func(c faultproxy.Counts) bool { return held(c) == int64(len("into the void")) })
			if err := loud.SetReadDeadline(time.Now()); err != nil {
				t.Fatal(err)
			}
			if n, err := loud.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("something passed: %d, %v", n, err)
			}
			if err := loud.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			// That the mute side breaks is news which travels the same way.
			if err := mute.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			mute.Close()
			for range 100 {
				loud.say("is anybody there? ")
			}
			if c := p.proxy.Counts(); c.Open != 1 || held(c) == 0 {
				t.Errorf("with one side broken: %+v", c)
			}
			p.proxy.Heal()
			if got, err := io.ReadAll(loud); err == nil {
				t.Errorf("it ended in order, after %q", got)
			}
			p.awaits("it is forgotten", func(c faultproxy.Counts) bool { return c.Open == 0 })
		})
	}
}

func TestWhatWasHeldPassesWhenItIsHealed(t *testing.T) {
	for name, fail := range map[string]func(*faultproxy.Proxy){
		"held":    func(p *faultproxy.Proxy) { p.Hold() },
		"delayed": func(p *faultproxy.Proxy) { p.Delay(time.Hour, time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, faultproxy.Config{})
			client, target := p.open()
			fail(p.proxy)
			client.say("one ")
			target.say("three ")
			p.awaits("both are held", func(c faultproxy.Counts) bool { return c.HeldUp == 4 && c.HeldDown == 6 })
			client.say("two")
			target.say("four")
			if err := target.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			p.proxy.Heal()
			target.hears("one two")
			client.hears("three four")
			if err := client.ends(); err != nil {
				t.Errorf("the client sees %v", err)
			}
		})
	}
}

func TestDelay(t *testing.T) {
	const latency = 30 * time.Millisecond
	p := start(t, faultproxy.Config{})
	p.proxy.Delay(latency, 0, faultproxy.Up)
	client, target := p.open()
	began := time.Now()
	client.say("late")
	target.hears("late")
	if took := time.Since(began); took < latency {
		t.Errorf("it took %s", took)
	}
}

func TestANewConnectionWaitsWhileADirectionIsHeld(t *testing.T) {
	p := start(t, faultproxy.Config{})
	p.proxy.Hold(faultproxy.Down)
	client := p.dial()
	client.say("hello")
	p.awaits("it is taken", func(c faultproxy.Counts) bool { return c.Accepted == 1 })
	if err := p.target.(*net.TCPListener).SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if c, err := p.target.Accept(); err == nil {
		c.Close()
		t.Error("the target sees a connection")
	}
	if err := p.target.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p.proxy.Release()
	p.side(p.target.Accept()).hears("hello")
}

func TestCutAndHeal(t *testing.T) {
	p := start(t, faultproxy.Config{})
	client, target := p.open()
	p.proxy.Cut()
	for who, s := range map[string]*side{"client": client, "target": target} {
		if err := s.ends(); err == nil {
			t.Errorf("the %s sees an end in order", who)
		}
	}
	p.refuses()
	p.proxy.Heal()
	client, target = p.open()
	client.say("again")
	target.hears("again")
	p.awaits("what was cut is off the count", func(c faultproxy.Counts) bool { return c.Open == 1 })
	if c := p.proxy.Counts(); c.Accepted != 2 || c.Refused != 1 {
		t.Errorf("counted %+v", c)
	}
}

func TestRefuseLeavesWhatIsOpen(t *testing.T) {
	p := start(t, faultproxy.Config{})
	client, target := p.open()
	p.proxy.Refuse()
	p.refuses()
	client.say("still here")
	target.hears("still here")
	p.proxy.Heal()
	p.proxy.Reset()
	if err := client.ends(); err == nil {
		t.Error("a reset is an end in order")
	}
	p.open()
}

func TestATargetThatDoesNotAnswer(t *testing.T) {
	p := start(t, faultproxy.Config{})
	p.target.Close()
	p.refuses()
	p.awaits("it failed", func(c faultproxy.Counts) bool { return c.Failed == 1 && c.Open == 0 })
}

func TestManyConnections(t *testing.T) {
	const many = 200
	p := start(t, faultproxy.Config{MaxConns: many})
	p.proxy.Delay(0, 2*time.Millisecond)
	var clients, targets []*side
	for range many {
		client, target := p.open()
		clients, targets = append(clients, client), append(targets, target)
	}
	p.refuses()
	var echoing sync.WaitGroup
	for i, client := range clients {
		target := targets[i]
		echoing.Go(func() { _, _ = io.Copy(target, target); _ = target.CloseWrite() }) // what is missing, the client sees
		echoing.Go(func() {
			for range 10 {
				client.say("ping ")
			}
			_ = client.CloseWrite() // as above
			if got, err := io.ReadAll(client); len(got) != 50 || err != nil {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
		})
	}
	echoing.Wait()
	if c := p.proxy.Counts(); c.Accepted != many || c.Refused != 1 || c.Up != 50*many || c.Down != 50*many {
		t.Errorf("counted %+v", c)
	}
}

// Whatever state its connections are in, Run ends them; start looks for what is left.
func TestRunEndsInTheMiddle(t *testing.T) {
	p := start(t, faultproxy.Config{})
	idle, _ := p.open()
	idle.say("held for ever")
	p.proxy.Hold()
	p.dial().say("never seen")
	idle.say("more")
	full, _ := p.dial(), idle
	if err := full.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, _ = full.Write(make([]byte, 32<<20)) // until nobody takes more
	p.awaits("all are there", func(c faultproxy.Counts) bool { return c.Open == 3 })
}

func TestMistakes(t *testing.T) {
	if _, err := faultproxy.New(faultproxy.Config{Target: "nowhere"}); err == nil {
		t.Error("a target without a port is taken")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := faultproxy.New(faultproxy.Config{Target: "127.0.0.1:1", Listen: taken.Addr().String()}); err == nil {
		t.Error("an address that is taken is taken again")
	}
}
