package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// requestBudget is how long one request may take. A send alone may take 15 s over an election.
const requestBudget = 25 * time.Second

// What the API needs of the parts behind it. Their errors are *fault.Error where a user may read them.
type (
	// SignIns checks a password: services/auth.
	SignIns interface {
		Login(ctx context.Context, login, password string) (chat.User, token.Issued, error)
	}
	// Tokens checks a token: services/auth.
	Tokens interface {
		Verify(ctx context.Context, raw string) (token.Claims, error)
	}
	// Accounts reads users; services/directory, as are all below up to Directs.
	Accounts interface {
		User(ctx context.Context, id chat.UserID) (chat.User, error)
		Users(ctx context.Context, ids []chat.UserID) ([]chat.User, error)
	}
	// Workspaces are those of a user.
	Workspaces interface {
		WorkspacesOf(ctx context.Context, user chat.UserID) ([]store.Membership, error)
		Workspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error)
		CreateWorkspace(ctx context.Context, by chat.UserID, name string) (store.Membership, error)
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
)

// Config is what an API is made of. All fields but Logger are needed.
type Config struct {
	SignIns    SignIns
	Tokens     Tokens
	Accounts   Accounts
	Workspaces Workspaces
	Channels   Channels
	Joining    Joining
	Editing    Editing
	People     People
	Directs    Directs
	History    History
	Log        event.Submitter
	Logger     *slog.Logger // nil: slog.Default
}

// API answers REST requests. It may be used from many goroutines.
type API struct {
	cfg  Config
	echo *echo.Echo
}

// New makes an API. It opens and starts nothing.
func New(cfg Config) *API {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	a := &API{cfg: cfg, echo: echo.New()}
	// The peer's address as it is: a header that names another one is anybody's to write.
	a.echo.IPExtractor = echo.ExtractIPDirect()
	a.echo.HTTPErrorHandler = a.fail
	a.echo.Use(a.around)
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

// route is the table of calls, in the order of schemas/rest.
func (a *API) route() {
	e, in := a.echo, a.signedIn
	e.GET("/", a.front)
	e.POST("/login", a.login)
	e.GET("/me", in(a.me))
	e.PATCH("/me", in(a.updateMe))

	e.GET("/workspaces", in(a.listWorkspaces))
	e.POST("/workspaces", in(a.createWorkspace))
	e.GET("/workspaces/:workspace", in(a.workspace))
	e.GET("/workspaces/:workspace/members", in(a.listMembers))
	e.GET("/workspaces/:workspace/channels", in(a.listChannels))
	e.POST("/workspaces/:workspace/channels", in(a.createChannel))
	e.POST("/workspaces/:workspace/dms", in(a.openDirect))

	e.GET("/channels/:channel", in(a.channel))
	e.PATCH("/channels/:channel", in(a.updateChannel))
	e.POST("/channels/:channel/join", in(a.join))
	e.POST("/channels/:channel/leave", in(a.leave))
	e.GET("/channels/:channel/members", in(a.listChannelMembers))
	e.POST("/channels/:channel/members", in(a.addMembers))

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

  POST /login {"login", "password"}     a token; send it as "Authorization: Bearer <token>"
  GET  /me                              who you are, and your workspaces
  GET  /workspaces/{id}/channels        what you may see there
  GET  /channels/{id}/messages          history, newest first
  POST /channels/{id}/messages          {"body", "client_msg_id"}
  GET  /socket?workspace={id}           everything as it happens, over WebSocket

Every call is listed in schemas/rest/doc.go, every frame of the socket in schemas/wire/doc.go.
Begin with README.md: https://github.com/canopychat/canopy
`

func (a *API) front(c echo.Context) error { return c.String(http.StatusOK, frontPage) }
