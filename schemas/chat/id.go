package chat

import (
	"encoding/base32"
	"errors"
	"fmt"
)

// MaxIDLength is the length in bytes of the longest id. It is that of 128 bits in base32.
const MaxIDLength = 26

// ErrBadID says that a string is not an id. We refuse a bad id; we never rewrite it.
var ErrBadID = errors.New("an id is 1 to 26 of the characters 0-9 and a-z")

type (
	// WorkspaceID names a workspace on this deployment.
	WorkspaceID string
	// ChannelID names a channel; it is unique in the deployment, not only in its workspace.
	ChannelID string
	// UserID names a user account; one user may belong to several workspaces.
	UserID string
	// SessionID names one connection of one client to one gateway.
	SessionID string
)

// ParseWorkspaceID checks s. The error is ErrBadID.
func ParseWorkspaceID(s string) (WorkspaceID, error) { return parseID[WorkspaceID]("workspace_id", s) }

// ParseChannelID checks s. The error is ErrBadID.
func ParseChannelID(s string) (ChannelID, error) { return parseID[ChannelID]("channel_id", s) }

// ParseUserID checks s. The error is ErrBadID.
func ParseUserID(s string) (UserID, error) { return parseID[UserID]("user_id", s) }

// IsID reports whether s is a plain token: 1 to 26 of the characters 0-9 and a-z, and
// therefore one token of a NATS subject without a wildcard.
func IsID(s string) bool {
	if len(s) == 0 || len(s) > MaxIDLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// idEncoding is Crockford's base32 alphabet in lower case, which keeps the order of the bytes.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// IDFromBytes writes 128 bits, such as a UUIDv7, as an id of 26 characters that sorts as the bytes do.
func IDFromBytes(b [16]byte) string { return idEncoding.EncodeToString(b[:]) }

func parseID[T ~string](what, s string) (T, error) {
	if !IsID(s) {
		return "", fmt.Errorf("%s: %w", what, ErrBadID)
	}
	return T(s), nil
}
