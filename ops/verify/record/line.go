package record

import "time"

// Line is one line of a record. One of its fields is set.
type Line struct {
	Run    *Run    `json:"run,omitempty"`
	Op     *Op     `json:"op,omitempty"`
	Told   *Told   `json:"told,omitempty"`
	Fault  *Fault  `json:"fault,omitempty"`
	Event  *Event  `json:"event,omitempty"`
	Kept   *Kept   `json:"kept,omitempty"`
	Sample *Sample `json:"sample,omitempty"`
	Job    *Job    `json:"job,omitempty"`
	Letter *Letter `json:"letter,omitempty"`
	End    *End    `json:"end,omitempty"`
}

// Run is what was run.
type Run struct {
	Seed     uint64        `json:"seed"`
	Version  string        `json:"version"` // of the program that observes
	Site     string        `json:"site"`    // for people: "local", or an address
	Plant    string        `json:"plant,omitempty"`
	Began    time.Time     `json:"began"`
	Duration time.Duration `json:"duration_ns"` // of the load, as it was asked for

	// Beyond are the promises that nothing in this run could break, by what was asked of it, and why. Of others, those without a case were not checked.
	Beyond map[int]string `json:"beyond,omitempty"`

	Workspaces []Workspace `json:"workspaces"`
}

// Workspace is one of those that people are in. The first is where most happens; the second is there to be kept apart from it.
type Workspace struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Channels []Channel `json:"channels"`
	People   []Person  `json:"people"`
}

// Channel is one that was made before the load began. Who is in it, the log says.
type Channel struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"` // public, private, dm, group_dm
}

// Person is somebody with an account.
type Person struct {
	Login  string `json:"login"`
	ID     string `json:"id"`
	Region string `json:"region"`
	Hand   string `json:"hand"` // whose code acts for them: "crew" (the product's client) or "stranger" (one of our own)
}

// Outcome is what who did something knows of it.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"      // it was answered, and holds
	Refused Outcome = "refused" // it was answered, for good: it must have had no effect
	Unknown Outcome = "unknown" // no answer came, or one that leaves it open: it may show up, once
)

// F is what somebody does.
type F string

// What people do, with the fields of an Op that count besides Who, Device and Channel. Those after the arrow are its result.
const (
	Send    F = "send"    // ID, Body, Thread, Again, Over -> Seq, Duplicate
	Edit    F = "edit"    // Message, Body -> Seq of the edit
	Delete  F = "delete"  // Message -> Seq
	React   F = "react"   // Message, Emoji -> Seq
	Unreact F = "unreact" // Message, Emoji -> Seq
	Join    F = "join"    // a public channel
	Leave   F = "leave"   //
	Add     F = "add"     // Target: somebody else comes into a channel
	Kick    F = "kick"    // Target: somebody else is taken out of it
	Page    F = "page"    // Before or After, Limit -> Messages, Complete, More
	Search  F = "search"  // Body: what is looked for -> Messages
	Mark    F = "mark"    // Message: read up to it -> Seq that counts
	Marks   F = "marks"   // -> Read
	Connect F = "connect" // Cursor -> Cursor that the server's hello says, Resumed; Conn is the new one
	Close   F = "close"   // Conn: the client closes its socket itself
	Stall   F = "stall"   // Conn: nothing is read from the socket from Start to End, and then again
	Login   F = "login"   // -> the Device
	Logout  F = "logout"  // of the Device: its sockets end
	Revoke  F = "revoke"  // Target device, by its owner at another one: its sockets end
	Ban     F = "ban"     // Target: their account is closed for the workspace, and their sockets end
	Typing  F = "typing"  // nothing answers
	Status  F = "status"  // Body: the text of a presence
	Probe   F = "probe"   // Body: what was tried, in words; ok means that it was let in, which it must not be
	Notify  F = "notify"  // Message: a webhook of ours was told of it, for Who
)

// Ways that an op may take (Op.Over).
const (
	Socket = "socket"
	REST   = "rest"
)

// Op is something that somebody did. Bodies of sends and edits are unique in a run: «<sender>-<counter>-<hash>», so whatever is
// found anywhere says whose it is.
type Op struct {
	N      int64  `json:"n"`              // number of the op, from 1, given by Recorder.Begin
	Who    string `json:"who"`            // login
	Device string `json:"device"`         // one sign-in: "<login>/<n>"
	Conn   string `json:"conn,omitempty"` // the socket, or the product's Conn, that it went over: "<device>/<n>"
	At     string `json:"at,omitempty"`   // the process, or the region, that was asked
	Over   string `json:"over,omitempty"`
	Phase  string `json:"phase,omitempty"` // "peak" and "double": of the part of the run that measures capacity; "burst": of one who sends more than one may

	F         F      `json:"f"`
	Workspace string `json:"workspace,omitempty"` // id
	Channel   string `json:"channel,omitempty"`   // id
	ID        string `json:"id,omitempty"`        // client_msg_id
	Body      string `json:"body,omitempty"`
	Thread    int64  `json:"thread,omitempty"`  // seq of the root
	Message   int64  `json:"message,omitempty"` // seq of the message that it is about
	Emoji     string `json:"emoji,omitempty"`
	Target    string `json:"target,omitempty"` // login, or device
	Again     bool   `json:"again,omitempty"`  // the same ID was sent before
	Before    int64  `json:"before,omitempty"` // of a page; 0: none
	After     int64  `json:"after,omitempty"`
	Limit     int    `json:"limit,omitempty"`

	Start   time.Duration `json:"start"` // since the run's start
	End     time.Duration `json:"end"`
	Outcome Outcome       `json:"outcome"`
	Code    string        `json:"code,omitempty"`           // of a refusal, or why it is unknown
	RetryIn time.Duration `json:"retry_after_ns,omitempty"` // what a refusal said

	Seq       int64     `json:"seq,omitempty"`
	Duplicate bool      `json:"duplicate,omitempty"`
	Cursor    string    `json:"cursor,omitempty"` // «<epoch>.<seq>»: asked for, and after a connect what hello said
	Resumed   bool      `json:"resumed,omitempty"`
	Complete  int64     `json:"complete_through,omitempty"`
	More      bool      `json:"has_more,omitempty"`
	Messages  []Message `json:"messages,omitempty"` // newest first, as they came
	Read      []ReadAt  `json:"read,omitempty"`
}

// Message is a message as a page or a view shows it.
type Message struct {
	Seq       int64    `json:"seq"`
	Sender    string   `json:"sender"` // user id
	ID        string   `json:"id,omitempty"`
	Body      string   `json:"body,omitempty"`
	Thread    int64    `json:"thread,omitempty"`
	Edited    bool     `json:"edited,omitempty"`
	Deleted   bool     `json:"deleted,omitempty"`
	Reactions []string `json:"reactions,omitempty"` // «emoji user-id», sorted
}

// ReadAt is how far a channel is read.
type ReadAt struct {
	Channel  string `json:"channel"`
	Seq      int64  `json:"seq"`
	Unread   int    `json:"unread"`
	Mentions int    `json:"mentions,omitempty"`
}

// T is what a socket tells.
type T string

// What came over a socket, with the fields of a Told that count.
const (
	Hello    T = "hello"    // Cursor, Resumed, Head: a socket is open; what comes now follows the cursor
	Posted   T = "posted"   // Channel, Seq, Prev, Sender, ID, Body, Thread, Filled, Deleted
	Changed  T = "changed"  // Channel, Seq, Prev, Kind, Sender, Message, Body, Emoji, User: every other stored event
	Gap      T = "gap"      // Channel, Seq: its client found that something up to Seq did not come
	Resync   T = "resync"   // Head, Code: nothing up to Head will come
	Typed    T = "typed"    // Channel, User
	Presence T = "presence" // User, Body
	Marked   T = "marked"   // Channel, Seq: read on another device
	Stale    T = "stale"    // read marks may have moved
	Trouble  T = "trouble"  // Code, Body: an error frame that answers nothing
	Offline  T = "offline"  // Code: the socket has ended; what the close code or the error was
)

// Told is something that came over a socket.
type Told struct {
	Conn   string        `json:"conn"`
	Who    string        `json:"who"`          // login of whose socket it is
	At     string        `json:"at,omitempty"` // the gateway, where it is known
	Time   time.Duration `json:"time"`
	T      T             `json:"t"`
	Space  string        `json:"workspace,omitempty"` // id of the workspace that the socket is of; of a hello
	Cursor string        `json:"cursor,omitempty"`

	Channel string `json:"channel,omitempty"`
	Seq     int64  `json:"seq,omitempty"`
	Prev    int64  `json:"prev,omitempty"` // seq of the event before it in the channel; -1: the client does not show it
	Head    int64  `json:"head,omitempty"`
	Kind    string `json:"kind,omitempty"`   // of an event, as the frame says it
	Sender  string `json:"sender,omitempty"` // user id
	ID      string `json:"id,omitempty"`
	Body    string `json:"body,omitempty"`
	Thread  int64  `json:"thread,omitempty"`
	Message int64  `json:"message,omitempty"`
	Emoji   string `json:"emoji,omitempty"`
	User    string `json:"user,omitempty"` // user id
	Code    string `json:"code,omitempty"`
	Resumed bool   `json:"resumed,omitempty"`
	Deleted bool   `json:"deleted,omitempty"` // the message was deleted since, and its text is left out
	Filled  bool   `json:"filled,omitempty"`  // read from history by the client, after a gap or a resync: as it stood then
}

// Fault is something that was broken.
type Fault struct {
	Name    string        `json:"name"` // kill, pause, cut, …: lever.Lever
	Tier    string        `json:"tier"`
	Targets []string      `json:"targets"`
	Begin   time.Duration `json:"begin"`
	End     time.Duration `json:"end"`              // it was mended, and what it had taken down was ready again
	Errors  []string      `json:"errors,omitempty"` // what could not be broken or mended
}

// Unreadable is the kind of an event that is none: somebody put it into the log by hand.
const Unreadable = "unreadable"

// Event is one event of a log.
type Event struct {
	Source  string `json:"source"`         // the replica: "hub-1"; "stream" is what the stream's leader says
	Look    int    `json:"look,omitempty"` // 0: when all was quiet; else its number, from 1, among the looks at streams that were about to be lost
	Space   string `json:"workspace"`
	Epoch   int64  `json:"epoch"`
	Seq     int64  `json:"seq"`
	Channel string `json:"channel,omitempty"` // empty: of the whole workspace
	Kind    string `json:"kind"`              // schemas/event, or Unreadable
	Sender  string `json:"sender,omitempty"`
	ID      string `json:"id,omitempty"`
	Body    string `json:"body,omitempty"`
	Thread  int64  `json:"thread,omitempty"`
	Message int64  `json:"message,omitempty"` // that it is about
	Emoji   string `json:"emoji,omitempty"`
	User    string `json:"user,omitempty"`   // id of whom a member event is about
	Erased  bool   `json:"erased,omitempty"` // the seq is there, and its bytes were taken out after a delete
}

// Kept is one message as a view had it when all was quiet.
type Kept struct {
	View    string `json:"view"`          // "history of ann at api-eu", "replay of ann at gateway-us-1", "cassandra 127.0.0.1"
	Who     string `json:"who,omitempty"` // login of who looked; empty: an operator, who sees all
	Space   string `json:"workspace"`
	Channel string `json:"channel"`
	Replay  bool   `json:"replay,omitempty"` // it was told of events from the beginning of the log's window, not of states
	Message
}

// Names of samples (Sample.Name).
const (
	Goroutines  = "goroutines"
	Resident    = "resident_bytes"
	Descriptors = "descriptors"
	Pending     = "pending"     // of a consumer: what it has still to do; Process is «<stream> <consumer>»
	Lateness    = "lateness_ns" // by how much a timer of ours came too late: how loaded the machine is
	Dead        = "dead_letters"
)

// Sample is a figure of a process.
type Sample struct {
	Time    time.Duration `json:"time"`
	Process string        `json:"process"`
	Name    string        `json:"name"`
	Value   float64       `json:"value"`
	When    string        `json:"when,omitempty"` // "before" the load, "quiet" after it; empty: during it
}

// Job is how one person's notice of one message stands, by the ledger. One is noted at each look at it.
type Job struct {
	Time    time.Duration `json:"time"`
	Space   string        `json:"workspace"`
	Channel string        `json:"channel"`
	Message int64         `json:"message"`
	Who     string        `json:"who"`   // login of the recipient
	State   string        `json:"state"` // pending, delivered, read, expired, dead
	Reason  string        `json:"reason,omitempty"`
	Waits   bool          `json:"waits,omitempty"` // pending, with an attempt to come, at a time that the deployment's settings give
	Last    bool          `json:"last,omitempty"`  // seen when all was quiet
}

// Letter is a dead letter of an event of a log, when all was quiet.
type Letter struct {
	Space    string `json:"workspace"`
	Consumer string `json:"consumer"` // that did not deal with it
	Seq      int64  `json:"seq"`      // of the event
	Found    string `json:"found"`    // how that was noticed: "note" and "advisory" say that somebody was told, "reconciliation" that nobody was
	Reason   string `json:"reason,omitempty"`
}

// End is how a run ended.
type End struct {
	Time   time.Duration `json:"time"`
	Quiet  bool          `json:"quiet"`            // all became quiet: what should be the same everywhere must be
	Unmet  []string      `json:"unmet,omitempty"`  // what was waited for in vain
	Open   int           `json:"open,omitempty"`   // conns that were open when all was quiet, and had to be told of a last message
	Silent []string      `json:"silent,omitempty"` // those of them that were not told of it

	Letters bool `json:"letters,omitempty"` // all dead letters of the logs are in the record
}
