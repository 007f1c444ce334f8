package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/schemas/wire"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

// What the API needs of the parts behind it. Their errors are *fault.Error where a user may read them.
type (
	// SignIns lets people in and changes what they come in with: services/auth.
	SignIns interface {
		Login(ctx context.Context, login, password string, d store.Device) (store.SignedIn, error)
		Begin(ctx context.Context, user chat.User, d store.Device) (store.SignedIn, error)
		Refresh(ctx context.Context, refreshToken string, d store.Device) (store.SignedIn, error)
		Ticket(ctx context.Context, c token.Claims) (ticket string, life time.Duration, err error)
		ChangePassword(ctx context.Context, c token.Claims, old, new string) error
	}
	// Sessions are the sign-ins of a user: services/auth.
	Sessions interface {
		List(ctx context.Context, user chat.UserID) ([]store.SignIn, error)
		Revoke(ctx context.Context, user chat.UserID, id token.SignInID) error
		RevokeOthers(ctx context.Context, user chat.UserID, keep token.SignInID) error
	}
	// Tokens checks a token: services/auth.
	Tokens = entry.Tokens
	// Accounts reads users; services/directory, as are all below up to Directs.
	Accounts interface {
		User(ctx context.Context, id chat.UserID) (chat.User, error)
		Users(ctx context.Context, ids []chat.UserID) ([]chat.User, error)
	}
	// Founding makes the first account with its workspace.
	Founding interface {
		NeedsSetup(ctx context.Context) (bool, error)
		Setup(ctx context.Context, workspace string, owner store.Newcomer) (chat.User, error)
	}
	// Workspaces are those of a user.
	Workspaces interface {
		WorkspacesOf(ctx context.Context, user chat.UserID) ([]store.Membership, error)
		Workspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error)
		CreateWorkspace(ctx context.Context, by chat.UserID, name string) (store.Membership, error)
		UpdateWorkspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID, name string) (store.Membership, error)
	}
	// Roles change what people are in workspaces and channels, and take them out.
	Roles interface {
		SetRole(ctx context.Context, c store.RoleChange) (chat.Member, error)
		RemoveMember(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, user chat.UserID) error
		SetDeactivated(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, d store.Deactivation) (chat.User, error)
		SetChannelRole(ctx context.Context, c store.ChannelRoleChange) error
		RemoveFromChannel(ctx context.Context, by chat.UserID, ch chat.ChannelID, user chat.UserID) error
		ChannelRoles(ctx context.Context, by chat.UserID, ch chat.ChannelID, users []chat.UserID) (map[chat.UserID]chat.ChannelRole, error)
	}
	// Invites bring people in.
	Invites interface {
		CreateInvite(ctx context.Context, i store.NewInvite) (store.Invited, error)
		Invites(ctx context.Context, by chat.UserID, q store.InviteQuery) ([]store.Invite, error)
		RevokeInvite(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, id store.InviteID) error
		Invitation(ctx context.Context, code string) (store.Invitation, error)
		AcceptAsNew(ctx context.Context, code string, who store.Newcomer) (chat.User, error)
		AcceptAs(ctx context.Context, code string, user chat.UserID) (store.Membership, error)
	}
	// Channels are those that a user may see.
	Channels interface {
		Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error)
		ListChannels(ctx context.Context, q store.ChannelQuery) ([]store.ListedChannel, error)
		CreateChannel(ctx context.Context, by chat.UserID, c chat.Channel) (chat.Channel, error)
	}
	// Joining changes who is in a channel.
	Joining interface {
		Join(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, error)
		Leave(ctx context.Context, by chat.UserID, id chat.ChannelID) error
		AddMembers(ctx context.Context, by chat.UserID, id chat.ChannelID, users []chat.UserID) error
	}
	// Editing changes what channels and users say of themselves.
	Editing interface {
		UpdateChannel(ctx context.Context, c store.ChannelChange) (store.ListedChannel, error)
		UpdateProfile(ctx context.Context, by chat.UserID, displayName string) (chat.User, error)
	}
	// People lists members.
	People interface {
		Members(ctx context.Context, q store.PeopleQuery) ([]chat.Member, error)
		ChannelMembers(ctx context.Context, q store.PeopleQuery) ([]chat.UserID, error)
	}
	// Directs opens direct messages.
	Directs interface {
		OpenDirect(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, others []chat.UserID) (c chat.Channel, created bool, err error)
	}
	// History reads messages for those who may: services/history.
	History interface {
		Page(ctx context.Context, place store.ChannelPlace, q store.PageQuery) (store.Reading, error)
		Pins(ctx context.Context, place store.ChannelPlace) (store.Reading, error)
	}
	// Gateways are those that live, in the order in which a client of a workspace and a region tries them.
	Gateways interface {
		Gateways(ws chat.WorkspaceID, region string) []rpc.Process
	}
	// Part is calls that are made elsewhere and go through the same entry.
	Part interface {
		Mount(e *echo.Echo, in *entry.Entry)
	}
	// Gate says whether there is room for one more request. Its errors are RateLimited.
	Gate = entry.Gate
	// Tracer begins the span of a request.
	Tracer = entry.Tracer
)

// Config is what an API is made of. What no comment says may be left out is needed.
type Config struct {
	SignIns    SignIns
	Sessions   Sessions
	Tokens     Tokens
	Accounts   Accounts
	Founding   Founding
	Workspaces Workspaces
	Roles      Roles
	Invites    Invites
	Channels   Channels
	Joining    Joining
	Editing    Editing
	People     People
	Directs    Directs
	History    History
	Gateways   Gateways
	Log        event.Submitter
	Notify     Part // services/api/notify; nil: its calls are not there

	SetupCode   string            // lets the first visitor in; empty: nobody
	Idempotency store.Idempotency // nil: a request with an Idempotency-Key is refused as unsupported
	Gate        Gate              // nil: no limits
	Proxies     []netip.Prefix    // whose X-Forwarded-For is believed; none by default

	Tracer  Tracer                                                     // nil: none
	Request func(route, method string, status int, took time.Duration) // hears of every answered request, by the pattern of its route; nil: nobody
	Refused func(fault.Kind)                                           // hears of every failure that was told; nil: nobody
	Logger  *slog.Logger                                               // nil: slog.Default
}

// What the cursor of a list is of.
const (
	cursorChannels = "c"
	cursorPeople   = "p"
	cursorInvites  = "i"
)

// API answers REST requests. It may be used from many goroutines.
type API struct {
	cfg   Config
	entry *entry.Entry
	echo  *echo.Echo
}

// New makes an API. It opens and starts nothing.
func New(cfg Config) *API {
	a := &API{cfg: cfg, echo: echo.New(), entry: entry.New(entry.Config{
		Tokens: cfg.Tokens, Accounts: cfg.Accounts, Idempotency: cfg.Idempotency, Gate: cfg.Gate, Tracer: cfg.Tracer,
		Proxies: cfg.Proxies, Request: cfg.Request, Refused: cfg.Refused, Logger: cfg.Logger,
	})}
	a.echo.HTTPErrorHandler = a.entry.Fail
	a.echo.Use(a.entry.Around)
	a.route()
	return a
}

// Handler serves the API.
func (a *API) Handler() http.Handler { return http.HandlerFunc(a.serve) }

// serve answers HEAD as GET, whose body net/http then leaves out.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		asGet := *r
		asGet.Method = http.MethodGet
		r = &asGet
	}
	a.echo.ServeHTTP(w, r)
}

// A Route is an address and what it takes.
type Route struct {
	Method string
	Path   string // with {name} for a part that differs
}

// Routes is the table of calls, in no order.
func (a *API) Routes() []Route {
	var all []Route
	for _, r := range a.echo.Routes() {
		if r.Method == echo.RouteNotFound {
			continue
		}
		parts := strings.Split(r.Path, "/")
		for i, part := range parts {
			if name, ok := strings.CutPrefix(part, ":"); ok {
				parts[i] = "{" + name + "}"
			}
		}
		all = append(all, Route{Method: r.Method, Path: strings.Join(parts, "/")})
	}
	return all
}

// route is the table of calls, in the order of schemas/rest.
func (a *API) route() {
	e, in := a.echo, a.entry.SignedIn
	e.GET("/", a.front)
	e.GET("/openapi.json", entry.Document(rest.OpenAPI()))
	e.GET("/asyncapi.json", entry.Document(wire.AsyncAPI()))

	e.GET("/setup", a.setupState)
	e.POST("/setup", a.setup)
	e.POST("/login", a.login)
	e.POST("/token/refresh", a.refresh)
	e.POST("/logout", in(a.logout))
	e.POST("/socket/ticket", in(a.ticket))
	e.GET("/gateways", in(a.listGateways))
	e.GET("/me", in(a.me))
	e.PATCH("/me", in(a.updateMe))
	e.PUT("/me/password", in(a.changePassword))
	e.GET("/me/sessions", in(a.listSessions))
	e.DELETE("/me/sessions", in(a.revokeOthers))
	e.DELETE("/me/sessions/:session", in(a.revokeSession))
	e.GET("/invites/:code", a.invitation)
	e.POST("/invites/:code/accept", a.entry.Either(a.acceptAsNew, a.acceptAs))
	a.routeWorkspaces()
	a.routeChannels()
	if a.cfg.Notify != nil {
		a.cfg.Notify.Mount(e, a.entry)
	}
}

func (a *API) routeWorkspaces() {
	e, in := a.echo, a.entry.SignedIn
	e.GET("/workspaces", in(a.listWorkspaces))
	e.POST("/workspaces", in(a.createWorkspace))
	e.GET("/workspaces/:workspace", in(a.workspace))
	e.PATCH("/workspaces/:workspace", in(a.updateWorkspace))
	e.GET("/workspaces/:workspace/members", in(a.listMembers))
	e.PATCH("/workspaces/:workspace/members/:user", in(a.updateMember))
	e.DELETE("/workspaces/:workspace/members/:user", in(a.removeMember))
	e.GET("/workspaces/:workspace/invites", in(a.listInvites))
	e.POST("/workspaces/:workspace/invites", in(a.createInvite))
	e.DELETE("/workspaces/:workspace/invites/:invite", in(a.revokeInvite))
	e.GET("/workspaces/:workspace/channels", in(a.listChannels))
	e.POST("/workspaces/:workspace/channels", in(a.createChannel))
	e.POST("/workspaces/:workspace/dms", in(a.openDirect))
}

func (a *API) routeChannels() {
	e, in := a.echo, a.entry.SignedIn
	e.GET("/channels/:channel", in(a.channel))
	e.PATCH("/channels/:channel", in(a.updateChannel))
	e.POST("/channels/:channel/join", in(a.join))
	e.POST("/channels/:channel/leave", in(a.leave))
	e.GET("/channels/:channel/members", in(a.listChannelMembers))
	e.POST("/channels/:channel/members", in(a.addMembers))
	e.PATCH("/channels/:channel/members/:user", in(a.updateChannelMember))
	e.DELETE("/channels/:channel/members/:user", in(a.removeChannelMember))
	e.GET("/channels/:channel/messages", in(a.listMessages))
	e.POST("/channels/:channel/messages", in(a.post))
	e.PATCH("/channels/:channel/messages/:seq", in(a.edit))
	e.DELETE("/channels/:channel/messages/:seq", in(a.about(event.MessageDeleted)))
	e.GET("/channels/:channel/messages/:seq/replies", in(a.listReplies))
	e.PUT("/channels/:channel/messages/:seq/reactions/:emoji", in(a.react(event.ReactionAdded)))
	e.DELETE("/channels/:channel/messages/:seq/reactions/:emoji", in(a.react(event.ReactionRemoved)))
	e.GET("/channels/:channel/pins", in(a.listPins))
	e.PUT("/channels/:channel/pins/:seq", in(a.about(event.PinAdded)))
	e.DELETE("/channels/:channel/pins/:seq", in(a.about(event.PinRemoved)))
}

// frontPage is what somebody sees who opens the address in a browser.
const frontPage = `This is Canopy: team messaging, where a workspace is one log.

  POST /setup {"code", "workspace", "login", "password"}   the first visitor's account; the server printed the code
  POST /login {"login", "password"}                        a token; send it as "Authorization: Bearer <token>"
  POST /invites/{code}/accept {"login", "password"}        an account for who was invited
  GET  /me                                                 who you are, and your workspaces
  GET  /workspaces/{id}/channels                           what you may see there
  GET  /channels/{id}/messages                             history, newest first
  POST /channels/{id}/messages {"body", "client_msg_id"}   a message
  GET  /workspaces/{id}/read                               what you have not read, and how often you are named
  POST /channels/{id}/scheduled {"body", "at"}             a message for later
  PUT  /workspaces/{id}/preferences {"keywords"}           what you want to be woken for
  GET  /socket?workspace={id}                              everything as it happens, over WebSocket

Every call is in GET /openapi.json (OpenAPI 3.1), every frame of the socket in GET /asyncapi.json (AsyncAPI 3.0).
Begin with README.md: https://github.com/canopychat/canopy
`

func (a *API) front(c echo.Context) error { return c.String(http.StatusOK, frontPage) }
