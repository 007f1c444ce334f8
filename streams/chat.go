package streams

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

// Shards is how many CHAT streams there are. A workspace's shard is written down when it is
// created, so a greater number later moves nobody.
const Shards = 4

// Shard numbers a CHAT stream, from 0. It is an alias because chat.Workspace.Shard is the same
// number, in a package that cannot import this one.
type Shard = int

var (
	// ErrBadShard says that a number is no shard of this deployment.
	ErrBadShard = errors.New("a shard is a number from 0 to " + strconv.Itoa(Shards-1))
	// ErrBadSubject says that a subject is not of the form that its parser reads.
	ErrBadSubject = errors.New("not a subject of this kind")
	// ErrBadStream says that a name is not that of one of our streams.
	ErrBadStream = errors.New("not one of our streams")
)

const (
	chatPrefix    = "chat."
	fanPrefix     = "fan."
	streamPrefix  = "CHAT_"
	wholeSpace    = "-" // the channel's token of an event of the whole workspace; never an id
	anythingBelow = ".>"
)

// ChatStream is the stream of a shard, CHAT_<shard>. A number that is no shard yields a name that no
// stream has.
func ChatStream(shard Shard) string { return streamPrefix + strconv.Itoa(shard) }

// ChatStreams are the streams of all shards, in their order.
func ChatStreams() []string {
	names := make([]string, Shards)
	for s := range names {
		names[s] = ChatStream(s)
	}
	return names
}

// ParseChatStream is the inverse of ChatStream. The error is ErrBadStream.
func ParseChatStream(name string) (Shard, error) {
	if digits, ok := strings.CutPrefix(name, streamPrefix); ok {
		if shard, ok := parseShard(digits); ok {
			return shard, nil
		}
	}
	return 0, ErrBadStream
}

// A Place is where in the logs an event lies.
type Place struct {
	Shard       Shard
	WorkspaceID chat.WorkspaceID
	ChannelID   chat.ChannelID // empty: the event is about the whole workspace
}

// ChatSubject is what an event is published and stored on, chat.<shard>.<ws>.<ch>; without a
// channel it is that of the events of the whole workspace. The error is ErrBadShard or chat.ErrBadID.
func ChatSubject(shard Shard, ws chat.WorkspaceID, ch chat.ChannelID) (string, error) {
	return placeSubject(chatPrefix, Place{shard, ws, ch})
}

// ChatWorkspaceFilter is every event of a workspace, chat.<shard>.<ws>.>.
// The error is ErrBadShard or chat.ErrBadID.
func ChatWorkspaceFilter(shard Shard, ws chat.WorkspaceID) (string, error) {
	return workspaceFilter(chatPrefix, shard, ws)
}

// ChatShardFilter is every event of a shard, chat.<shard>.>. The error is ErrBadShard.
func ChatShardFilter(shard Shard) (string, error) {
	if !isShard(shard) {
		return "", ErrBadShard
	}
	return chatPrefix + strconv.Itoa(shard) + anythingBelow, nil
}

// ParseChat is the inverse of ChatSubject. It allocates nothing: the ids are parts of subject.
// The error is ErrBadSubject.
func ParseChat(subject string) (Place, error) { return parsePlace(chatPrefix, subject) }

// FanSubject is what the stream republishes a stored event on, fan.<shard>.<ws>.<ch>.
// The error is ErrBadShard or chat.ErrBadID.
func FanSubject(shard Shard, ws chat.WorkspaceID, ch chat.ChannelID) (string, error) {
	return placeSubject(fanPrefix, Place{shard, ws, ch})
}

// FanWorkspaceFilter is every republished event of a workspace, fan.<shard>.<ws>.>: the one
// subscription that a gateway has for it. The error is ErrBadShard or chat.ErrBadID.
func FanWorkspaceFilter(shard Shard, ws chat.WorkspaceID) (string, error) {
	return workspaceFilter(fanPrefix, shard, ws)
}

// ParseFan is the inverse of FanSubject. It allocates nothing: the ids are parts of subject.
// The error is ErrBadSubject.
func ParseFan(subject string) (Place, error) { return parsePlace(fanPrefix, subject) }

func placeSubject(prefix string, p Place) (string, error) {
	channel := string(p.ChannelID)
	if channel == "" {
		channel = wholeSpace
	} else if !chat.IsID(channel) {
		return "", fmt.Errorf("channel_id: %w", chat.ErrBadID)
	}
	head, err := workspacePrefix(prefix, p.Shard, p.WorkspaceID)
	if err != nil {
		return "", err
	}
	return head + "." + channel, nil
}

func workspaceFilter(prefix string, shard Shard, ws chat.WorkspaceID) (string, error) {
	head, err := workspacePrefix(prefix, shard, ws)
	if err != nil {
		return "", err
	}
	return head + anythingBelow, nil
}

func workspacePrefix(prefix string, shard Shard, ws chat.WorkspaceID) (string, error) {
	if !isShard(shard) {
		return "", ErrBadShard
	}
	if !chat.IsID(string(ws)) {
		return "", fmt.Errorf("workspace_id: %w", chat.ErrBadID)
	}
	return prefix + strconv.Itoa(shard) + "." + string(ws), nil
}

// parsePlace runs for every event that a gateway gets, so its failures are constants.
func parsePlace(prefix, subject string) (Place, error) {
	rest, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		return Place{}, ErrBadSubject
	}
	digits, rest, _ := strings.Cut(rest, ".")
	ws, ch, _ := strings.Cut(rest, ".")
	shard, ok := parseShard(digits)
	if !ok || !chat.IsID(ws) {
		return Place{}, ErrBadSubject
	}
	if ch == wholeSpace {
		return Place{Shard: shard, WorkspaceID: chat.WorkspaceID(ws)}, nil
	}
	if !chat.IsID(ch) { // a fifth token would leave a dot in it
		return Place{}, ErrBadSubject
	}
	return Place{shard, chat.WorkspaceID(ws), chat.ChannelID(ch)}, nil
}

func isShard(shard Shard) bool { return shard >= 0 && shard < Shards }

// parseShard takes the one spelling that ChatStream makes: no sign, no leading zero.
func parseShard(digits string) (Shard, bool) {
	n := 0
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' || (c == '0' && i == 0 && len(digits) > 1) {
			return 0, false
		}
		if n = n*10 + int(c-'0'); n >= Shards {
			return 0, false
		}
	}
	return n, digits != ""
}
