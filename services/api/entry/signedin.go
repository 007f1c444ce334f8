package entry

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
)

// Asker is who makes a request: the account, and what the token says of the sign-in.
type Asker struct {
	chat.User
	Claims token.Claims
}

// Handler answers a request of somebody who is signed in.
type Handler func(c echo.Context, me Asker) error

// SignedIn lets in who has a valid token of an account that still is one, as often as the gate lets them. Only the
// header counts: an address gets into logs. A POST with an Idempotency-Key is done once.
func (in *Entry) SignedIn(next Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		me, err := in.asker(c)
		if err != nil {
			return err
		}
		if c.Request().Method == http.MethodPost {
			return in.once(c, me, next)
		}
		return next(c, me)
	}
}

// Either is SignedIn for who comes with a token, and stranger for who comes without.
func (in *Entry) Either(stranger echo.HandlerFunc, next Handler) echo.HandlerFunc {
	signedIn := in.SignedIn(next)
	return func(c echo.Context) error {
		if len(c.Request().Header.Values(echo.HeaderAuthorization)) > 0 {
			return signedIn(c)
		}
		return stranger(c)
	}
}

func (in *Entry) asker(c echo.Context) (Asker, error) {
	given := c.Request().Header.Values(echo.HeaderAuthorization)
	if len(given) != 1 {
		return Asker{}, fault.New(fault.Unauthenticated, `sign in, and send the token as "Authorization: Bearer <token>"`)
	}
	scheme, raw, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return Asker{}, fault.New(fault.Unauthenticated, `send the token as "Authorization: Bearer <token>"`)
	}
	ctx := c.Request().Context()
	claims, err := in.cfg.Tokens.Verify(ctx, strings.TrimSpace(raw))
	if err != nil {
		return Asker{}, err
	}
	if in.cfg.Gate != nil {
		if err := in.cfg.Gate.User(claims.UserID); err != nil {
			return Asker{}, err
		}
	}
	user, err := in.cfg.Accounts.User(ctx, claims.UserID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Asker{}, err
	}
	if err != nil || user.Deactivated {
		return Asker{}, fault.New(fault.Unauthenticated, "the account does not exist, or no longer")
	}
	return Asker{User: user, Claims: claims}, nil
}
