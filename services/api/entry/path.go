package entry

import (
	"regexp"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// Workspace reads the id of a workspace out of the path.
func Workspace(c echo.Context) (chat.WorkspaceID, error) {
	return PathID(c, "workspace", chat.ParseWorkspaceID)
}

// Channel reads the id of a channel out of the path.
func Channel(c echo.Context) (chat.ChannelID, error) {
	return PathID(c, "channel", chat.ParseChannelID)
}

// UserOf reads the id of a user out of the path.
func UserOf(c echo.Context) (chat.UserID, error) { return PathID(c, "user", chat.ParseUserID) }

// Session reads the id of a sign-in out of the path.
func Session(c echo.Context) (token.SignInID, error) {
	return PathID(c, "session", parsePlain[token.SignInID])
}

// Invite reads the id of an invite out of the path.
func Invite(c echo.Context) (store.InviteID, error) {
	return PathID(c, "invite", parsePlain[store.InviteID])
}

// ID reads a part of the path that is the id of a thing which nothing else has a word for.
func ID(c echo.Context, name string) (string, error) { return PathID(c, name, parsePlain[string]) }

// parsePlain takes an id of a thing that chat has no word for.
func parsePlain[T ~string](s string) (T, error) {
	if !chat.IsID(s) {
		return "", chat.ErrBadID
	}
	return T(s), nil
}

// codeShape is what the code of an invite can look like.
var codeShape = regexp.MustCompile(`^[0-9A-Za-z_-]{1,128}$`)

// Code reads the code of an invite out of the path.
func Code(c echo.Context) (string, error) {
	code, err := Param(c, "code")
	if err != nil {
		return "", err
	}
	if !codeShape.MatchString(code) {
		return "", NotHere(nil)
	}
	return code, nil
}

// Seq reads the seq of a message out of the path.
func Seq(c echo.Context) (chat.Seq, error) {
	raw, err := Param(c, "seq")
	if err != nil {
		return 0, err
	}
	seq, ok := parseSeq(raw)
	if !ok || seq == 0 {
		return 0, NotHere(nil)
	}
	return seq, nil
}

var seqShape = regexp.MustCompile(`^(0|[1-9][0-9]{0,14})$`)

// parseSeq takes a decimal number that has one spelling.
func parseSeq(s string) (chat.Seq, bool) {
	if !seqShape.MatchString(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return chat.Seq(n), err == nil && chat.Seq(n) <= chat.MaxSeq
}

// CheckUserIDs says whether the ids of a body are ids.
func CheckUserIDs(ids []chat.UserID) error {
	for _, id := range ids {
		if _, err := chat.ParseUserID(string(id)); err != nil {
			return fault.Wrap(fault.Invalid, err, "user_ids: %v", chat.ErrBadID)
		}
	}
	return nil
}

// History reads before, after, around and limit.
func History(c echo.Context) (store.PageQuery, error) {
	limit, err := Limit(c)
	if err != nil {
		return store.PageQuery{}, err
	}
	q := store.PageQuery{Limit: limit}
	given := 0
	for _, p := range []struct {
		name  string
		least chat.Seq
		into  *chat.Seq
	}{{"before", 1, &q.Before}, {"after", 0, &q.After}, {"around", 1, &q.Around}} {
		raw := c.QueryParam(p.name)
		if raw == "" {
			continue
		}
		seq, ok := parseSeq(raw)
		if !ok || seq < p.least {
			return store.PageQuery{}, fault.New(fault.Invalid, "%s is the seq of a message", p.name)
		}
		// after=0 asks for the beginning, and 0 in a query for nothing. No message has seq 1: what a workspace's log begins
		// with is that its owner joined, and nobody sends before the log has their joining.
		*p.into = max(seq, 1)
		given++
	}
	if given > 1 {
		return store.PageQuery{}, fault.New(fault.Invalid, "give one of before, after and around")
	}
	return q, nil
}
