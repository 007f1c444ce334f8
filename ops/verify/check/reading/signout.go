package reading

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// closing is how long after its answer a sign-out may still not have closed a socket.
const closing = time.Second

// line is what one conn was told, and when it began and ended.
type line struct {
	conn   string
	device string
	who    string
	asked  *record.Op     // the connect
	told   []*record.Told // by time
	closed time.Duration  // by its client; 0: not
	stalls []*record.Op
}

// lines of all conns, by device and by person.
type sockets struct {
	all      []*line
	byName   map[string]*line
	byDevice map[string][]*line
	byPerson map[string][]*line
}

func (c *reader) sockets() *sockets {
	s := &sockets{byName: map[string]*line{}, byDevice: map[string][]*line{}, byPerson: map[string][]*line{}}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		switch {
		case op.Conn == "":
		case op.F == record.Connect:
			if s.byName[op.Conn] == nil {
				one := &line{conn: op.Conn, device: op.Device, who: op.Who, asked: op}
				s.byName[op.Conn] = one
				s.all = append(s.all, one)
				s.byDevice[op.Device] = append(s.byDevice[op.Device], one)
				s.byPerson[op.Who] = append(s.byPerson[op.Who], one)
			}
		}
	}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		one := s.byName[op.Conn]
		switch {
		case one == nil:
		case op.F == record.Close && op.Outcome != record.Refused:
			one.closed = op.Start
		case op.F == record.Stall:
			one.stalls = append(one.stalls, op)
		}
	}
	for i := range c.r.Told {
		t := &c.r.Told[i]
		if one := s.byName[t.Conn]; one != nil {
			one.told = append(one.told, t)
		}
	}
	return s
}

// after is the first of a conn's lines that came after a time.
func (l *line) after(t time.Duration) int {
	return sort.Search(len(l.told), func(i int) bool { return l.told[i].Time > t })
}

// open reports whether a socket of the conn was open at a time.
func (l *line) open(t time.Duration) bool {
	if l.closed != 0 && l.closed <= t {
		return false
	}
	for _, told := range slices.Backward(l.told[:l.after(t)]) {
		switch told.T {
		case record.Offline:
			return false
		case record.Hello:
			return true
		}
	}
	return false
}

// speaks reports whether a line came from a server: a socket's end, and what a client finds missing, do not.
func speaks(t *record.Told) bool {
	return t.T != record.Offline && t.T != record.Gap && t.T != record.Trouble && !t.Filled
}

// signedOut is 15: logout, revocation and ban close sockets within a second, and nothing goes on after that.
func (c *reader) signedOut() verdict.Verdict {
	v := verdict.Verdict{Invariant: 15, Title: "signing out closes sockets", CaseNoun: "sign-outs met by a socket or a later op"}
	s := c.sockets()
	byDevice, byPerson := c.opsOf()
	var slowest time.Duration
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.Outcome != record.OK {
			continue
		}
		var conns []*line
		var later []*record.Op
		switch op.F {
		case record.Logout:
			conns, later = s.byDevice[op.Device], byDevice[op.Device]
		case record.Revoke:
			conns, later = s.byDevice[op.Target], byDevice[op.Target]
		case record.Ban:
			conns, later = s.byPerson[op.Target], byPerson[op.Target]
		default:
			continue
		}
		until := c.again(op, later)
		for _, one := range conns {
			if took, open := c.closes(&v, op, one, until); open {
				v.Cases++
				slowest = max(slowest, took)
			}
		}
		v.Cases += c.refuses(&v, op, later, until)
	}
	if slowest > 0 {
		v.Notes = fmt.Sprintf("the slowest took %s", slowest.Round(time.Millisecond))
	}
	return v
}

func (c *reader) opsOf() (byDevice, byPerson map[string][]*record.Op) {
	byDevice, byPerson = make(map[string][]*record.Op), make(map[string][]*record.Op)
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		byDevice[op.Device] = append(byDevice[op.Device], op)
		byPerson[op.Who] = append(byPerson[op.Who], op)
	}
	return byDevice, byPerson
}

// again is when the same device was signed in again. After a ban nobody is.
func (c *reader) again(out *record.Op, later []*record.Op) time.Duration {
	until := time.Duration(1<<63 - 1)
	for _, op := range later {
		if op.F == record.Login && op.Outcome != record.Refused && op.Start >= out.End && out.F != record.Ban {
			until = min(until, op.Start)
		}
	}
	return until
}

// closes looks at one conn after a sign-out. open is false when it had no socket then, or the record ends too early to tell.
func (c *reader) closes(v *verdict.Verdict, out *record.Op, one *line, until time.Duration) (took time.Duration, open bool) {
	due := c.due(out, one)
	if c.r.End != nil && c.r.End.Time < due || c.r.End == nil || until <= due {
		return 0, false
	}
	from := one.after(out.End)
	for _, t := range one.told[from:] {
		if t.Time >= until {
			break
		}
		if t.Time > due && speaks(t) && (one.closed == 0 || t.Time < one.closed) {
			rule := "a socket of a sign-in that ended is told nothing more"
			if t.T == record.Hello {
				rule = "a sign-in that ended gets no socket"
			}
			v.Break(verdict.Violation{
				Rule: rule, Who: one.conn, What: fmt.Sprintf("%s after the answer", (t.Time - out.End).Round(time.Millisecond)),
				History: append(lines(one.asked, out), record.Line{Told: t}),
			})
			return 0, true
		}
	}
	if !one.open(out.End) {
		return 0, false
	}
	if one.open(due) {
		v.Break(verdict.Violation{
			Rule: "logout, ban and revocation close sockets within a second", Who: one.conn,
			What: fmt.Sprintf("it is open %s after the answer", (due - out.End).Round(time.Millisecond)), History: lines(one.asked, out),
		})
		return 0, true
	}
	if from < len(one.told) {
		took = one.told[from].Time - out.End
	}
	return took, true
}

// due is when a socket must be closed. A client that does not read hears of nothing before it reads again.
func (c *reader) due(out *record.Op, one *line) time.Duration {
	due := c.g.Until(out.End, closing)
	for _, s := range one.stalls {
		if s.Start <= due && s.End >= out.Start {
			due = max(due, c.g.Until(s.End, closing))
		}
	}
	return due
}

// refuses looks at what a device did after it was signed out.
func (c *reader) refuses(v *verdict.Verdict, out *record.Op, later []*record.Op, until time.Duration) (cases int) {
	due := c.g.Until(out.End, closing)
	for _, op := range later {
		if op.Start <= due || op.Start >= until || !asks(op, out) {
			continue
		}
		cases++
		if op.Outcome == record.OK {
			v.Break(verdict.Violation{
				Rule: "a sign-in that ended is refused", Who: op.Device, What: fmt.Sprintf("%s is let through", op.F), History: lines(out, op),
			})
		}
	}
	return cases
}

// asks reports whether an op asks the server for something that only who is signed in may have.
func asks(op, out *record.Op) bool {
	switch op.F {
	case record.Login, record.Logout, record.Close, record.Stall, record.Notify, record.Typing, record.Probe:
		return false
	case record.Status: // over a socket that may have ended nothing answers
		return false
	}
	return out.F != record.Ban || op.Channel != "" || op.Workspace != "" || op.F == record.Connect
}
