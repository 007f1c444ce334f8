package live

import (
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rest"
)

// Event is what a Conn tells: one of the types below. A program passes over those that it does not know.
type Event interface{ isEvent() }

type (
	// Online says that a socket is open, for the first time or again.
	Online struct {
		SessionID   chat.SessionID
		UserID      chat.UserID
		WorkspaceID chat.WorkspaceID
		Cursor      chat.Cursor // what follows comes after it
		Resumed     bool        // it goes on where the cursor of before stood
	}

	// Offline says that the socket is gone, and when the next try is.
	Offline struct {
		Err   error
		Retry time.Duration
	}

	// Posted is a message.
	Posted struct {
		Message rest.Message
		Filled  bool // read from history after a Gap, as it stands now
	}

	// Changed is any other stored event. Kind says which fields count (schemas/event).
	Changed struct {
		Kind       event.Kind
		ChannelID  chat.ChannelID // empty: of the whole workspace
		Seq        chat.Seq       // of the event
		At         time.Time
		SenderID   chat.UserID // who did it
		MessageSeq chat.Seq    // the message that an edit, a delete, a reaction or a pin is about
		Body       string
		Emoji      string
		UserID     chat.UserID // whom it is about
		Role       chat.Role
		Channel    *event.ChannelState
		User       *event.UserState
	}

	// Typing says that somebody is writing, for as long as Expires.
	Typing struct {
		ChannelID chat.ChannelID
		UserID    chat.UserID
		Expires   time.Duration
	}

	// Presence is how somebody is now. Status is online, away or offline.
	Presence struct {
		UserID chat.UserID
		Status string
		Text   string
	}

	// ReadMoved says that the user has read a channel up to Seq, on this device or another. One that is not above what is
	// known says nothing: marks never go back.
	ReadMoved struct {
		ChannelID chat.ChannelID
		Seq       chat.Seq
	}

	// ReadStale says that read marks may have moved without a ReadMoved. So they may at every Online, too. A program
	// that shows what is unread has edge/client/count, or asks client.ReadStates again after a random pause of some seconds.
	ReadStale struct{}

	// Gap says that events of a channel after After, up to and with Through, did not come. When Filled is true the
	// messages among them follow, read from history; what was edited, deleted or reacted to meanwhile is in no
	// event, so a program that shows older messages reads them again. When it is false, nothing of it follows.
	Gap struct {
		ChannelID chat.ChannelID
		After     chat.Seq
		Through   chat.Seq
		Filled    bool
		Err       error // why it is not
	}

	// Resync says that what was stored after From, up to and with Head, will not come. Of each channel that you show,
	// read the history after the last message that you have of it, which may be older than From: an event that got
	// lost shows in the prev of the next one only, and no frame tells of that one. What is stored after Head follows.
	Resync struct {
		Reason string // a wire.ResyncReason
		From   chat.Cursor
		Head   chat.Seq
	}

	// Refused is an error of the server that answers nothing of the outbox: to a typing.start, or about the socket itself,
	// such as moving before a gateway restarts.
	Refused struct{ Err *client.Error }

	// Frame is a frame as it came, told before what it means; only with Options.Raw.
	Frame struct{ Data []byte }
)

func (Online) isEvent()    {}
func (Offline) isEvent()   {}
func (Posted) isEvent()    {}
func (Changed) isEvent()   {}
func (Typing) isEvent()    {}
func (Presence) isEvent()  {}
func (ReadMoved) isEvent() {}
func (ReadStale) isEvent() {}
func (Gap) isEvent()       {}
func (Resync) isEvent()    {}
func (Refused) isEvent()   {}
func (Frame) isEvent()     {}
