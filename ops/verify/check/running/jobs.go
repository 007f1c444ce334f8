package running

import (
	"fmt"
	"strings"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
)

// job is one person's notice of one message.
type job struct {
	space   string
	message int64
	who     string
}

// rank orders states: nothing moves to a lower one. What was given up can still be delivered, for people come back.
func rank(state string) int {
	switch chat.DeliveryStatus(state) {
	case chat.DeliveryPending:
		return 1
	case chat.DeliveryExpired, chat.DeliveryDead:
		return 2
	case chat.DeliveryDelivered:
		return 3
	case chat.DeliveryRead:
		return 4
	}
	return 0
}

// jobs is 17: every job of delivery ends, nothing moves backwards, and nobody is told who is owed nothing, or twice.
func (c *runner) jobs() verdict.Verdict {
	v := verdict.Verdict{Invariant: 17, Title: "every job of delivery ends", CaseNoun: "jobs and notices"}
	now := make(map[job]*record.Job)
	ends := make(map[string]int)
	looked := make(map[job]bool) // messages that were looked at, without who
	for i := range c.r.Jobs {
		j := &c.r.Jobs[i]
		k := job{j.Space, j.Message, j.Who}
		looked[job{j.Space, j.Message, ""}] = true
		was := now[k]
		if was == nil {
			v.Cases++
		} else if rank(j.State) < rank(was.State) {
			c.badJob(&v, "a job never moves backwards", fmt.Sprintf("%s after %s", j.State, was.State), was, j)
		}
		if was == nil || rank(j.State) >= rank(was.State) {
			now[k] = j
		}
		if !j.Last {
			continue
		}
		if j.Waits {
			ends["to be tried again"]++
			continue
		}
		ends[j.State]++
		switch {
		case rank(j.State) < 2:
			c.badJob(&v, "every job ends", "when all was quiet it was "+j.State, j)
		case chat.DeliveryStatus(j.State) == chat.DeliveryDead && j.Reason == "":
			c.badJob(&v, "a dead job says why", "it has no reason", j)
		}
	}
	v.Cases += c.notices(&v, now, looked)
	var notes []string
	for _, state := range sortedKeys(ends) {
		notes = append(notes, fmt.Sprintf("%d %s", ends[state], state))
	}
	v.Notes = strings.Join(notes, ", ")
	return v
}

func (c *runner) badJob(v *verdict.Verdict, rule, what string, jobs ...*record.Job) {
	last := jobs[len(jobs)-1]
	b := verdict.Violation{Rule: rule, Who: last.Who, What: what, Seqs: []int64{last.Message}}
	for _, j := range jobs {
		b.History = append(b.History, record.Line{Job: j})
	}
	v.Break(b)
}

// notices looks at what a webhook was told.
func (c *runner) notices(v *verdict.Verdict, jobs map[job]*record.Job, looked map[job]bool) (cases int) {
	told := make(map[job]*record.Op)
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Notify {
			continue
		}
		cases++
		k := job{c.spaceOf(op), op.Message, op.Who}
		if was := told[k]; was == nil {
			told[k] = op
		} else if was.ID != op.ID {
			v.Break(verdict.Violation{
				Rule: "who is told twice is told under one id", Who: op.Who, What: fmt.Sprintf("%q, and then %q", was.ID, op.ID), Seqs: []int64{op.Message},
				History: []record.Line{{Op: was}, {Op: op}},
			})
		}
		if jobs[k] == nil && (looked[job{k.space, k.message, ""}] || c.owesNobody(k)) {
			v.Break(verdict.Violation{
				Rule: "only who is owed a message is told of it", Who: op.Who, What: "there is no job for them", Seqs: []int64{op.Message}, History: opLine(op),
			})
		}
	}
	return cases
}

// owesNobody reports whether a message is of a kind that wakes nobody: in a channel, naming nobody, answering nothing.
func (c *runner) owesNobody(k job) bool {
	m, known := c.l.Message(k.space, k.message)
	if !known || m.Erased || m.Thread != 0 || strings.Contains(m.Body, "@") {
		return false
	}
	for _, e := range m.Edits {
		if strings.Contains(e.Body, "@") {
			return false
		}
	}
	t := chat.ChannelType(c.l.Type(k.space, m.Channel))
	return t != "" && !t.Direct()
}
