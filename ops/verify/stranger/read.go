package stranger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// maxPage is the most that a page holds, by the documents.
const maxPage = 200

// page is a page of messages as REST answers it.
type page struct {
	Messages []socket.Message `json:"messages"`
	More     bool             `json:"has_more"`
	Complete *int64           `json:"complete_through"`
}

// read does what changes nothing.
func (h *Hand) read(ctx context.Context, op *record.Op) answer.Answer {
	switch op.F {
	case record.Marks:
		return h.marks(ctx, op)
	case record.Search:
		return h.search(ctx, op)
	}
	query := url.Values{}
	if op.Before > 0 {
		query.Set("before", strconv.FormatInt(op.Before, 10))
	}
	if op.After > 0 {
		query.Set("after", strconv.FormatInt(op.After, 10))
	}
	if op.Limit > 0 {
		query.Set("limit", strconv.Itoa(op.Limit))
	}
	p, a := h.page(ctx, op.Channel, query, op.Phase != "")
	if a.Outcome != record.OK {
		return a
	}
	op.Complete, op.More = *p.Complete, p.More
	for _, m := range p.Messages {
		op.Messages = append(op.Messages, m.Record())
	}
	return a
}

// page reads a page of a channel. That its messages are of the channel is proven here, since a record does not say it.
func (h *Hand) page(ctx context.Context, channel string, query url.Values, one bool) (page, answer.Answer) {
	var p page
	path := "/channels/" + url.PathEscape(channel) + "/messages?" + query.Encode()
	a := h.calls.Do(ctx, call.Call{Method: http.MethodGet, Path: path, Out: &p, Again: true, Reads: true, One: one})
	if a.Outcome != record.OK {
		return page{}, a
	}
	if p.Complete == nil {
		return page{}, answer.Lost(errors.New("the page does not say what it is complete through"))
	}
	for _, m := range p.Messages {
		if !m.Of(channel) {
			return page{}, answer.Lost(fmt.Errorf("the page of %s has message %s of %s", channel, m.ServerMsgID, m.Channel))
		}
	}
	return p, a
}

// search asks for what the documents do not have yet, so that it is noticed when they do.
func (h *Hand) search(ctx context.Context, op *record.Op) answer.Answer {
	var p page
	path := "/workspaces/" + h.space(op) + "/search?q=" + url.QueryEscape(op.Body)
	a := h.rest(ctx, op, call.Call{Method: http.MethodGet, Path: path, Out: &p, Again: true, Reads: true})
	for _, m := range p.Messages {
		op.Messages = append(op.Messages, m.Record())
	}
	return a
}

// marks reads how far all channels are read.
func (h *Hand) marks(ctx context.Context, op *record.Op) answer.Answer {
	var got struct {
		Cursors []struct {
			Channel  string `json:"channel_id"`
			Seq      int64  `json:"seq"`
			Unread   int    `json:"unread"`
			Mentions int    `json:"mentions"`
		} `json:"cursors"`
	}
	a := h.rest(ctx, op, call.Call{Method: http.MethodGet, Path: "/workspaces/" + h.space(op) + "/read", Out: &got, Again: true, Reads: true})
	for _, c := range got.Cursors {
		op.Read = append(op.Read, record.ReadAt{Channel: c.Channel, Seq: c.Seq, Unread: c.Unread, Mentions: c.Mentions})
	}
	return a
}

// History reads all of a channel, newest first. complete is the lowest of what its pages say that they are complete through.
func (h *Hand) History(ctx context.Context, channel string) (all []record.Message, complete int64, err error) {
	for before := int64(0); ; {
		query := url.Values{"limit": {strconv.Itoa(maxPage)}}
		if before > 0 {
			query.Set("before", strconv.FormatInt(before, 10))
		}
		p, a := h.page(ctx, channel, query, false)
		if a.Outcome != record.OK {
			return nil, 0, fmt.Errorf("read the history of %s before %d: %w", channel, before, errors.New(a.Code))
		}
		if before == 0 || *p.Complete < complete {
			complete = *p.Complete
		}
		for _, m := range p.Messages {
			if before > 0 && m.Seq >= before {
				return nil, 0, fmt.Errorf("the history of %s before %d has %d", channel, before, m.Seq)
			}
			before = m.Seq
			all = append(all, m.Record())
		}
		if !p.More {
			return all, complete, nil
		}
		if len(p.Messages) == 0 {
			return nil, 0, fmt.Errorf("the history of %s before %d says that there is more, and has nothing", channel, before)
		}
	}
}
