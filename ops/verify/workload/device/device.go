// Package device is one sign-in of somebody in a workload: its hand, the sockets that are open, and up to where they were told. What a hand is,
// hand.go says.
package device

import (
	"slices"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Device is one sign-in. Its owner guards it.
type Device struct {
	Name   string
	Hand   Hand
	Signed bool   // it is signed in
	Ended  bool   // it was
	Cursor string // up to which a conn that was closed had told

	conns  []*Conn
	coming int // conns that are being opened
}

// Conn is one that was open when it was last looked at.
type Conn struct {
	Name, At string
	Stalled  bool // it is not read from
}

// Conns are those that are open. Of those that have ended it keeps up to where the last of them had told.
func (d *Device) Conns() []*Conn {
	listener, hears := d.Hand.(Listener)
	if !hears {
		return d.conns
	}
	open := listener.Open()
	d.conns = slices.DeleteFunc(d.conns, func(c *Conn) bool {
		if slices.Contains(open, c.Name) {
			return false
		}
		d.Cursor = listener.Cursor(c.Name)
		return true
	})
	return d.conns
}

// Read are the conns that are open and read from.
func (d *Device) Read() (all []*Conn) {
	for _, c := range d.Conns() {
		if !c.Stalled {
			all = append(all, c)
		}
	}
	return all
}

// Has is how many conns are open, or are being opened.
func (d *Device) Has() int { return len(d.Conns()) + d.coming }

// Begin notes what an op is about to change.
func (d *Device) Begin(op record.Op) {
	switch op.F {
	case record.Connect:
		d.coming++
	case record.Stall:
		d.stall(op.Conn, true)
	}
}

func (d *Device) stall(conn string, is bool) {
	for _, c := range d.conns {
		if c.Name == conn {
			c.Stalled = is
		}
	}
}

// Learn takes what came of an op that began.
func (d *Device) Learn(op record.Op) {
	switch op.F {
	case record.Connect:
		d.coming--
		if op.Outcome == record.OK && op.Conn != "" {
			d.conns = append(d.conns, &Conn{Name: op.Conn, At: op.At})
		}
	case record.Close:
		if l, hears := d.Hand.(Listener); hears {
			d.Cursor = l.Cursor(op.Conn)
		}
		d.conns = slices.DeleteFunc(d.conns, func(c *Conn) bool { return c.Name == op.Conn })
	case record.Stall:
		d.stall(op.Conn, false)
	}
}

// Forget notes that it is not signed in. Conns that are open all the same stay known: they are closed in the end.
func (d *Device) Forget() { d.Ended, d.Signed = d.Ended || d.Signed, false }

// Told are the conns that are open, as far as a hand that is a Listener says, and up to which seq each was told.
func (d *Device) Told() map[string]int64 {
	told := map[string]int64{}
	if l, hears := d.Hand.(Listener); hears {
		for _, name := range l.Open() {
			told[name] = seqOf(l.Cursor(name))
		}
	}
	return told
}

// seqOf is the seq of a cursor, «<epoch>.<seq>»; 0 for what is none.
func seqOf(cursor string) int64 {
	_, text, _ := strings.Cut(cursor, ".")
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

// Shut ends all that the hand has begun, and waits for it.
func (d *Device) Shut() {
	if s, ends := d.Hand.(shutter); ends {
		s.Shut()
	}
}
