package clienttest

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rest"
)

// fold is the messages of a channel as they stand now, oldest first.
func (s *Server) fold(ch chat.ChannelID) []rest.Message {
	var all []rest.Message
	for _, e := range s.log {
		if e.ChannelID != ch {
			continue
		}
		if e.Kind == event.MessagePosted {
			all = append(all, rest.Message{
				Seq: e.place.Seq, ServerMsgID: chat.Cursor{Epoch: epoch, Seq: e.place.Seq}.String(), ChannelID: ch, SenderID: e.SenderID,
				Body: e.Body, ClientMsgID: e.ClientMsgID, TS: rest.Time(e.place.At), Thread: e.Thread,
			})
			continue
		}
		for i := range all {
			if m := &all[i]; m.Seq == e.MessageSeq {
				change(m, &e)
			}
		}
	}
	return all
}

func change(m *rest.Message, e *stored) {
	switch e.Kind {
	case event.MessageEdited:
		at := rest.Time(e.place.At)
		m.Body, m.EditedAt = e.Body, &at
	case event.MessageDeleted:
		m.Body, m.Deleted, m.Reactions = "", true, nil
	case event.ReactionAdded:
		m.Reactions = append(m.Reactions, chat.Reaction{Emoji: e.Emoji, UserIDs: []chat.UserID{e.SenderID}})
	case event.ReactionRemoved:
		m.Reactions = slices.DeleteFunc(m.Reactions, func(r chat.Reaction) bool { return r.Emoji == e.Emoji })
	}
}

// history knows before and after.
func (s *Server) history(r *http.Request, _ chat.UserID) (any, error) {
	query := r.URL.Query()
	number := func(text string) chat.Seq {
		n, _ := strconv.ParseUint(text, 10, 48) // none is 0
		return chat.Seq(n)
	}
	all := s.fold(chat.ChannelID(r.PathValue("c")))
	if root := number(r.PathValue("seq")); root != 0 {
		all = slices.DeleteFunc(all, func(m rest.Message) bool { return m.Thread != root })
	}
	limit := int(number(query.Get("limit")))
	if limit == 0 {
		limit = chat.DefaultPageSize
	}
	list := rest.MessageList{Messages: []rest.Message{}, CompleteThrough: 2 * chat.Seq(len(s.log))}
	if after := number(query.Get("after")); after != 0 {
		all = slices.DeleteFunc(all, func(m rest.Message) bool { return m.Seq <= after })
		list.HasMore = len(all) > limit
		all = all[:min(limit, len(all))]
	} else {
		if before := number(query.Get("before")); before != 0 {
			all = slices.DeleteFunc(all, func(m rest.Message) bool { return m.Seq >= before })
		}
		list.HasMore = len(all) > limit
		all = all[max(0, len(all)-limit):]
	}
	slices.Reverse(all)
	list.Messages = append(list.Messages, all...)
	return list, nil
}
