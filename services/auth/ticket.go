package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// Ticket makes what opens one socket, once, within its life: a browser cannot send a token when it opens one, and an
// address with a token in it would be in logs. Unauthenticated: the sign-in of the token has ended.
func (s *Sessions) Ticket(ctx context.Context, c token.Claims) (ticket string, life time.Duration, err error) {
	if _, err := s.lasting(ctx, c); err != nil {
		return "", 0, err
	}
	ticket, secret := newTicket()
	kept := store.Ticket{Secret: secret, SignInID: c.SignInID, ExpiresAt: s.now().Add(chat.TicketLife)}
	if err := s.cfg.Tickets.AddTicket(ctx, kept); err != nil {
		return "", 0, fmt.Errorf("keep a ticket: %w", err)
	}
	return ticket, chat.TicketLife, nil
}

// Redeem takes a ticket away and says whose it was. Unauthenticated, with one text: it is none, or no longer.
func (s *Sessions) Redeem(ctx context.Context, q rpc.TicketRequest) (rpc.TicketReply, error) {
	secret, err := parseTicket(q.Ticket)
	if err != nil {
		return rpc.TicketReply{}, refuseTicket(err)
	}
	in, err := s.cfg.Tickets.RedeemTicket(ctx, secret, s.now())
	if fault.Is(err, fault.Unauthenticated) {
		return rpc.TicketReply{}, refuseTicket(err)
	}
	if err != nil {
		return rpc.TicketReply{}, fmt.Errorf("redeem a ticket: %w", err)
	}
	return rpc.TicketReply{UserID: in.UserID, SignInID: in.ID, ExpiresAt: in.ExpiresAt}, nil
}

func refuseTicket(err error) error {
	return fault.Wrap(fault.Unauthenticated, err, "the ticket is not valid, or no longer")
}

// lasting reads the sign-in that an access token is of. Unauthenticated, as the Verifier says it: it has ended, or
// it is kept nowhere.
func (s *Sessions) lasting(ctx context.Context, c token.Claims) (store.SignIn, error) {
	in, err := s.cfg.SignIns.SignIn(ctx, c.SignInID)
	if fault.Is(err, fault.NotFound) {
		return store.SignIn{}, refuse(errRevoked)
	}
	if err != nil {
		return store.SignIn{}, fmt.Errorf("read a sign-in: %w", err)
	}
	if in.UserID != c.UserID || !in.Lasts(s.now()) {
		return store.SignIn{}, refuse(errRevoked)
	}
	return in, nil
}
