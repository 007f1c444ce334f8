package plants

// running are the plants in staying up.
var running = []Plant{
	{
		Name: "job-dropped", Invariants: []int{17},
		Story: "one message in three that somebody should be woken for never wakes them, and says for ever that it will",
		Finds: "messages that name people who are not there, or are in a dm with them, and who do not come back",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/deliver/work.go",
				Old: `	if err := w.router.cfg.Jobs.Put(ctx, jobs...); err != nil {
		return fmt.Errorf("store %d jobs: %w", len(jobs), err)
	}`,
				New: `	if w.entry.Seq%3 != 0 {
		if err := w.router.cfg.Jobs.Put(ctx, jobs...); err != nil {
			return fmt.Errorf("store %d jobs: %w", len(jobs), err)
		}
	}`,
			},
		},
	},
	{
		Name: "end-not-written", Invariants: []int{17},
		Story: "a notice that was delivered says for ever that it is on its way",
		Finds: "messages that name people who are not there and have a webhook, and who do not come back",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/deliver/worker.go",
				Old: `		case due.End:
			states = append(states, d.State)
`,
				New: `		case due.End:
`,
			},
		},
	},
	{
		Name: "consumer-gives-up", Invariants: []int{18},
		Story: "after a fault that passed, the history and the notices stand still until somebody restarts them",
		Finds: "a node of the hub killed, or the link to it cut",
		Flags: inFaults + " --files --only hub/kill",
		Edits: []Edit{
			{
				File: "streams/consume/consumer.go",
				Old:  "if bus.Pause(ctx, bus.Backoff(resumeFirst, resumeCap, failures)) != nil {",
				New:  "if bus.Pause(ctx, bus.Backoff(resumeFirst, resumeCap, failures)) != nil || served {",
			},
		},
	},
	{
		Name: "silent-after-a-reset", Invariants: []int{18},
		Story: "after a gateway's link was broken its people stay connected, and hear nothing any more",
		Finds: "the link between a leaf and the hub cut and mended, or a node of the hub killed",
		Flags: inFaults + " --files --only leaf-hub/cut",
		Edits: []Edit{
			{
				File: "edge/fanout/feed.go",
				Old: `		f.poke() // it may be resting
`,
				New: "",
			},
			{
				File: "edge/fanout/feed.go",
				Old: `		f.state = repairing
	}
	f.poke()
}`,
				New: `		f.state = repairing
	}
}`,
			},
		},
	},
	{
		Name: "send-asks-the-history", Invariants: []int{19},
		Story: "while the history's database is down, a send takes five seconds",
		Finds: "the history's database cut off, paused or killed",
		Flags: inFaults + " --only cassandra/pause",
		Edits: []Edit{
			{
				File: "services/ingest/ingest.go",
				Old: `	if c.Thread != 0 {
		if err := g.checkRoot`,
				New: `	asking, cancel := context.WithTimeout(ctx, g.budget)
	defer cancel()
	for {
		_, err := g.history.Send(asking, rpc.SendRequest{WorkspaceID: c.Workspace, Shard: c.Shard, SenderID: c.UserID, ClientMsgID: c.ClientMsgID})
		if !fault.Is(err, fault.Unavailable) || bus.Pause(asking, 100*time.Millisecond) != nil {
			break
		}
	}
	if c.Thread != 0 {
		if err := g.checkRoot`,
			},
		},
	},
	{
		Name: "goroutine-a-frame", Invariants: []int{20},
		Story: "a gateway keeps something of each frame that ever came, until it has no memory left",
		Finds: "traffic alone, over sockets; the more of it, the sooner",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/gateway/receive.go",
				Old: `import (
`,
				New: `import (
	"context"
`,
			},
			{
				File: "edge/gateway/receive.go",
				Old: `	in, err := wire.Parse(payload)
`,
				New: `	l.gw.begin(func(ctx context.Context) { <-ctx.Done() }) // as long as it may take
	in, err := wire.Parse(payload)
`,
			},
		},
	},
	{
		Name: "overload-collapses", Invariants: []int{21},
		Story: "the more is sent, the less is stored: each send of a socket takes longer when there are more of them",
		Finds: "more sends than a gateway can store",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/gateway/send.go",
				Old: `		for i := range next {
			receipt, err`,
				New: `		for i := range next {
			struggle(crowd)
			receipt, err`,
			},
			{
				File: "edge/gateway/send.go",
				Old: `	g.counts.SendsTaken.Add(uint64(len(next)))
`,
				New: `	g.counts.SendsTaken.Add(uint64(len(next)))
	crowd := len(next) + c.sends.Len()
`,
			},
			{
				File: "edge/gateway/receive.go",
				Old:  `func (l *loop) refuse(`,
				New: `func struggle(crowd int) {
	if crowd > 8 {
		time.Sleep(200 * time.Millisecond)
	}
}

func (l *loop) refuse(`,
			},
		},
	},
	{
		Name: "refusal-without-when", Invariants: []int{21},
		Story: "who sends too much is refused, and not told when to try again",
		Finds: "more sends or requests than their rate allows",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "ops/gate/gate.go",
				Old:  `"too much at once").After(retryAfter)`,
				New:  `"too much at once")`,
			},
			{
				File: "edge/gateway/receive.go",
				Old:  `"you send too much at once").After(l.pause.Round(time.Millisecond)+time.Millisecond))`,
				New:  `"you send too much at once"))`,
			},
		},
	},
	{
		Name: "typing-in-the-log", Invariants: []int{22},
		Story: "everything that somebody begins to write is kept for ever, and told as something that happened",
		Finds: "traffic with typing alone",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/gateway/ephemeral.go",
				Old: `			p.Typing(c.someone(), in.ChannelID)
`,
				New: `			p.Typing(c.someone(), in.ChannelID)
			place := c.room.feed.Place()
			typed := event.Change{
				Kind: "typing.started", Workspace: place.WorkspaceID, Shard: place.Shard, Epoch: place.Epoch,
				ChannelID: in.ChannelID, UserID: c.sess.UserID, Standing: standing,
			}
			l.gw.begin(func(ctx context.Context) {
				if _, err := l.gw.courier.Submit(ctx, place, typed); err != nil {
					l.log.Debug("typing is not kept", "err", err)
				}
			})
`,
			},
			{
				File: "services/ingest/check.go",
				Old: `	case event.MessageDeleted, event.PinAdded, event.PinRemoved:
		return checkTarget(c)
`,
				New: `	case event.MessageDeleted, event.PinAdded, event.PinRemoved:
		return checkTarget(c)
	case "typing.started":
		return nil
`,
			},
			{
				File: "services/ingest/ingest.go",
				Old: `	o, err := g.checkOriginal(ctx, c)
	if err != nil {
		return event.Receipt{}, err
	}
`,
				New: `	o, err := g.checkOriginal(ctx, c)
	if err != nil && c.Kind != "typing.started" {
		return event.Receipt{}, err
	}
`,
			},
		},
	},
}
