package notify

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (n notify) listScheduled(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	all, err := n.cfg.Schedule.List(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	list := rest.ScheduledList{Scheduled: make([]rest.Scheduled, len(all))}
	for i, s := range all {
		list.Scheduled[i] = rest.ScheduledOf(s)
	}
	return entry.Answer(c, http.StatusOK, list)
}

// schedule takes a message for later. Whether its sender may post is for its time to say; they must see the channel now.
func (n notify) schedule(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	var in rest.NewScheduled
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if in.ClientMsgID != "" {
		if _, err := chat.ParseClientMsgID(string(in.ClientMsgID)); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	if in.Thread > chat.MaxSeq {
		return fault.New(fault.Invalid, "thread is the seq of a message")
	}
	if err := checkText("body", in.Body, in.At); err != nil {
		return err
	}
	channel, _, err := n.cfg.Channels.Channel(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return n.waits(c, me, store.NewScheduled{
		Kind: job.Later, WorkspaceID: channel.WorkspaceID, ChannelID: id, Thread: in.Thread, Body: in.Body, At: time.Time(in.At),
		ClientMsgID: in.ClientMsgID,
	})
}

func (n notify) remind(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	var in rest.NewReminder
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if in.ChannelID != "" {
		if _, err := chat.ParseChannelID(string(in.ChannelID)); err != nil {
			return fault.Wrap(fault.Invalid, err, "channel_id: %v", chat.ErrBadID)
		}
	}
	if (in.ChannelID == "") != (in.Seq == 0) || in.Seq > chat.MaxSeq {
		return fault.New(fault.Invalid, "channel_id and seq name the message that a reminder is about: give both or none")
	}
	if err := checkText("text", in.Text, in.At); err != nil {
		return err
	}
	return n.waits(c, me, store.NewScheduled{
		Kind: job.Reminder, WorkspaceID: id, ChannelID: in.ChannelID, Seq: in.Seq, Body: in.Text, At: time.Time(in.At),
	})
}

// checkText says what is wrong with what is to be said, and that a time is missing. Whether the time is ahead, and not too
// far, is for whose clock counts.
func checkText(field, text string, at rest.Time) error {
	if err := chat.CheckBody(text, 0); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s: %v", field, err)
	}
	if time.Time(at).IsZero() {
		return fault.New(fault.Invalid, "at is when: RFC 3339")
	}
	return nil
}

func (n notify) waits(c echo.Context, me entry.Asker, what store.NewScheduled) error {
	made, err := n.cfg.Schedule.Schedule(c.Request().Context(), me.ID, what)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusCreated, rest.ScheduledOf(made))
}

func (n notify) cancel(c echo.Context, me entry.Asker) error {
	ws, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	id, err := entry.ID(c, "scheduled")
	if err != nil {
		return err
	}
	return entry.Done(c, n.cfg.Schedule.Cancel(c.Request().Context(), me.ID, ws, id))
}
