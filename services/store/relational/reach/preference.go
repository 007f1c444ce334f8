package reach

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// SetPreferences implements store.Preferences. It needs no lock: the row is the user's own, and stays when they go.
func (s *Store) SetPreferences(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID, p chat.Preferences) error {
	if err := p.Check(); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	rest, words, err := columns(p)
	if err != nil {
		return err
	}
	return s.exec(ctx, "set preferences", "member", `INSERT INTO preferences (workspace_id, user_id, preferences, keywords)
		SELECT workspace_id, user_id, CAST(? AS TEXT), CAST(? AS TEXT) FROM members WHERE workspace_id = ? AND user_id = ?
		ON CONFLICT (workspace_id, user_id) DO UPDATE SET preferences = excluded.preferences, keywords = excluded.keywords`,
		rest, words, workspace, user)
}

// columns writes preferences: the words that are watched, and all the rest.
func columns(p chat.Preferences) (rest string, words sql.NullString, err error) {
	if len(p.Keywords) > 0 {
		if words.String, err = relational.ListOf(p.Keywords); err != nil {
			return "", words, err
		}
		words.Valid = true
	}
	p.Keywords = nil
	if p.Quiet != nil {
		quiet := *p.Quiet
		quiet.Until = quiet.Until.UTC().Truncate(time.Microsecond) // as all times here
		p.Quiet = &quiet
	}
	text, err := json.Marshal(p)
	return string(text), words, err
}

// owned is the preferences of a user.
type owned struct {
	user chat.UserID
	chat.Preferences
}

func scanOwned(r relational.Row) (o owned, err error) {
	var rest string
	var words sql.NullString
	if err := r.Scan(&o.user, &rest, &words); err != nil {
		return o, err
	}
	if err := json.Unmarshal([]byte(rest), &o.Preferences); err != nil {
		return o, fmt.Errorf("preferences of %s: %w", o.user, err)
	}
	o.Keywords, err = wordsOf(o.user, words)
	return o, err
}

func wordsOf(user chat.UserID, list sql.NullString) (words []string, err error) {
	if !list.Valid {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(list.String), &words); err != nil {
		return nil, fmt.Errorf("keywords of %s: %w", user, err)
	}
	return words, nil
}

// PreferencesOf implements store.Preferences.
func (s *Store) PreferencesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Preferences, error) {
	if err := checkMost(len(users), store.MaxRecipients); err != nil {
		return nil, err
	}
	wanted, err := relational.ListOf(users)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	all, err := list(ctx, s, relational.Ask("preference", `SELECT p.user_id, p.preferences, p.keywords
		FROM preferences AS p JOIN members AS m ON m.workspace_id = p.workspace_id AND m.user_id = p.user_id
		WHERE p.workspace_id = ? AND p.user_id IN (SELECT value FROM json_each(?))`, scanOwned), workspace, wanted)
	if err != nil {
		return nil, err
	}
	of := make(map[chat.UserID]chat.Preferences, len(all))
	for _, o := range all {
		of[o.user] = o.Preferences
	}
	return of, nil
}

// KeywordsOf implements store.Preferences.
func (s *Store) KeywordsOf(ctx context.Context, workspace chat.WorkspaceID) ([]store.Watcher, error) {
	scan := func(r relational.Row) (w store.Watcher, err error) {
		var words sql.NullString
		if err := r.Scan(&w.UserID, &words); err != nil {
			return w, err
		}
		w.Keywords, err = wordsOf(w.UserID, words)
		return w, err
	}
	return list(ctx, s, relational.Ask("watcher", `SELECT p.user_id, p.keywords
		FROM preferences AS p INDEXED BY watchers JOIN members AS m ON m.workspace_id = p.workspace_id AND m.user_id = p.user_id
			JOIN users AS u ON u.id = p.user_id
		WHERE p.workspace_id = ? AND p.keywords IS NOT NULL AND NOT u.deactivated ORDER BY p.user_id`, scan), workspace)
}

// SetFollow implements store.Preferences.
func (s *Store) SetFollow(ctx context.Context, f store.Follow) error {
	if err := relational.CheckMoment(f.At); err != nil {
		return err
	}
	if f.Root == 0 || f.Root > chat.MaxSeq {
		return fault.New(fault.Invalid, "A thread is named by the seq of its first message.")
	}
	return s.exec(ctx, "follow", "follow", `INSERT INTO follows (channel_id, root, user_id, follows, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (channel_id, root, user_id) DO UPDATE SET follows = excluded.follows, at = excluded.at`,
		f.ChannelID, int64(f.Root), f.UserID, f.Follows, relational.Micros(f.At))
}

// FollowsOf implements store.Preferences.
func (s *Store) FollowsOf(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]store.Follow, error) {
	scan := func(r relational.Row) (f store.Follow, err error) {
		return f, r.Scan(&f.ChannelID, &f.Root, &f.UserID, &f.Follows, relational.Moment{Into: &f.At})
	}
	return list(ctx, s, relational.Ask("follow", `SELECT channel_id, root, user_id, follows, at FROM follows
		WHERE channel_id = ? AND root = ? ORDER BY at DESC, user_id DESC LIMIT ?`, scan), channel, at(root), chat.MaxFollowers)
}
