package reach

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// settled asks whether the log gave all seqs that decide who was in a channel. In a direct message those are also of
// belonging to the workspace (membersAt).
var settled = relational.Ask("channel", `SELECT NOT EXISTS (
		SELECT 1 FROM tenures AS t INDEXED BY tenures_owed
		WHERE t.channel_id = ?1 AND (t.joined_seq = 0 OR (t.left_by IS NOT NULL AND t.left_seq = 0)))
	AND NOT EXISTS (
		SELECT 1 FROM channels AS c JOIN tenures AS t ON t.channel_id = c.id
			JOIN members AS m ON m.workspace_id = c.workspace_id AND m.user_id = t.user_id
		WHERE c.id = ?1 AND c.people IS NOT NULL AND m.joined_seq = 0)`, relational.Scalar[bool])

const (
	// membersAt is the people of channel ?1 at the seq ?2.
	membersAt = `SELECT DISTINCT t.user_id
	FROM tenures AS t JOIN users AS u ON u.id = t.user_id JOIN channels AS c ON c.id = t.channel_id
	WHERE t.channel_id = ?1 AND t.joined_seq BETWEEN 1 AND ?2 AND (t.left_seq = 0 OR t.left_seq >= ?2) AND t.user_id > ?3 `
	// notGone leaves out who is gone by now. Who leaves a workspace stays in its direct messages, which are their people, so there
	// somebody counts only since the membership that lasts.
	notGone = `AND NOT u.deactivated AND (c.people IS NULL OR EXISTS (
			SELECT 1 FROM members AS m WHERE m.workspace_id = c.workspace_id AND m.user_id = t.user_id AND m.joined_seq BETWEEN 1 AND ?2)) `
	all = `ORDER BY t.user_id LIMIT ?4`
	// some begins with the list, and so with those few rows.
	some = `AND t.user_id IN (SELECT value FROM json_each(?)) ORDER BY t.user_id LIMIT ?5`
)

// Questions for everybody and for some, without those who are gone and with them.
var (
	allAt, allEver   = askMembers(notGone + all), askMembers(all)
	someAt, someEver = askMembers(notGone + some), askMembers(some)
)

func askMembers(which string) relational.Asked[chat.UserID] {
	return relational.Ask("member", membersAt+which, relational.Scalar[chat.UserID])
}

// MembersAt implements store.Recipients. It asks whether all is settled before it asks for the people: a seq that is
// recorded in between is of somebody who was left out, or was not, for good.
func (s *Store) MembersAt(ctx context.Context, q store.MembersQuery) (users []chat.UserID, known bool, err error) {
	if q.Limit < 1 || q.Limit > store.MaxRecipients {
		return nil, false, fault.New(fault.Invalid, "A limit is 1 to %d.", store.MaxRecipients)
	}
	if err := checkMost(len(q.Among), chat.MaxPageSize); err != nil {
		return nil, false, err
	}
	if known, err = relational.Get(ctx, s.db.Source(), settled, q.ChannelID); err != nil {
		return nil, false, err
	}
	everybody, among := allAt, someAt
	if q.Gone {
		everybody, among = allEver, someEver
	}
	if len(q.Among) == 0 {
		users, err = list(ctx, s, everybody, q.ChannelID, at(q.Seq), q.After, q.Limit)
	} else {
		var these string
		if these, err = relational.ListOf(q.Among); err == nil {
			users, err = list(ctx, s, among, q.ChannelID, at(q.Seq), q.After, these, q.Limit)
		}
	}
	return users, known && err == nil, err
}

// UsersByLogin implements store.Recipients.
func (s *Store) UsersByLogin(ctx context.Context, workspace chat.WorkspaceID, logins []string) ([]chat.User, error) {
	if err := checkMost(len(logins), chat.MaxMentions); err != nil || len(logins) == 0 {
		return nil, err
	}
	wanted, err := relational.ListOf(logins)
	if err != nil {
		return nil, err
	}
	scan := func(r relational.Row) (u chat.User, err error) {
		return u, r.Scan(&u.ID, &u.Login, &u.DisplayName, &u.Deactivated, relational.Moment{Into: &u.CreatedAt})
	}
	return list(ctx, s, relational.Ask("user", `SELECT u.id, u.login, u.display_name, u.deactivated, u.created_at
		FROM users AS u JOIN members AS m ON m.workspace_id = ? AND m.user_id = u.id
		WHERE u.login IN (SELECT value FROM json_each(?))`, scan), workspace, wanted)
}
