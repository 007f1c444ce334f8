package messages

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// The rules about views, in words of INVARIANTS.
const (
	ruleHistory = "every stored message is in every history" // 1
	ruleReplay  = "every stored message is in every replay"  // 1
	ruleAgree   = "every view has what the log has"          // 8
	ruleMore    = "no view has what the log has not"         // 8
	ruleKept    = "views show what their reader may see"     // 14
)

// views holds what views have against the log, and so against each other.
func (c *check) views() {
	replays := map[[2]string]map[string][]ledger.Due{}
	states := map[string]map[string][]ledger.Due{}
	all, same := c.viewsOf(), 0
	for _, v := range all {
		if !c.l.Told(v.space) {
			continue
		}
		var must map[string][]ledger.Due
		if v.replay {
			key := [2]string{v.space, c.l.UserID(v.who)}
			if replays[key] == nil {
				replays[key] = c.l.Replayed(v.space, key[1])
			}
			must = replays[key]
		} else {
			if states[v.space] == nil {
				states[v.space] = c.l.Stated(v.space)
			}
			must = states[v.space]
		}
		same += c.view(v, must)
	}
	c.note(8, "views: %d, channels in them that agree: %d", len(all), same)
}

// view holds one against what it must have, and answers how many of its channels agree.
func (c *check) view(v *view, must map[string][]ledger.Due) (same int) {
	channels := slices.Clone(c.l.Channels(v.space))
	for channel := range v.rows {
		if !slices.Contains(channels, channel) {
			channels = append(channels, channel)
		}
	}
	slices.Sort(channels[len(c.l.Channels(v.space)):])
	user, end := c.l.UserID(v.who), c.l.Last(v.space)+1
	for _, channel := range channels {
		rows := c.listed(v, v.rows[channel])
		member := true
		if v.who != "" {
			member, _ = c.l.Member(v.space, user, channel, end)
			c.maySee(v, rows)
		}
		// Who is not in a public channel may not have looked at it.
		if !c.quiet() || len(rows) == 0 && !v.replay && !member || len(rows)+len(must[channel]) == 0 {
			continue
		}
		c.of(8).Cases++
		if c.agrees(v, channel, rows, must[channel]) {
			same++
		}
	}
	return same
}

// maySee holds that the rows of a channel are for the view's reader: history for who may see the channel when it was read, a replay for
// who was a member at each seq.
func (c *check) maySee(v *view, rows []*record.Kept) {
	user, end := c.l.UserID(v.who), c.l.Last(v.space)+1
	for _, k := range rows {
		may, known := c.l.Reads(v.space, user, k.Channel, end)
		if v.replay {
			e, there := c.l.At(v.space, k.Seq)
			may, known = c.l.Visible(v.space, user, e)
			known = known && there
		}
		if known && !may {
			c.broken(14, verdict.Violation{Rule: ruleKept, Who: v.name, What: "in " + k.Channel, Seqs: []int64{k.Seq}, History: verdict.Lines(append(c.tenure(v.space, user, k.Channel, end), k)...)})
		}
	}
}

// agrees compares a channel by its hash, and when that differs looks for where.
func (c *check) agrees(v *view, channel string, rows []*record.Kept, must []ledger.Due) bool {
	is, want := fnv.New64a(), fnv.New64a()
	has := map[int64]record.Message{}
	for _, k := range rows {
		has[k.Seq] = k.Message
	}
	for _, d := range must {
		m, there := has[d.Seq]
		if d.Optional && !there {
			continue
		}
		if d.Nameless {
			d.Sender, d.ID, d.Thread = m.Sender, m.ID, m.Thread
		}
		_, _ = want.Write(ledger.Canonical(d.Message)) // a hash takes everything
	}
	for _, k := range rows {
		_, _ = is.Write(ledger.Canonical(k.Message)) // as above
	}
	if is.Sum64() == want.Sum64() {
		return true
	}
	c.differing(v, channel, rows, must)
	return false
}

// differing walks a view's channel along the log.
func (c *check) differing(v *view, channel string, rows []*record.Kept, must []ledger.Due) {
	breaks := func(invariant int, rule, what string, seq int64, history ...any) {
		c.broken(invariant, verdict.Violation{Rule: rule, Who: v.name, What: "in " + channel + ": " + what, Seqs: []int64{seq}, History: verdict.Lines(history...)})
	}
	i := 0
	for _, d := range must {
		for ; i < len(rows) && rows[i].Seq < d.Seq; i++ {
			breaks(8, ruleMore, fmt.Sprintf("%q", rows[i].Body), rows[i].Seq, rows[i])
		}
		e, _ := c.l.At(v.space, d.Seq)
		if i == len(rows) || rows[i].Seq > d.Seq {
			if !d.Optional {
				rule := ruleHistory
				if v.replay {
					rule = ruleReplay
				}
				breaks(1, rule, fmt.Sprintf("%q is missing", d.Body), d.Seq, e)
				breaks(8, ruleAgree, fmt.Sprintf("%q is missing", d.Body), d.Seq, e)
			}
			continue
		}
		is := rows[i].Message
		if d.Nameless {
			d.Sender, d.ID, d.Thread = is.Sender, is.ID, is.Thread
		}
		if !slices.Equal(ledger.Canonical(is), ledger.Canonical(d.Message)) {
			breaks(8, ruleAgree, fmt.Sprintf("%s; the log makes it %s", messageText(is), messageText(d.Message)), d.Seq, e, rows[i])
			if is.Sender != d.Sender || is.ID != d.ID || is.Thread != d.Thread {
				breaks(4, ruleContent, fmt.Sprintf("%s; the log has %s", messageText(is), messageText(d.Message)), d.Seq, e, rows[i])
			}
		}
		i++
	}
	for ; i < len(rows); i++ {
		breaks(8, ruleMore, fmt.Sprintf("%q", rows[i].Body), rows[i].Seq, rows[i])
	}
}

func messageText(m record.Message) string {
	return fmt.Sprintf("%q of %s under %s, thread %d, edited %t, deleted %t, reactions %v", m.Body, m.Sender, m.ID, m.Thread, m.Edited, m.Deleted, m.Reactions)
}
