package fanout_test

import (
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

func postOf(ch chat.ChannelID, body string) event.Event {
	return event.Event{Kind: event.MessagePosted, ChannelID: ch, Body: body}
}

func joined(ch chat.ChannelID, user chat.UserID) event.Event {
	return event.Event{Kind: event.MemberJoined, ChannelID: ch, UserID: user, Role: chat.RoleMember}
}

func edited(ch chat.ChannelID, seq chat.Seq, body string) event.Event {
	return event.Event{Kind: event.MessageEdited, ChannelID: ch, MessageSeq: seq, Body: body}
}

func deleted(ch chat.ChannelID, seq chat.Seq) event.Event {
	return event.Event{Kind: event.MessageDeleted, ChannelID: ch, MessageSeq: seq}
}
