package entry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/ijson"
	"github.com/canopychat/canopy/schemas/rest"
)

// rules is what a body has to keep to besides those of encoding/json: text arrives byte for byte or not at all.
var rules = ijson.Rules{MaxDepth: rest.MaxDepth}

// Decode reads a request's body, by the rules of schemas/rest. Whatever its Content-Type: a body is JSON or refused.
func Decode(c echo.Context, into any) error {
	body, err := readBody(c.Request())
	if err != nil {
		return err
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

// Param is a part of the path, decoded once: echo gives it as it came when net/http kept that (RawPath).
func Param(c echo.Context, name string) (string, error) {
	raw := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return raw, nil
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return "", NotHere(err)
	}
	return decoded, nil
}

// NotHere is what an id that is no id leads to.
func NotHere(err error) error {
	return fault.Wrap(fault.NotFound, err, "there is nothing at this address")
}

// PathID reads an id out of the path.
func PathID[T ~string](c echo.Context, name string, parse func(string) (T, error)) (T, error) {
	raw, err := Param(c, name)
	if err != nil {
		return "", err
	}
	id, err := parse(raw)
	if err != nil {
		return "", NotHere(err)
	}
	return id, nil
}

// Limit reads limit. More than we give is refused: a client that believes it got all would stop too early.
func Limit(c echo.Context) (int, error) {
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

// Flag reads a parameter that is true or false; false when it is not given.
func Flag(c echo.Context, name string) (bool, error) {
	switch c.QueryParam(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fault.New(fault.Invalid, "%s is true or false", name)
}

// CursorAfter is the cursor of what comes after an id in a list: the id, behind a letter that says what it is of.
// Clients see text that means nothing, so that it may change.
func CursorAfter(kind, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + id))
}

// Page reads the cursor and limit of a list.
func Page(c echo.Context, kind string) (after string, limit int, err error) {
	if limit, err = Limit(c); err != nil {
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
