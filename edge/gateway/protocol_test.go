package gateway_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/gateway"
)

func closing(code uint16, reason string) []byte {
	return bytesOf(0x80|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

func TestProtocolErrors(t *testing.T) {
	unmasked := []byte{0x81, 0x02, '{', '}'}
	tooLong := bytesOf(0x81, strings.Repeat("x", 64<<10+1))
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		for name, tt := range map[string]struct {
			sent []byte
			code int
		}{
			"not masked":                    {unmasked, 1002},
			"a reserved bit":                {bytesOf(0xc1, "{}"), 1002},
			"a reserved opcode":             {bytesOf(0x83, "{}"), 1002},
			"a fragmented ping":             {bytesOf(opPing, "x"), 1002},
			"a long ping":                   {bytesOf(0x80|opPing, strings.Repeat("x", 126)), 1002},
			"a continuation of nothing":     {bytesOf(0x80|opMore, "x"), 1002},
			"a close code that is reserved": {closing(1006, ""), 1002},
			"not UTF-8":                     {text("{\"a\":\"\xff\"}"), 1007},
			"binary":                        {bytesOf(0x80|opBin, "x"), 1003},
			"too long a frame":              {tooLong[:14], 1009},
			"HTTP":                          {[]byte("GET / HTTP/1.1\r\n\r\n"), 1002},
		} {
			c := w.open("alice")
			c.write(text(`{"type":"ping"}`), tt.sent)
			if f, err := c.next(); err != nil || f.Type != "pong" {
				t.Errorf("%s: what came before it: %+v %v", name, f, err)
			}
			c.ends(tt.code)
		}
		w.eventually("all have gone", func() bool { return w.gw.Sockets() == 0 })
	})
}

// A client that goes on sending after its error gets its close frame all the same.
func TestGarbageWithoutEnd(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		c := w.open("alice")
		c.write(bytesOf(0xff, "x"))
		for range 50 {
			c.write([]byte(strings.Repeat("garbage", 1000)))
		}
		c.ends(1002)
		w.eventually("it has gone", func() bool { return w.gw.Sockets() == 0 })
	})
}

func TestTheClientCloses(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		for code, frame := range map[int][]byte{1000: closing(1000, "bye"), 4321: closing(4321, ""), 1005: bytesOf(0x80|opClose, "")} {
			c := w.open("alice")
			c.write(post("m", "c1", "last words"), frame)
			for {
				_, err := c.next()
				if err == nil {
					continue
				}
				var over *closed
				if !errors.As(err, &over) || over.code != code {
					t.Errorf("answered %v to %d", err, code)
				}
				break
			}
			if _, err := io.Copy(io.Discard, c.br); err != nil { // by then the gateway has ended it: no answer of ours is waited for
				t.Error(err)
			}
			if err := c.nc.Close(); err != nil {
				t.Log(err)
			}
		}
		w.eventually("all have gone", func() bool { return w.gw.Sockets() == 0 })
		if by := w.gw.Counters().Closed(); by["client"] != 3 {
			t.Errorf("%v", by)
		}
	})
}

func TestClientsThatJustGo(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		half, reset, gone := w.open("alice"), w.open("alice"), w.open("alice")
		if err := half.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, half.br); err != nil {
			t.Errorf("the other half: %v", err)
		}
		raw := reset.nc
		if inner, ok := raw.(interface{ NetConn() net.Conn }); ok {
			raw = inner.NetConn()
		}
		if err := raw.(*net.TCPConn).SetLinger(0); err != nil {
			t.Error(err)
		}
		if err := raw.Close(); err != nil {
			t.Error(err)
		}
		gone.write(text(`{"type":"ping"}`)[:5])
		if err := gone.nc.Close(); err != nil {
			t.Error(err)
		}
		w.eventually("all have gone", func() bool { return w.gw.Sockets() == 0 })
		if by := w.gw.Counters().Closed(); by["client"] != 3 {
			t.Errorf("%v", by)
		}
	})
}

func TestControlFrames(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		c := w.open("alice")
		c.write(bytesOf(opText, `{"type":`), bytesOf(0x80|opPing, "between"), bytesOf(0x80|opPong, "unasked"), bytesOf(0x80|opMore, `"ping"}`))
		if f := c.read(); f.Type != "control pong" || f.Code != "between" {
			t.Errorf("%+v", f)
		}
		if f := c.read(); f.Type != "pong" {
			t.Errorf("%+v", f)
		}
	})
}

const beat = 200 * time.Millisecond

// A peer that answers nothing is noticed; one that is merely silent, and answers pings, is not; one that starts a
// frame and does not end it is, though it answers pings.
func TestSilence(t *testing.T) {
	on(t, options{gw: gateway.Config{Heartbeat: beat}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		dead, silent, dawdler := w.open("alice"), w.open("alice"), w.open("alice")
		dead.mute = true
		dawdler.write(bytesOf(0x81, `{"type":"ping"}`)[:8])
		ended := make(chan error, 3)
		until := time.Now().Add(10 * beat)
		for _, c := range []*client{dead, dawdler} {
			go func() {
				for {
					if _, err := c.next(); err != nil {
						ended <- err
						return
					}
				}
			}()
		}
		if err := silent.nc.SetReadDeadline(until); err != nil {
			t.Fatal(err)
		}
		if _, err := silent.next(); !isTimeout(err) || silent.pings < 3 {
			t.Errorf("the silent one: %v after %d pings", err, silent.pings)
		}
		for range 2 {
			var over *closed
			if err := <-ended; !errors.As(err, &over) || over.code != 4409 {
				t.Error(err)
			}
		}
		if dead.pings < 1 || dead.pings > 2 {
			t.Errorf("the dead one was pinged %d times", dead.pings)
		}
		if by := w.gw.Counters().Closed(); by["silent"] != 0 { // they have not answered our close frame
			t.Errorf("%v", by)
		}
	})
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// One that leaves a ping unanswered for an interval, and then speaks, keeps its socket.
func TestAPauseIsNoEnd(t *testing.T) {
	on(t, options{gw: gateway.Config{Heartbeat: beat}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		c := w.open("alice")
		c.mute = true
		for range 4 {
			for c.pings = 0; c.pings == 0; {
				op, _, err := c.raw()
				if err != nil {
					t.Fatal(err)
				}
				if op == opPing {
					c.pings++
				}
			}
			time.Sleep(beat / 2)
			c.write(text(`{"type":"ping"}`))
			c.until("pong")
		}
	})
}

// Whoever does not answer our close frame is not waited for without end.
func TestACloseThatIsNotAnswered(t *testing.T) {
	on(t, options{gw: gateway.Config{Heartbeat: beat}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		c := w.open("alice")
		c.write(bytesOf(0xff, "x"))
		w.eventually("it has gone", func() bool { return w.gw.Sockets() == 0 })
		if by := w.gw.Counters().Closed(); by["protocol_error"] != 1 {
			t.Errorf("%v", by)
		}
	})
}
