package socket

// proof shows from the frames of one socket that nothing is missing among them. It is pure.
//
// What the documents say: after hello come the events after the cursor (resumed) or after head, strictly rising in seq, and prev of each
// is the seq of the event before it in the same channel. So prev must be the last that was told of the channel, or lie at or before the
// place where the telling of that channel began. It began where the socket did, or at a resync, or with one's own joining, whose own prev
// is of a time that is not shown.
//
// What they leave open: prev may lie below what was told last, when the log's window has moved or a deleted text was taken out of it.
// That hides nothing. And a channel that one is not in shows some of its events (that it is there, that its name is another): their prev
// names what is not shown. Until something comes that only members are told, such a hole is a doubt; with it, it was a gap.
type proof struct {
	me    string
	start int64
	last  map[string]int64 // of a channel: the seq up to which all of it was told
	out   map[string]bool  // channels that one has left
	doubt map[string]int64 // of a channel: up to where something may be missing
}

func newProof(me string) *proof {
	return &proof{me: me, last: make(map[string]int64), out: make(map[string]bool), doubt: make(map[string]int64)}
}

// from says that what comes now follows seq: after hello, and after a resync.
func (p *proof) from(seq int64) {
	p.start = seq
	clear(p.last)
	clear(p.doubt)
	clear(p.out)
}

// take notes a stored event, and answers up to which seq of its channel something is missing; 0: nothing is.
func (p *proof) take(f *frame) int64 {
	ch, mine := f.Channel, f.User == p.me
	base := max(p.start, p.last[ch])
	p.last[ch] = max(base, f.Seq)
	if ch == "" {
		return hole(f.prev(), base)
	}
	switch {
	case f.Kind == "member.joined" && mine:
		delete(p.out, ch)
		delete(p.doubt, ch)
		return 0
	case p.out[ch]: // a channel that one has left shows what it shows to all
		return 0
	case f.Kind == "member.left" && mine:
		p.out[ch] = true
	case seenByAll(f.Kind):
		p.doubt[ch] = max(p.doubt[ch], hole(f.prev(), base))
		return 0
	}
	missing := max(p.doubt[ch], hole(f.prev(), base))
	delete(p.doubt, ch)
	return missing
}

// hole is prev when it lies above base, else 0.
func hole(prev, base int64) int64 {
	if prev > base {
		return prev
	}
	return 0
}

// seenByAll reports whether those who are not in a public channel are told of such an event too.
func seenByAll(kind string) bool {
	return kind == "channel.created" || kind == "channel.updated" || kind == "channel.archived"
}
