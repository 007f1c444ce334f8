package ingest

import (
	"unicode/utf8"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// Limits of an attachment's texts. The real ones come with uploading; these keep an event under its own limit.
const maxAttachmentText = 1 << 10 // bytes of its id, name and type together

// check says why c can never be taken, whoever sends it: an id or a field that is malformed.
func check(c *event.Change) error {
	if !chat.IsID(string(c.Workspace)) || !chat.IsID(string(c.ChannelID)) || !chat.IsID(string(c.UserID)) {
		return fault.Wrap(fault.Invalid, chat.ErrBadID, "%v", chat.ErrBadID)
	}
	switch c.Kind {
	case event.MessagePosted:
		return checkPost(c)
	case event.MessageEdited:
		return first(checkTarget(c), checkBody(c.Body, 0))
	case event.ReactionAdded, event.ReactionRemoved:
		return first(checkTarget(c), because(chat.CheckEmoji(c.Emoji)))
	case event.MessageDeleted, event.PinAdded, event.PinRemoved:
		return checkTarget(c)
	}
	return fault.New(fault.Unsupported, "a member of a channel cannot cause a %.40q", string(c.Kind))
}

func checkPost(c *event.Change) error {
	if _, err := chat.ParseClientMsgID(string(c.ClientMsgID)); err != nil {
		return because(err)
	}
	if c.Thread > chat.MaxSeq {
		return fault.New(fault.Invalid, "thread is not the seq of a message")
	}
	if len(c.Attachments) > chat.MaxAttachments {
		return fault.New(fault.Invalid, "a message has at most %d attachments", chat.MaxAttachments)
	}
	for _, a := range c.Attachments {
		text := a.ID + a.Name + a.Type
		if a.ID == "" || a.Size < 0 || len(text) > maxAttachmentText || !utf8.ValidString(text) {
			return fault.New(fault.Invalid, "an attachment is malformed")
		}
	}
	return checkBody(c.Body, len(c.Attachments))
}

// checkBody tells a body that is too long from one that is no text, because the client does different things.
func checkBody(body string, attachments int) error {
	if len(body) > chat.MaxBody {
		return fault.Wrap(fault.TooLarge, chat.ErrBadBody, "%v", chat.ErrBadBody)
	}
	return because(chat.CheckBody(body, attachments))
}

func checkTarget(c *event.Change) error {
	if c.MessageSeq == 0 || c.MessageSeq > chat.MaxSeq {
		return fault.New(fault.Invalid, "seq is not that of a message")
	}
	return nil
}

// because makes an error of schemas/chat, whose text is for users, an Invalid one.
func because(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Invalid, err, "%v", err)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// permit says whether the user may act in the channel at all. Somebody who is not in it is told that it is
// not there, also where it is public: what may be done in it is for its members.
func permit(s chat.Standing) error {
	switch {
	case !s.Role.Valid() || !s.InIt:
		return fault.New(fault.NotFound, "there is no such channel, or you are not in it")
	case !s.MayPost():
		return fault.New(fault.Forbidden, "the channel is archived")
	}
	return nil
}

// permitOn says whether the user may do this to a message by author.
func permitOn(c *event.Change, author chat.UserID) error {
	switch {
	case c.Kind == event.MessageEdited && !c.Standing.MayEdit(author, c.UserID):
		return fault.New(fault.Forbidden, "only its author may edit a message")
	case c.Kind == event.MessageDeleted && !c.Standing.MayDelete(author, c.UserID):
		return fault.New(fault.Forbidden, "only its author and administrators may delete a message")
	}
	return nil
}

// eventOf is what c wishes the log to hold. It takes only the fields that its kind has.
func eventOf(c *event.Change) event.Event {
	e := event.Event{Kind: c.Kind, Epoch: c.Epoch, ChannelID: c.ChannelID, SenderID: c.UserID}
	switch c.Kind {
	case event.MessagePosted:
		e.ClientMsgID, e.Thread, e.Body, e.Attachments = c.ClientMsgID, c.Thread, c.Body, c.Attachments
	case event.MessageEdited:
		e.MessageSeq, e.Body = c.MessageSeq, c.Body
	case event.ReactionAdded, event.ReactionRemoved:
		e.MessageSeq, e.Emoji = c.MessageSeq, c.Emoji
	default:
		e.MessageSeq = c.MessageSeq
	}
	return e
}
