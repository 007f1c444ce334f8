package httpd

import "net/url"

// SocketURL is where sockets are opened of what is served at base, an HTTP or WebSocket URL; empty when it is none.
func SocketURL(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
	return u.JoinPath("socket").String()
}
