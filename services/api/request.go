package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/ijson"
	"github.com/canopychat/canopy/schemas/rest"
)

// rules is what a body has to keep to besides those of encoding/json: text arrives byte for byte or not at all.
var rules = ijson.Rules{MaxDepth: rest.MaxDepth}

// decode reads a request's body, by the rules of schemas/rest. Whatever its Content-Type: a body is JSON or refused.
func decode(c echo.Context, into any) error {
	body, err := io.ReadAll(c.Request().Body)
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return fault.Wrap(fault.TooLarge, err, "a request has at most %d bytes", over.Limit)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the body ended too early")
	}
	if body = bytes.TrimLeft(body, " \t\r\n"); len(body) == 0 || body[0] != '{' {
		return fault.New(fault.Invalid, "the body must be a JSON object")
	}
	err = json.Unmarshal(body, into)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return fault.Wrap(fault.Invalid, err, "the field %s has the wrong type", mistyped.Field)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the body must be one JSON object and nothing else")
	}
	if err := ijson.Check(body, rules); err != nil { // what encoding/json would quietly make something else of
		return fault.Wrap(fault.Invalid, err, "the body must be I-JSON: %v", err)
	}
	return nil
}

// param is a part of the path, decoded once: echo gives it as it came when net/http kept that (RawPath).
func param(c echo.Context, name string) (string, error) {
	raw := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return raw, nil
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return "", notHere(err)
	}
	return decoded, nil
}

// notHere is what an id that is no id leads to.
func notHere(err error) error {
	return fault.Wrap(fault.NotFound, err, "there is nothing at this address")
}

// pathID reads an id out of the path.
func pathID[T ~string](c echo.Context, name string, parse func(string) (T, error)) (T, error) {
	raw, err := param(c, name)
	if err != nil {
		return "", err
	}
	id, err := parse(raw)
	if err != nil {
		return "", notHere(err)
	}
	return id, nil
}

func pathWorkspace(c echo.Context) (chat.WorkspaceID, error) {
	return pathID(c, "workspace", chat.ParseWorkspaceID)
}

func pathChannel(c echo.Context) (chat.ChannelID, error) {
	return pathID(c, "channel", chat.ParseChannelID)
}

// pathSeq reads the seq of a message out of the path.
func pathSeq(c echo.Context) (chat.Seq, error) {
	raw, err := param(c, "seq")
	if err != nil {
		return 0, err
	}
	seq, ok := parseSeq(raw)
	if !ok || seq == 0 {
		return 0, notHere(nil)
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

// checkUserIDs says whether the ids of a body are ids.
func checkUserIDs(ids []chat.UserID) error {
	for _, id := range ids {
		if _, err := chat.ParseUserID(string(id)); err != nil {
			return fault.Wrap(fault.Invalid, err, "user_ids: %v", chat.ErrBadID)
		}
	}
	return nil
}

// limitOf reads limit. More than we give is refused: a client that believes it got all would stop too early.
func limitOf(c echo.Context) (int, error) {
	raw := c.QueryParam("limit")
	if raw == "" {
		return chat.DefaultPageSize, nil
	}
	n, err := strconv.Atoi(raw)
	if err != nil || n < 1 || n > chat.MaxPageSize {
		return 0, fault.New(fault.Invalid, "limit is 1 to %d", chat.MaxPageSize)
	}
	return n, nil
}

// A cursor of a list is the last id that it showed, behind a letter that says of what. Clients see text that
// means nothing, so that it may change.
const (
	cursorChannels = "c"
	cursorPeople   = "p"
)

func cursorAfter(kind, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + id))
}

// listOf reads the cursor and limit of a list.
func listOf(c echo.Context, kind string) (after string, limit int, err error) {
	if limit, err = limitOf(c); err != nil {
		return "", 0, err
	}
	raw := c.QueryParam("cursor")
	if raw == "" {
		return "", limit, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(raw)
	if err != nil || len(text) == 0 || string(text[:1]) != kind || !chat.IsID(string(text[1:])) {
		return "", 0, fault.New(fault.Invalid, "cursor is not a next_cursor of this list")
	}
	return string(text[1:]), limit, nil
}
