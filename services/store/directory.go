package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// Directory is all the contracts that one SQL database serves. Every change is one transaction, and happens
// whole or not at all. Times come back in UTC, to the microsecond. A limit is 1 to chat.MaxPageSize unless its
// method says another, else Invalid. What a change refers to and is not there (a workspace, a channel, an
// account) is NotFound; one that its event could not tell (a role or a type that is none) is Invalid.
type Directory interface {
	People
	Places
	Outbox
	Epochs
	Census
	Idempotency
	Reach
}

// People are the contracts about accounts, and how their holders are let in.
type People interface {
	Users
	Keys
	SignIns
	Tickets
	Invites
}

// Places are the contracts about workspaces and channels, and what people are in them.
type Places interface {
	Workspaces
	Channels
	Directs
	Editing
	Roles
}

// Users are the accounts of the deployment.
type Users interface {
	// CreateUsers adds accounts with their logins and password hashes, all or none. Conflict: a login or id is taken.
	CreateUsers(ctx context.Context, users []NewUser) error
	// User reads an account. NotFound.
	User(ctx context.Context, id chat.UserID) (chat.User, error)
	// UsersByID reads the accounts among ids that exist, in no particular order. At most chat.MaxPageSize ids.
	UsersByID(ctx context.Context, ids []chat.UserID) ([]chat.User, error)
	// Credentials reads an account by its login, with its password hash. NotFound.
	Credentials(ctx context.Context, login string) (chat.User, string, error)
	// ListUsers lists the accounts of the deployment by id, after the given one, at most limit of them.
	ListUsers(ctx context.Context, after chat.UserID, limit int) ([]chat.User, error)
	// Found makes the first account with its workspace, its public channel and their events, as CreateUsers,
	// CreateWorkspace and CreateChannel do, all or nothing. Conflict: there is an account already.
	Found(ctx context.Context, f Founding) error
}

// Founding is how a deployment begins.
type Founding struct {
	Owner     NewUser
	Workspace chat.Workspace
	Channel   chat.Channel
}

// NewUser is an account to be made.
type NewUser struct {
	chat.User
	PasswordHash string // PHC string; empty: nobody can sign in with a password
}

// Workspaces are the workspaces and who belongs to them.
type Workspaces interface {
	// CreateWorkspace adds a workspace with its first owner, and the event of the owner's joining: a member.joined
	// without channel_id. Conflict: the id is taken.
	CreateWorkspace(ctx context.Context, w chat.Workspace, owner chat.UserID) error
	// ListWorkspaces lists the workspaces of the deployment by id, after the given one, at most limit of them.
	ListWorkspaces(ctx context.Context, after chat.WorkspaceID, limit int) ([]chat.Workspace, error)
	// Workspace reads a workspace. NotFound.
	Workspace(ctx context.Context, id chat.WorkspaceID) (chat.Workspace, error)
	// WorkspacesOf lists the workspaces that a user belongs to, oldest first.
	WorkspacesOf(ctx context.Context, user chat.UserID) ([]Membership, error)
	// AddMembers makes users members of a workspace, each with its event (member.joined without channel_id, in the
	// order of members). Who is one already stays as they are, with their role, and gets no event.
	AddMembers(ctx context.Context, by chat.UserID, members []chat.Member) error
	// Member reads a user's membership. NotFound when they are not a member (any more).
	Member(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) (chat.Member, error)
	// Members lists who belongs to a workspace, by user id, after the given one, at most limit of them.
	Members(ctx context.Context, workspace chat.WorkspaceID, after chat.UserID, limit int) ([]chat.Member, error)
}

// Membership is a workspace and what the user is in it.
type Membership struct {
	Workspace chat.Workspace
	Role      chat.Role
}

// Channels are the channels of all workspaces and who is in them.
type Channels interface {
	// CreateChannel adds a channel with its first members, and the events of both: channel.created, then a
	// member.joined for each, in the order of members and with their roles in the workspace, all by the creator. A user
	// who is named twice joins once. Conflict: the id is taken; or the name (of a public or private channel); or there is a
	// dm or group_dm of exactly these people already (Directs). NotFound: somebody is no member of the workspace.
	CreateChannel(ctx context.Context, c chat.Channel, members []chat.UserID) error
	// Channel reads a channel. NotFound.
	Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error)
	// ListChannels lists what a user may see of a workspace: by channel id, after the given one, at most limit.
	ListChannels(ctx context.Context, q ChannelQuery) ([]ListedChannel, error)
	// SetMembers makes users join or leave a channel, each with its event. Who is (not) in it already stays as they are
	// and gets no event. The events are in the order of UserIDs. The result is the id of the last outbox row it wrote;
	// 0: nothing changed. Conflict: the channel is a dm or group_dm, which is its people.
	SetMembers(ctx context.Context, change MemberChange) (OutboxID, error)
	// ChannelMembers lists who is in a channel, by user id, after the given one, at most limit of them.
	ChannelMembers(ctx context.Context, channel chat.ChannelID, after chat.UserID, limit int) ([]chat.UserID, error)
	// Standing says what a user is towards a channel. They are in it from the moment that the Directory says so; which
	// events are theirs is decided by the seqs that the log gives (Tenures). NotFound when there is no such channel.
	Standing(ctx context.Context, channel chat.ChannelID, user chat.UserID) (chat.Standing, chat.Channel, error)
	// Tenures lists a user's times in the channels of a workspace that had not ended before seq, by channel id, older
	// ones first. A time whose end is on its way to the log has not ended. Joining again begins another one.
	Tenures(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID, since chat.Seq) ([]TenureOf, error)
}

// Directs finds the channels that are made of their people. In a workspace there is at most one for a set of people,
// whether it is a dm or a group_dm: the same people always come into the same one.
type Directs interface {
	// DirectChannel reads the dm or group_dm of exactly these people, in whatever order they are named. NotFound. Whoever
	// opens one looks here, creates it, and after a Conflict looks here again.
	DirectChannel(ctx context.Context, workspace chat.WorkspaceID, people []chat.UserID) (chat.Channel, error)
}

// Editing changes what channels and accounts say of themselves.
type Editing interface {
	// UpdateChannel changes a public or private channel as change.Of says, with one event in the same transaction:
	// channel.archived when it becomes archived, whatever else changes; else channel.updated. The event and the
	// result tell the channel after the change. When nothing changes there is no event. NotFound. The errors of
	// change.Of. Conflict also: the name is taken.
	UpdateChannel(ctx context.Context, change ChannelChange) (chat.Channel, error)
	// UpdateUser changes an account, with a user.updated without channel_id for every workspace that the user
	// belongs to, in the same transaction. The events and the result tell the account after the change. When
	// nothing changes there is no event. NotFound.
	UpdateUser(ctx context.Context, change UserChange) (chat.User, error)
}

// ChannelQuery says which channels to list for whom.
type ChannelQuery struct {
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID
	Role        chat.Role      // a guest is shown only the channels they are in; without a role there are none
	After       chat.ChannelID // exclusive; empty: from the start
	Limit       int            // 1 to chat.MaxPageSize
}

// ListedChannel is a channel and whether the user who asked is in it.
type ListedChannel struct {
	chat.Channel
	Joined bool
}

// MemberChange makes people join or leave one channel.
type MemberChange struct {
	ChannelID chat.ChannelID
	By        chat.UserID   // who does it
	UserIDs   []chat.UserID // members of the channel's workspace; others are skipped
	Leave     bool          // leave instead of join
	Role      chat.Role     // that the events of joining tell; empty: each user's role in the workspace
}

// TenureOf is a time in a channel, with what a gateway must know of the channel.
type TenureOf struct {
	chat.Tenure
	Type     chat.ChannelType
	Archived bool
}

// Keys are the pairs that sign tokens. There is one that signs; older ones still verify.
type Keys interface {
	// AddKey keeps a pair. When one with the same id exists, nothing changes: two processes that start at once end with one.
	AddKey(ctx context.Context, k SigningKey) error
	// SigningKeys lists the pairs, newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
}

// SigningKey is an Ed25519 pair.
type SigningKey struct {
	ID        string // kid of the tokens that it signs
	Seed      []byte // 32 bytes, RFC 8032
	CreatedAt time.Time
}

// OutboxID orders the outbox. It grows with every change of a workspace, and none is used twice.
type OutboxID int64

// Outbox is the events that the Directory owes to the log. Whoever relays them publishes those of one
// workspace in the order of their ids, and may die at any time: publishing again is harmless, because the
// log knows the event's Msg-Id, and recording again changes nothing. The rows of one workspace become readable in the
// order of their ids. A row that is recorded may be forgotten: nothing reads it again.
type Outbox interface {
	// Unpublished reads the oldest rows that have no seq yet, in the order of their ids, at most limit; any
	// limit of 1 or more.
	Unpublished(ctx context.Context, limit int) ([]OutboxRow, error)
	// Claim reads rows as Unpublished does, of workspaces only that are not among except and that nobody has claimed: relays
	// share the work, and do not publish the same rows for nothing. The workspaces of its rows are the caller's until
	// Release. The claim of a process that died ends, and so may one that lasts too long, so it spares work and keeps no rule.
	Claim(ctx context.Context, limit int, except []chat.WorkspaceID) (Claim, error)
	// Watch calls wake soon after rows became readable, whoever wrote them, until ctx ends; then it returns nil. It calls at the
	// beginning too, whenever it may have missed some, and at times for nothing. What another process writes, not every
	// database tells: who must know looks by itself now and then. wake must not block.
	Watch(ctx context.Context, wake func()) error
	// Record notes which seqs the log gave. In the same transaction the seqs go into the memberships that the
	// rows were written with (JoinedSeq, LeftSeq).
	Record(ctx context.Context, done []OutboxDone) error
	// Owed is the id of the newest row of a workspace that has no seq yet; 0: nothing is owed.
	Owed(ctx context.Context, workspace chat.WorkspaceID) (OutboxID, error)
	// OwedUpTo reports whether a row of a workspace with an id of at most upTo has no seq yet.
	OwedUpTo(ctx context.Context, workspace chat.WorkspaceID, upTo OutboxID) (bool, error)
	// Recorded is the highest seq that was recorded for a shard's workspaces; 0: there is none. It does not go back, also when
	// memberships do. A stream that ends before it is not the one that gave it.
	Recorded(ctx context.Context, shard int) (chat.Seq, error)
}

// Epochs are the incarnations of the logs.
type Epochs interface {
	// BeginEpoch says that the log of a shard, which ended or was lost, begins anew at first. Every workspace of the shard gets
	// the next epoch, and what the outbox owes them is told in that one; Recorded is first-1, so that a log which ends before
	// is not taken for the new one. The result is the workspaces, by id, as they are then. Each call begins another epoch.
	// Nobody else may change the Directory meanwhile. Invalid: first is not above Recorded, or is in no log; a workspace has
	// had all epochs.
	BeginEpoch(ctx context.Context, shard int, first chat.Seq) ([]chat.Workspace, error)
}

// OutboxRow is one event on its way to the log.
type OutboxRow struct {
	ID          OutboxID
	WorkspaceID chat.WorkspaceID
	Shard       int
	Event       event.Event
	CreatedAt   time.Time
}

// Claim is rows that one relay may publish.
type Claim struct {
	Rows    []OutboxRow
	Release func() // gives the workspaces back; it may be called twice. Never nil
}

// OutboxDone is the place that an event got.
type OutboxDone struct {
	ID  OutboxID
	Seq chat.Seq
}
