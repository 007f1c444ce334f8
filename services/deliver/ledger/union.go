package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/deliver/route"
	"github.com/canopychat/canopy/services/store"
)

// Facts are what is known of a message and one member of its channel.
type Facts struct {
	Message chat.Cursor
	Sender  chat.UserID
	Stored  time.Time
	Routed  bool // the router is past the message
	User    chat.User
	Gone    bool                // by now: the account is closed, or, of a direct message, they do not belong to the workspace
	State   *chat.Delivery      // nil: there is none
	Device  *store.DeviceCursor // that confirmed the message first; nil: none did
	Name    string              // of that device; empty: not known
	Read    store.ReadCursor    // of the channel; zero: nothing was read
	Next    time.Time           // when a job of theirs that waits is due; zero: none waits
	Owed    chat.Owed           // as the rules say now; empty: not owed
	WhyNot  string              // with Owed empty
	Muted   bool                // the channel, now
}

// concerned reports whether the message was for the member at all. Nobody keeps when somebody went. So of who is gone by now it was for
// those of whom something shows that they were still there when it came: they wrote it, it was brought on its way to them, or
// they had it.
func (f Facts) concerned() bool {
	return !f.Gone || f.User.ID == f.Sender || f.State != nil || f.Device != nil || f.read()
}

// read reports whether they have read the message.
func (f Facts) read() bool { return f.Read.Cursor.Seq != 0 && route.Covers(f.Read.Cursor, f.Message) }

// Tell is what became of the message for the member: the furthest of what their read cursor, the cursors of their devices and the
// state of the delivery say. It is pure.
func Tell(f Facts) rpc.Recipient {
	r := rpc.Recipient{UserID: f.User.ID, Login: f.User.Login, Status: chat.DeliveryPending}
	r.Story = append(r.Story, rpc.Step{At: f.Stored, What: "stored"})
	if f.State != nil {
		f.tellState(&r)
	} else {
		f.tellNone(&r)
	}
	if d := f.Device; d != nil {
		r.Status, r.At, r.DeviceID, r.Device = chat.DeliveryDelivered, d.At, string(d.DeviceID), cmp.Or(f.Name, string(d.DeviceID))
		r.Next, r.Reason = time.Time{}, ""
		r.Story = append(r.Story, rpc.Step{At: d.At, What: "delivered", Text: "at the latest then: confirmed by " + r.Device})
	}
	if f.read() {
		r.Status, r.At, r.Next, r.Reason = chat.DeliveryRead, f.Read.At, time.Time{}, ""
		r.Story = append(r.Story, rpc.Step{At: f.Read.At, What: "read", Text: "at the latest then"})
	}
	inOrder(r.Story)
	return r
}

// tellState tells what the state says.
func (f Facts) tellState(r *rpc.Recipient) {
	s := f.State
	r.Status, r.Why, r.At, r.Reason, r.Rounds, r.Attempts = s.Status, s.Why, s.At, s.Reason, s.Round, len(s.Attempts)
	owed := rpc.Step{At: s.RoutedAt, What: "routed", Text: "owed to them: " + string(s.Why)}
	if s.Round > 0 { // RoutedAt is of the round
		owed.At = time.Time{}
		r.Story = append(r.Story, owed, rpc.Step{At: s.RoutedAt, What: "redriven", Text: fmt.Sprintf("taken out of the dead letters, round %d", s.Round)})
	} else {
		r.Story = append(r.Story, owed)
	}
	for _, a := range s.Attempts {
		step := rpc.Step{At: a.At, What: "attempt", Text: a.Error}
		if a.Error == "" {
			step.Text = a.Target + " took it"
		} else {
			r.Error = a.Error
		}
		r.Story = append(r.Story, step)
	}
	switch s.Status {
	case chat.DeliveryPending:
		r.At, r.Reason = time.Time{}, ""
		if r.Next = f.Next; r.Next.IsZero() {
			r.Next = s.Next
		}
	case chat.DeliveryDelivered, chat.DeliveryRead:
		r.Reason = ""
		r.Story = append(r.Story, rpc.Step{At: s.At, What: "delivered", Text: "by " + s.Reason})
	default:
		r.Story = append(r.Story, rpc.Step{At: s.At, What: string(s.Status), Text: s.Reason})
	}
}

// tellNone tells why there is no state.
func (f Facts) tellNone(r *rpc.Recipient) {
	step := rpc.Step{What: "routed"}
	switch {
	case f.User.ID == f.Sender && f.Owed == "":
		r.Status, r.At = chat.DeliveryDelivered, f.Stored
		step.Text = f.WhyNot
	case !f.Routed:
		return // it is pending, and nothing is decided
	case f.Owed == "":
		step.Text = f.WhyNot
	case f.Muted:
		step.Text = "not owed: they mute the channel"
	case f.Device != nil || f.read():
		r.Why = f.Owed
		step.Text = "owed to them (" + string(f.Owed) + "), and they had it already"
	default:
		step.Text = "by what is known now it would be owed to them (" + string(f.Owed) + "), and there is no job: what they want or who follows the thread changed since, or there is a dead letter of the consumer deliver"
	}
	r.Story = append(r.Story, step)
}

// inOrder sorts steps by their times. One whose time is not known stays after the step before it.
func inOrder(story []rpc.Step) {
	times := make(map[int]time.Time, len(story))
	order := make([]int, len(story))
	var last time.Time
	for i, s := range story {
		order[i] = i
		if !s.At.IsZero() {
			last = s.At
		}
		times[i] = last
	}
	slices.SortStableFunc(order, func(a, b int) int { return times[a].Compare(times[b]) })
	sorted := make([]rpc.Step, len(story))
	for at, i := range order {
		sorted[at] = story[i]
	}
	copy(story, sorted)
}
