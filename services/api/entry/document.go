package entry

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// documentLife is how long a client may keep a document before it asks whether there is another, in seconds.
const documentLife = "300"

// Document makes the handler of a text that is a part of the program. Who has it already is told that it is the same.
func Document(text string) echo.HandlerFunc {
	sum := sha256.Sum256([]byte(text))
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		h.Set("Cache-Control", "public, max-age="+documentLife)
		h.Set("ETag", tag)
		h.Set(echo.HeaderAccessControlAllowOrigin, "*") // documentation of anybody may show it
		http.ServeContent(c.Response(), c.Request(), "", time.Time{}, strings.NewReader(text))
		return nil
	}
}
