package wsconn_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/canopychat/canopy/edge/wsconn"
)

func TestCredentials(t *testing.T) {
	for _, c := range []struct {
		name      string
		query     string
		authorize []string
		protocols []string
		want      string
		kind      wsconn.CredentialKind
	}{
		{name: "none"},
		{name: "the header", authorize: []string{"Bearer a.b.c"}, want: "a.b.c", kind: wsconn.Token},
		{name: "the header's scheme in any case", authorize: []string{"bEARER  a.b.c "}, want: "a.b.c", kind: wsconn.Token},
		{name: "a scheme that is not ours", authorize: []string{"Basic dXNlcjpwYXNz"}},
		{name: "a scheme alone", authorize: []string{"Bearer"}},
		{name: "an empty token", authorize: []string{"Bearer "}, protocols: []string{"canopy.bearer."}, query: "token=&ticket="},
		{name: "a longer scheme", authorize: []string{"Bearerx a"}},
		{name: "the subprotocol", protocols: []string{"canopy.bearer.a.b.c"}, want: "a.b.c", kind: wsconn.Token},
		{name: "the subprotocol after another", protocols: []string{"canopy.v1, canopy.bearer.a.b.c"}, want: "a.b.c", kind: wsconn.Token},
		{name: "the subprotocol in a second line", protocols: []string{"canopy.v1", "canopy.bearer.a"}, want: "a", kind: wsconn.Token},
		{name: "a subprotocol in another case", protocols: []string{"Canopy.Bearer.a"}},
		{name: "a ticket", query: "workspace=w&ticket=t1", want: "t1", kind: wsconn.Ticket},
		{name: "a token in the query", query: "token=a.b.c", want: "a.b.c", kind: wsconn.Token},
		{name: "an escaped token", query: "token=a%2Eb", want: "a.b", kind: wsconn.Token},
		{name: "a query that is not one", query: "token=%zz"},
		{
			name: "the header before all", authorize: []string{"Bearer h"}, protocols: []string{"canopy.bearer.p"}, query: "ticket=t&token=q",
			want: "h", kind: wsconn.Token,
		},
		{
			name: "the subprotocol before the query", authorize: []string{"Basic x"}, protocols: []string{"canopy.bearer.p"}, query: "ticket=t&token=q",
			want: "p", kind: wsconn.Token,
		},
		{name: "a ticket before a token in the query", query: "token=q&ticket=t", want: "t", kind: wsconn.Ticket},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/socket?"+c.query, nil)
			r.Header["Authorization"] = c.authorize
			r.Header["Sec-Websocket-Protocol"] = c.protocols
			if got, kind := wsconn.Credentials(r); got != c.want || kind != c.kind {
				t.Errorf("%q of kind %d, want %q of kind %d", got, kind, c.want, c.kind)
			}
		})
	}
}
