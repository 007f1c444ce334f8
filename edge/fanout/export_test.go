package fanout

import "github.com/canopychat/canopy/schemas/chat"

// The pure parts, for their tests.

type Ring struct{ ring }

func NewRing(maxEntries, maxBytes int, at chat.Seq) *Ring {
	r := &Ring{ring{maxEntries: maxEntries, maxBytes: maxBytes}}
	r.reset(at)
	return r
}

func (r *Ring) Append(e *Entry)                          { r.append(e) }
func (r *Ring) Skip(seq chat.Seq)                        { r.skip(seq) }
func (r *Ring) After(pos chat.Seq, limit int) []*Entry   { return r.after(pos, limit) }
func (r *Ring) Find(seq chat.Seq) *Entry                 { return r.find(seq) }
func (r *Ring) Replace(e *Entry)                         { r.replace(e) }
func (r *Ring) Reset(at chat.Seq)                        { r.reset(at) }
func (r *Ring) Bounds() (floor, head chat.Seq, size int) { return r.floor, r.head, r.bytes }
func (r *Ring) Slots() int                               { return cap(r.entries) }

type Tracker struct{ tracker }

func NewTracker(start chat.Seq) *Tracker { return &Tracker{newTracker(start)} }

const (
	Take = take
	Old  = old
	Gap  = gap
	Hole = hole
)

func (t *Tracker) Judge(ch chat.ChannelID, seq, prev chat.Seq) verdict { return t.judge(ch, seq, prev) }
func (t *Tracker) Note(ch chat.ChannelID, seq, before chat.Seq, shown bool) chat.Seq {
	return t.note(ch, seq, before, shown)
}
func (t *Tracker) Prove(seq chat.Seq) { t.prove(seq) }
func (t *Tracker) Differs(seqs []chat.Seq, through chat.Seq) (chat.Seq, bool) {
	return t.differs(seqs, through, func(chat.Seq) bool { return false })
}
func (t *Tracker) State() (head, proved chat.Seq, unproved int) {
	return t.head, t.proved, len(t.since)
}

// Unproved is how many messages the feed took since the last proof.
func (f *Feed) Unproved() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tracker.since)
}

const MaxUnproved = maxUnproved
