package wsconn

import (
	"net/http"
	"slices"
	"strings"
)

// The subprotocols of DESIGN §9.
const (
	// Protocol is the subprotocol of Canopy's frames. Offering it is optional.
	Protocol = "canopy.v1"

	// BearerProtocol is the prefix of a subprotocol that carries a token: a browser can set no other
	// header of a WebSocket's request.
	BearerProtocol = "canopy.bearer."
)

// CredentialKind is what a request brings to prove who asks.
type CredentialKind uint8

// The kinds of credential.
const (
	NoCredential CredentialKind = iota
	Token                       // an access token
	Ticket                      // a one-time ticket of POST /socket/ticket
)

// Credentials is what r brings to prove who asks. The first of these that is there and not empty
// counts: Authorization: Bearer, a canopy.bearer.<token> subprotocol, ?ticket=, ?token=. The order goes
// from the place where a secret is safest to the one where it is most often logged. Nothing is
// verified here.
//
// An Authorization of another scheme is passed over: it may belong to a proxy in front.
func Credentials(r *http.Request) (credential string, kind CredentialKind) {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token := strings.TrimSpace(rest); token != "" && strings.EqualFold(scheme, "Bearer") {
		return token, Token
	}
	for _, protocol := range offered(r) {
		if token := strings.TrimPrefix(protocol, BearerProtocol); token != protocol && token != "" {
			return token, Token
		}
	}
	query := r.URL.Query()
	if ticket := query.Get("ticket"); ticket != "" {
		return ticket, Ticket
	}
	if token := query.Get("token"); token != "" {
		return token, Token
	}
	return "", NoCredential
}

// choose is the subprotocol to answer, or empty for none.
//
// A browser that offered subprotocols drops the connection when the answer names none of them (WHATWG
// WebSockets), so one must be chosen. Protocol comes first: the answer then does not repeat the
// secret. A client that offered nothing but its token gets that back. One that offered only names
// that are not ours gets no answer to them: it wants to speak something else, and may give up.
func choose(offers []string) string {
	if slices.Contains(offers, Protocol) {
		return Protocol
	}
	for _, offer := range offers {
		if strings.HasPrefix(offer, BearerProtocol) {
			return offer
		}
	}
	return ""
}

// offered lists the subprotocols that r offers, in its order.
func offered(r *http.Request) []string {
	return list(r.Header[headerProtocol])
}

// list is the elements of a comma-separated header that may stand in several lines (RFC 9110 §5.6.1).
func list(lines []string) []string {
	var elements []string
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.Trim(element, " \t"); element != "" {
				elements = append(elements, element)
			}
		}
	}
	return elements
}
