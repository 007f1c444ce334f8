package store

import "time"

// InviteMail is what a mail says that brings an invite: services/directory's neighbour services/accounts hands it to
// whoever sends mail.
type InviteMail struct {
	To        string // address of e-mail
	Workspace string // its name
	InvitedBy string // display name
	URL       string // where the invite leads; empty: the server does not know its own address
	Code      string // of the invite
	ExpiresAt time.Time
}
