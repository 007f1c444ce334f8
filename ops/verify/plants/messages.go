package plants

// messages are the plants in what becomes of a message: stored, refused, changed, deleted.
var messages = []Plant{
	{
		Name: "persister-skips-a-row", Invariants: []int{1, 8},
		Story: "one message in twenty is acknowledged to its sender and never written to the history",
		Finds: "traffic alone; once the history's progress is past it, no page has it",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/persist/persist.go",
				Old: `		outcomes[i] = bus.Done()
		events, places`,
				New: `		outcomes[i] = bus.Done()
		if e.Seq%20 == 0 {
			continue
		}
		events, places`,
			},
		},
	},
	{
		Name: "outage-loses-a-batch", Invariants: []int{1, 8},
		Story: "what the database does not take during an outage counts as written",
		Finds: "the history's database cut off for some seconds",
		Flags: inFaults + " --only persist-cassandra/cut",
		Edits: []Edit{
			{
				File: "services/persist/persist.go",
				Old: `	if outage(ctx, err) {
		return hold(fmt.Errorf("apply %d events: %w", len(a.events), err))
	}`,
				New: `	if outage(ctx, err) {
		p.log.Warn("events are not stored", "shard", a.shard, "events", len(a.events), "err", err)
		return nil
	}`,
			},
		},
	},
	{
		Name: "text-of-the-one-before", Invariants: []int{2},
		Story: "now and then a message comes with the text and the sender of the one before it, also of another channel",
		Finds: "traffic alone, on open sockets",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/fanout/feed.go",
				Old: `	stamps     map[chat.Seq][]chan time.Time
`,
				New: `	stamps     map[chat.Seq][]chan time.Time
	lastPost   []byte // its payload
`,
			},
			{
				File: "edge/fanout/feed.go",
				Old:  "\tentry := newEntry(e, wire.Place{Epoch: e.Epoch, ChannelID: m.ch, Seq: m.seq, Prev: prev, At: m.at}, m.payload)",
				New: `	payload := m.payload
	if e.Kind == event.MessagePosted && e.Known() {
		if m.seq%20 == 0 && f.lastPost != nil {
			payload = f.lastPost
		}
		f.lastPost = m.payload
	}
	entry := newEntry(e, wire.Place{Epoch: e.Epoch, ChannelID: m.ch, Seq: m.seq, Prev: prev, At: m.at}, payload)`,
			},
		},
	},
	{
		Name: "refused-and-published", Invariants: []int{3},
		Story: "who is not in a channel is told so, and the channel has their message all the same",
		Finds: "a send to a channel that its sender is not in, or has just left, over a socket or over REST",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/courier/courier.go",
				Old: `		var err error
		if change.Standing, err = c.confirm(ctx, place, change); err != nil {
			return event.Receipt{}, err
		}`,
				New: `		standing, err := c.confirm(ctx, place, change)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return event.Receipt{}, err
		}
		if err == nil {
			change.Standing = standing
		}`,
			},
			{
				File: "services/ingest/ingest.go",
				Old: `	if err := permit(c.Standing); err != nil {
		return event.Receipt{}, err
	}
	payload, err := encode(eventOf(c))
	if err != nil {
		return event.Receipt{}, err
	}
	if c.Kind == event.MessagePosted {
		return g.post(ctx, c, payload)
	}`,
				New: `	refused := permit(c.Standing)
	payload, err := encode(eventOf(c))
	if err != nil {
		return event.Receipt{}, err
	}
	if c.Kind == event.MessagePosted {
		r, err := g.post(ctx, c, payload)
		if refused != nil {
			return event.Receipt{}, refused
		}
		return r, err
	}
	if refused != nil {
		return event.Receipt{}, refused
	}`,
			},
		},
	},
	{
		Name: "refusal-without-return", Invariants: []int{3},
		Story: "a send that is refused because there are too many, or because the gateway is going away, is sent all the same",
		Finds: "more sends over a socket than the rate of a person or a channel allows, which are sent again",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/gateway/send.go",
				Old: `		l.refuse(c, &in, err)
		return
	}
	req :=`,
				New: `		l.refuse(c, &in, err)
	}
	req :=`,
			},
		},
	},
	{
		Name: "resend-is-new", Invariants: []int{6},
		Story: "a message that is sent again a second later, because its answer was lost, is there twice",
		Finds: "a resend under the same client_msg_id, a second or more after the first; also what clients do by themselves when a socket is cut",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/ingest/ingest.go",
				Old: `	if mayBeOld(c.ClientMsgID, c.Retry, time.Now(), g.window) || g.begins.mayPrecede(ctx, c, g.window) {
		if r, found, err := g.sentBefore(ctx, c, msgID); err != nil || found {
			return r, err
		}
	}
`,
				New: `	msgID += time.Now().UTC().Format("-150405")
`,
			},
		},
	},
	{
		Name: "edit-lost-in-store", Invariants: []int{8, 13, 10},
		Story: "one edit in three is seen by who is there, and the history shows the old text again a moment later",
		Finds: "traffic with edits alone",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/persist/persist.go",
				Old: `		outcomes[i] = bus.Done()
		events, places`,
				New: `		outcomes[i] = bus.Done()
		if e.Kind == event.MessageEdited && e.Seq%3 == 0 {
			continue
		}
		events, places`,
			},
		},
	},
	{
		Name: "reaction-lost-in-store", Invariants: []int{8, 13},
		Story: "one reaction in three, set or taken back, is not in the history",
		Finds: "traffic with reactions alone",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/persist/persist.go",
				Old: `		outcomes[i] = bus.Done()
		events, places`,
				New: `		outcomes[i] = bus.Done()
		if (e.Kind == event.ReactionAdded || e.Kind == event.ReactionRemoved) && e.Seq%3 == 0 {
			continue
		}
		events, places`,
			},
		},
	},
	{
		Name: "delete-lost-in-store", Invariants: []int{13, 8},
		Story: "every other deleted message is back in the history, with its text",
		Finds: "traffic with deletes alone",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/persist/persist.go",
				Old: `		outcomes[i] = bus.Done()
		events, places`,
				New: `		outcomes[i] = bus.Done()
		if e.Kind == event.MessageDeleted && e.Seq%2 == 0 {
			continue
		}
		events, places`,
			},
		},
	},
	{
		Name: "first-edit-wins", Invariants: []int{13, 8},
		Story: "who corrects a message twice sees the first correction again later",
		Finds: "a message that is edited twice; on Cassandra the higher of the two texts stays, so about every other one shows it",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/store/sqlite/messages.go",
				Old:  "int64(target.Seq), v, e.Body, e.At.UnixNano())",
				New:  "int64(target.Seq), int64(chat.VersionOf(e.Epoch, e.MessageSeq))+1, e.Body, e.At.UnixNano())",
			},
			{
				File: "services/store/cassandra/write.go",
				Old:  "updateText, v, e.Body,",
				New:  "updateText, int64(chat.VersionOf(e.Epoch, e.MessageSeq))+1, e.Body,",
			},
		},
	},
	{
		Name: "deleted-text-in-the-ring", Invariants: []int{13},
		Story: "who comes back after a message was deleted is given its text",
		Finds: "somebody who comes back with a cursor from before a message that was deleted since, while the gateway still has it in memory",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/fanout/feed.go",
				Old: `		if e.textOf() == seq {
			f.ring.replace(e.redacted())`,
				New: `		if e.textOf() == seq && e.Event.Kind == event.MessageEdited {
			f.ring.replace(e.redacted())`,
			},
		},
	},
}
