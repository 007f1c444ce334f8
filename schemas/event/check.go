package event

import (
	"fmt"
	"regexp"

	"github.com/canopychat/canopy/schemas/chat"
)

// kindShape is what every kind looks like, also those of later versions.
var kindShape = regexp.MustCompile(`^[a-z]{1,32}\.[a-z_]{1,32}$`)

// checks says what each kind of version 1 must carry.
var checks = map[Kind]func(*Event) error{
	MessagePosted:   checkPosted,
	MessageEdited:   all(ofChannel, ofMessage, checkText),
	MessageDeleted:  all(ofChannel, ofMessage, checkPost),
	ReactionAdded:   all(ofChannel, ofMessage, checkEmoji),
	ReactionRemoved: all(ofChannel, ofMessage, checkEmoji),
	PinAdded:        all(ofChannel, ofMessage),
	PinRemoved:      all(ofChannel, ofMessage),
	MemberJoined:    all(ofUser, checkRole),
	MemberLeft:      ofUser,
	MemberUpdated:   all(ofUser, checkNewRole),
	ChannelCreated:  all(ofChannel, checkChannel),
	ChannelUpdated:  all(ofChannel, checkChannel),
	ChannelArchived: all(ofChannel, checkChannel),
	UserUpdated:     all(ofUser, checkUser),

	WorkspaceUpdated: checkWorkspace,
}

// check says what makes e unfit to be stored. The error wraps ErrMalformed.
func (e *Event) check() error {
	switch {
	case e.V < 1:
		return e.bad("v must be 1 or more")
	case !kindShape.MatchString(string(e.Kind)):
		return e.bad("kind must be like message.posted")
	case e.Epoch < 1 || e.Epoch > chat.MaxEpoch:
		return e.bad("epoch must be 1 to 16383")
	case e.ChannelID != "" && !chat.IsID(string(e.ChannelID)):
		return e.bad("channel_id is not an id")
	case !chat.IsID(string(e.SenderID)):
		return e.bad("sender_id is not an id")
	}
	if !e.Known() {
		return nil
	}
	return checks[e.Kind](e)
}

func (e *Event) bad(what string) error {
	return fmt.Errorf("%w: %.80q: %s", ErrMalformed, string(e.Kind), what)
}

func all(fns ...func(*Event) error) func(*Event) error {
	return func(e *Event) error {
		for _, fn := range fns {
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	}
}

func checkPosted(e *Event) error {
	if err := ofChannel(e); err != nil {
		return err
	}
	if _, err := chat.ParseClientMsgID(string(e.ClientMsgID)); err != nil {
		return e.bad(err.Error())
	}
	if e.Thread > chat.MaxSeq {
		return e.bad("thread is not a seq")
	}
	if len(e.Attachments) > chat.MaxAttachments {
		return e.bad("too many attachments")
	}
	for _, a := range e.Attachments {
		if a.ID == "" || a.Size < 0 {
			return e.bad("an attachment has no id or a negative size")
		}
	}
	if err := chat.CheckBody(e.Body, len(e.Attachments)); err != nil {
		return e.bad(err.Error())
	}
	return nil
}

func ofChannel(e *Event) error {
	if e.ChannelID == "" {
		return e.bad("channel_id is missing")
	}
	return nil
}

func ofMessage(e *Event) error {
	if e.MessageSeq == 0 || e.MessageSeq > chat.MaxSeq {
		return e.bad("message_seq is missing")
	}
	return nil
}

// checkPost looks at what a delete says of the post; it may say nothing.
func checkPost(e *Event) error {
	if e.Post == nil {
		return nil
	}
	_, err := chat.ParseClientMsgID(string(e.Post.ClientMsgID))
	switch {
	case err != nil:
		return e.bad("post: " + err.Error())
	case e.Post.Epoch < 1 || e.Post.Epoch > chat.MaxEpoch:
		return e.bad("post: epoch must be 1 to 16383")
	case !chat.IsID(string(e.Post.SenderID)):
		return e.bad("post: sender_id is not an id")
	case e.Post.Thread > chat.MaxSeq:
		return e.bad("post: thread is not a seq")
	case e.Post.At.IsZero():
		return e.bad("post: ts is missing")
	}
	return nil
}

func ofUser(e *Event) error {
	if !chat.IsID(string(e.UserID)) {
		return e.bad("user_id is not an id")
	}
	return nil
}

func checkText(e *Event) error {
	if err := chat.CheckBody(e.Body, 0); err != nil {
		return e.bad(err.Error())
	}
	return nil
}

func checkEmoji(e *Event) error {
	if err := chat.CheckEmoji(e.Emoji); err != nil {
		return e.bad(err.Error())
	}
	return nil
}

func checkRole(e *Event) error {
	if !e.Role.Valid() {
		return e.bad("role is not a role")
	}
	return nil
}

// checkNewRole wants the role of the place that the event is about: of the channel, or of the workspace.
func checkNewRole(e *Event) error {
	if e.ChannelID == "" {
		return checkRole(e)
	}
	if !e.ChannelRole.Valid() {
		return e.bad("channel_role is not a role in a channel")
	}
	return nil
}

func checkChannel(e *Event) error {
	if e.Channel == nil || !e.Channel.Type.Valid() {
		return e.bad("channel is missing or of no known type")
	}
	if !chat.IsID(string(e.Channel.CreatorID)) {
		return e.bad("creator_id is not an id")
	}
	return nil
}

func checkWorkspace(e *Event) error {
	if e.Workspace == nil || chat.CheckName(e.Workspace.Name) != nil {
		return e.bad("workspace is missing or its name is none")
	}
	return nil
}

func checkUser(e *Event) error {
	if e.User == nil {
		return e.bad("user is missing")
	}
	return nil
}
