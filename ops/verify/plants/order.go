package plants

// order are the plants in what comes after what.
var order = []Plant{
	{
		Name: "two-messages-swapped", Invariants: []int{4, 5},
		Story: "now and then two messages come in the wrong order",
		Finds: "traffic alone, on open sockets",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/fanout/ring.go",
				Old: `	floor   chat.Seq
`,
				New: `	floor   chat.Seq
	late    *Entry
`,
			},
			{
				File: "edge/fanout/ring.go",
				Old: `	r.entries, r.dead, r.bytes, r.floor, r.head = nil, 0, 0, at, at
`,
				New: `	r.entries, r.dead, r.bytes, r.floor, r.head, r.late = nil, 0, 0, at, at, nil
`,
			},
			{
				File: "edge/fanout/ring.go",
				Old: `	r.entries = append(r.entries, e)
	r.bytes += len(e.Frame)
	r.head = e.Seq
`,
				New: `	if r.late == nil && e.Seq%25 == 0 {
		r.late = e
		return
	}
	r.entries = append(r.entries, e)
	r.bytes += len(e.Frame)
	r.head = e.Seq
	if r.late != nil {
		r.entries = append(r.entries, r.late)
		r.bytes += len(r.late.Frame)
		r.late = nil
	}
`,
			},
		},
	},
	{
		Name: "frame-dropped", Invariants: []int{5},
		Story: "now and then nobody who is there gets a message, and what follows comes as if nothing were missing",
		Finds: "traffic alone, on open sockets",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/gateway/room.go",
				Old: `	for _, e := range run {
		s.frames = append(s.frames, e.Frame)
	}
`,
				New: `	for _, e := range run {
		if e.Seq%25 != 0 {
			s.frames = append(s.frames, e.Frame)
		}
	}
	if len(s.frames) == 0 {
		return
	}
`,
			},
		},
	},
	{
		Name: "gap-not-repaired", Invariants: []int{5},
		Story: "what was lost while a gateway's link was broken is passed over: the conversation goes on without it",
		Finds: "the link between a leaf and the hub, or between a gateway and its leaf, cut and mended while people talk",
		Flags: inFaults + " --files --only leaf-hub/cut",
		Edits: []Edit{
			{
				File: "edge/fanout/tracker.go",
				Old: `	if prev > newest {
		return gap
	}`,
				New: `	if _, known := t.last[ch]; prev > newest && !known {
		return gap
	}`,
			},
			{
				File: "edge/fanout/feeds.go",
				Old: `	for _, f := range feeds {
		f.suspectWithin(spreadOf(len(feeds)))
	}
`,
				New: "",
			},
			{
				File: "edge/fanout/feeds.go",
				Old:  "Broken: func(bus.SignalReason) { feed.Suspect() },",
				New:  "Broken: func(bus.SignalReason) {},",
			},
		},
	},
	{
		Name: "newest-goes-first", Invariants: []int{7},
		Story: "what somebody says within two seconds is gathered, and the newest of it is sent first",
		Finds: "three and more sends over one socket within two seconds, without waiting for answers",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/session/lane.go",
				Old: `package session
`,
				New: `package session

import "slices"
`,
			},
			{
				File: "edge/session/lane.go",
				Old: `	taken := l.waiting[:n:n]
`,
				New: `	taken := l.waiting[:n:n]
	slices.Reverse(taken)
`,
			},
			{
				File: "edge/gateway/send.go",
				Old: `	"context"
`,
				New: `	"context"
	"time"
`,
			},
			{
				File: "edge/gateway/send.go",
				Old: `		for i := range next {
			receipt, err`,
				New: `		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
		for i := range next {
			receipt, err`,
			},
		},
	},
	{
		Name: "resume-one-too-far", Invariants: []int{11, 5},
		Story: "who comes back misses the first message of those that came meanwhile",
		Finds: "somebody who comes back with a cursor after others went on talking: a socket cut or closed, a gateway killed",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/door/open.go",
				Old: `	if cursor.Seq >= reach.Floor && cursor.Seq <= reach.Head {
		return cursor.Seq, "", nil
	}`,
				New: `	if cursor.Seq >= reach.Floor && cursor.Seq <= reach.Head {
		return min(cursor.Seq+1, reach.Head), "", nil
	}`,
			},
		},
	},
	{
		Name: "resume-one-too-early", Invariants: []int{11, 4},
		Story: "who comes back is told once more of the last thing that they have seen",
		Finds: "somebody who comes back with a cursor: a socket cut or closed, a gateway killed",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/door/open.go",
				Old: `	if cursor.Seq >= reach.Floor && cursor.Seq <= reach.Head {
		return cursor.Seq, "", nil
	}`,
				New: `	if cursor.Seq >= reach.Floor && cursor.Seq <= reach.Head {
		return max(cursor.Seq, 1) - 1, "", nil
	}`,
			},
		},
	},
}
