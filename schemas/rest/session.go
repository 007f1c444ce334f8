package rest

import "github.com/canopychat/canopy/schemas/token"

// SetupState says whether the deployment waits for its first visitor.
type SetupState struct {
	Needed bool `json:"needed"`
}

// Setup makes the first account, its workspace and that workspace's first channel.
type Setup struct {
	Code        string `json:"code"`      // that the server printed when it started
	Workspace   string `json:"workspace"` // its name
	Login       string `json:"login"`
	DisplayName string `json:"display_name"` // the login when empty
	Password    string `json:"password"`
	Device      string `json:"device"`
}

// Tokens are what a sign-in has.
type Tokens struct {
	Token        string         `json:"token"`
	ExpiresIn    int64          `json:"expires_in"`    // seconds that the token is valid for
	RefreshToken string         `json:"refresh_token"` // for one POST /token/refresh, which gives another one
	SessionID    token.SignInID `json:"session_id"`    // of the sign-in, as GET /me/sessions lists it
}

// SignedIn answers a Login, a Setup, or the acceptance of an invite.
type SignedIn struct {
	Tokens
	User       User        `json:"user"`
	Workspaces []Workspace `json:"workspaces"`
}

// Refresh asks for new tokens. The refresh token is used up by it.
type Refresh struct {
	RefreshToken string `json:"refresh_token"`
}

// NewPassword changes one's own password. All other sessions end.
type NewPassword struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// Session is one sign-in on a device.
type Session struct {
	ID        token.SignInID `json:"id"`
	Device    string         `json:"device"`
	Address   string         `json:"address,omitempty"` // IP address at the last use
	CreatedAt Time           `json:"created_at"`
	UsedAt    Time           `json:"used_at"` // the sign-in, or the last refresh
	ExpiresAt Time           `json:"expires_at"`
	Current   bool           `json:"current"` // the one that asks
}

// SessionList is the sessions of the one who asks that last, the one used last first. There are at most chat.MaxSignIns.
type SessionList struct {
	Sessions []Session `json:"sessions"`
}

// Ticket opens one socket, once: GET /socket?ticket=.
type Ticket struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

// Gateway is where a socket can be opened.
type Gateway struct {
	ID       string `json:"id"`
	URL      string `json:"url"` // ws:// or wss://, up to /socket
	Region   string `json:"region"`
	Sockets  int    `json:"sockets"`
	Max      int    `json:"max_sockets"`
	Draining bool   `json:"draining,omitempty"`
}

// GatewayList is the gateways that live, in the order in which a client tries them.
type GatewayList struct {
	Gateways []Gateway `json:"gateways"`
}
