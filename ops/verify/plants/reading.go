package plants

// reading are the plants in what people read, have read, and may read.
var reading = []Plant{
	{
		Name: "tail-left-out", Invariants: []int{9},
		Story: "who writes and reads at once does not see what they wrote, and the page says that it is complete",
		Finds: "a page right after a send while the history's writer is behind: killed, paused, or its database slow",
		Flags: inFaults + " --files --only persist/pause",
		Edits: []Edit{
			{
				File: "services/history/reader.go",
				Old: `	return tailEnd{
		events: read.events, through: read.completeAfter(p),
		last: last, over: read.over && read.through < last,
	}`,
				New: "\treturn tailEnd{through: read.completeAfter(p), last: last}",
			},
		},
	},
	{
		Name: "page-goes-back", Invariants: []int{10},
		Story: "who reads a channel twice sees a message the first time, and not the second time",
		Finds: "two pages of different lengths within five seconds, while others talk",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/history/reader.go",
				Old: `	"slices"
	"time"
`,
				New: `	"slices"
	"sync"
	"time"
`,
			},
			{
				File: "services/history/reader.go",
				Old: `	pages     sharedPages
`,
				New: `	pages     sharedPages
	kept      sync.Map // pageKey -> kept
`,
			},
			{
				File: "services/history/reader.go",
				Old:  "// Page reads a page of a channel or thread.",
				New: `// kept is a page that was read a moment ago.
type kept struct {
	reading store.Reading
	at      time.Time
}

// Page reads a page of a channel or thread.`,
			},
			{
				File: "services/history/reader.go",
				Old: `	key := pageKey{place, q}
`,
				New: `	key := pageKey{place, q}
	if k, is := r.kept.Load(key); is && time.Since(k.(kept).at) < 5*time.Second {
		return k.(kept).reading, nil
	}
`,
			},
			{
				File: "services/history/reader.go",
				Old: `	return store.Reading{Page: q.Overlay(ground.page, end.events), CompleteThrough: end.through}, nil
`,
				New: `	reading := store.Reading{Page: q.Overlay(ground.page, end.events), CompleteThrough: end.through}
	r.kept.Store(key, kept{reading, time.Now()})
	return reading, nil
`,
			},
		},
	},
	{
		Name: "mark-goes-back", Invariants: []int{12},
		Story: "what was read on one device is unread again when another device tells of something older",
		Finds: "a mark on one device that is lower than one before on another",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/store/sqlite/readcursor.go",
				Old: `version = excluded.version, at = excluded.at
WHERE excluded.version > read_cursors.version`,
				New: "version = excluded.version, at = excluded.at",
			},
			{
				File: "services/store/cassandra/receipt/readcursor.go",
				Old:  "Args: []any{v, v, ^at,",
				New:  "Args: []any{time.Now().UnixNano(), v, ^at,",
			},
		},
	},
	{
		Name: "unread-below-nothing", Invariants: []int{12},
		Story: "who writes has fewer unread messages than none",
		Finds: "somebody who says something, has read everything else, and looks at what is unread",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/history/unread.go",
				Old: `	looked  int                   // messages of the pages
`,
				New: `	looked  int                   // messages of the pages
	own     int                   // of the user
`,
			},
			{
				File: "services/history/unread.go",
				Old:  "\t\tif m.Seq > c.through || m.Deleted ||",
				New: `		if m.SenderID == c.query.User.ID {
			c.own++
		}
		if m.Seq > c.through || m.Deleted ||`,
			},
			{
				File: "services/history/unread.go",
				Old:  "Count: len(c.found), More:",
				New:  "Count: len(c.found) - c.own, More:",
			},
		},
	},
	{
		Name: "leave-not-heard", Invariants: []int{14},
		Story: "who left a channel, or was taken out of it, goes on reading it on the sockets that were open",
		Finds: "a leave or a kick of somebody who is there, and talk in the channel after it",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "edge/session/session.go",
				Old: `		if s.leave(n) {
			return true, Leaves
		}`,
				New: `		if s.In(n) {
			return true, Nothing
		}`,
			},
		},
	},
	{
		Name: "revocation-not-heard", Invariants: []int{15},
		Story: "a device that was signed out goes on reading until it connects again",
		Finds: "a logout, a revocation or a ban of somebody who is there",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "ops/app/edge.go",
				Old: `	a.revocations.OnRevoked(gw.SignOut)
`,
				New: "",
			},
		},
	},
	{
		Name: "channel-of-anybody", Invariants: []int{16, 14},
		Story: "whoever knows the id of a channel reads it: private ones, and those of another workspace",
		Finds: "a question over REST about a channel of the other workspace, or about a private one that the asker is not in",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/directory/channel.go",
				Old:  "\tif err != nil || !standing.MaySee() {",
				New:  "\tif err != nil {",
			},
			{
				File: "services/api/history.go",
				Old:  "a.cfg.Workspaces.Workspace(ctx, me.ID, channel.WorkspaceID)",
				New:  "a.cfg.Workspaces.Workspace(ctx, channel.CreatorID, channel.WorkspaceID)",
			},
		},
	},
	{
		Name: "channels-for-everybody", Invariants: []int{16},
		Story: "people of one workspace can list the channels of another",
		Finds: "a question over REST for the channels of the other workspace",
		Flags: inTraffic,
		Edits: []Edit{
			{
				File: "services/directory/channel.go",
				Old: `	member, err := s.member(ctx, q.WorkspaceID, q.UserID)
	if err != nil {
		return nil, err
	}
	q.Role = member.Role
`,
				New: `	member, err := s.member(ctx, q.WorkspaceID, q.UserID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if q.Role = member.Role; q.Role == "" {
		q.Role = chat.RoleMember
	}
`,
			},
		},
	},
}
