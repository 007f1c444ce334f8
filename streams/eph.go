package streams

import (
	"fmt"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

const (
	ephPrefix   = "eph."
	ephTyping   = "typing"
	ephPresence = "presence"
	ephRead     = "read"
)

// Ephemeral is what a subject of something that nobody stores is about. All but one of ChannelID, UserID and Reader are empty.
type Ephemeral struct {
	WorkspaceID chat.WorkspaceID
	ChannelID   chat.ChannelID // somebody types there
	UserID      chat.UserID    // whose presence changed
	Reader      chat.UserID    // who has read on, and is told so on their other devices
}

// EphTypingSubject is where the gateways tell one another who types in a channel, eph.<ws>.typing.<ch>.
// The error is chat.ErrBadID.
func EphTypingSubject(ws chat.WorkspaceID, ch chat.ChannelID) (string, error) {
	return ephSubject(ws, ephTyping, "channel_id", string(ch))
}

// EphPresenceSubject is where the gateways tell one another that a user's presence changed, eph.<ws>.presence.<user>.
// The error is chat.ErrBadID.
func EphPresenceSubject(ws chat.WorkspaceID, user chat.UserID) (string, error) {
	return ephSubject(ws, ephPresence, "user_id", string(user))
}

// EphReadSubject is where the gateways are told that a user has read on in a channel, eph.<ws>.read.<user>: for the user's other
// devices alone. The error is chat.ErrBadID.
func EphReadSubject(ws chat.WorkspaceID, user chat.UserID) (string, error) {
	return ephSubject(ws, ephRead, "user_id", string(user))
}

// EphWorkspaceFilter is all of that in a workspace, eph.<ws>.>: the one subscription that a gateway has for it.
// The error is chat.ErrBadID.
func EphWorkspaceFilter(ws chat.WorkspaceID) (string, error) {
	if !chat.IsID(string(ws)) {
		return "", fmt.Errorf("workspace_id: %w", chat.ErrBadID)
	}
	return ephPrefix + string(ws) + anythingBelow, nil
}

// ParseEph is the inverse of EphTypingSubject, EphPresenceSubject and EphReadSubject. It allocates nothing: the ids are parts of
// subject. The error is ErrBadSubject.
func ParseEph(subject string) (Ephemeral, error) {
	rest, ok := strings.CutPrefix(subject, ephPrefix)
	ws, rest, _ := strings.Cut(rest, ".")
	kind, id, _ := strings.Cut(rest, ".")
	if !ok || !chat.IsID(ws) || !chat.IsID(id) {
		return Ephemeral{}, ErrBadSubject
	}
	switch kind {
	case ephTyping:
		return Ephemeral{WorkspaceID: chat.WorkspaceID(ws), ChannelID: chat.ChannelID(id)}, nil
	case ephPresence:
		return Ephemeral{WorkspaceID: chat.WorkspaceID(ws), UserID: chat.UserID(id)}, nil
	case ephRead:
		return Ephemeral{WorkspaceID: chat.WorkspaceID(ws), Reader: chat.UserID(id)}, nil
	}
	return Ephemeral{}, ErrBadSubject
}

func ephSubject(ws chat.WorkspaceID, kind, what, id string) (string, error) {
	if !chat.IsID(string(ws)) {
		return "", fmt.Errorf("workspace_id: %w", chat.ErrBadID)
	}
	if !chat.IsID(id) {
		return "", fmt.Errorf("%s: %w", what, chat.ErrBadID)
	}
	return ephPrefix + string(ws) + "." + kind + "." + id, nil
}
