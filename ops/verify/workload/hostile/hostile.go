// Package hostile is what somebody tries who wants to see or change what is not theirs: requests, frames and queries with ids that name
// nothing, and would name much if anybody put them into a subject, a path or a key; or with ids of another workspace, which are the caller's
// to give. All of it must be refused.
package hostile

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
)

// ids are the hostile ones.
var ids = []string{
	"*", ">", ".", "..", "*.>", "a.b", "\x00", "a\x00", "%", "' or 1=1 --", "a\r\nb", "ÿ", "../..", strings.Repeat("x", 27), strings.Repeat("0", 4000),
}

// Requests that an id of somebody else's, or a hostile one, must not open: of a channel, and of a workspace; and frames.
var (
	channelPaths = []string{
		"GET /channels/%s", "GET /channels/%s/messages", "GET /channels/%s/members", "GET /channels/%s/pins", "POST /channels/%s/join",
		"GET /channels/%s/messages/1/replies", `POST /channels/%s/messages {"body":"x","client_msg_id":"x"}`, `POST /channels/%s/read {"seq":1}`,
		"DELETE /channels/%s/messages/1", "PUT /channels/%s/messages/1/reactions/x", "GET /channels/%s/messages/1/delivery",
	}
	spacePaths = []string{
		"GET /workspaces/%s", "GET /workspaces/%s/channels", "GET /workspaces/%s/members", "GET /workspaces/%s/read",
		`POST /workspaces/%s/channels {"name":"x"}`, "GET /workspaces/%s/scheduled", "GET /workspaces/%s/webhooks", "GET /workspaces/%s/invites",
	}
	frames = []string{
		`{"type":"message.send","channel_id":%s,"body":"x","client_msg_id":"x"}`, `{"type":"message.edit","channel_id":%s,"seq":1,"body":"x"}`,
		`{"type":"message.delete","channel_id":%s,"seq":1}`, `{"type":"reaction.add","channel_id":%s,"seq":1,"emoji":"x"}`,
		`{"type":"cursor.read","channel_id":%s,"seq":1}`,
	}
)

// ID is an id that names nothing.
func ID(rnd *rand.Rand) string { return ids[rnd.IntN(len(ids))] }

// ChannelRequest asks for a channel, «GET /channels/x» or with a body behind the path.
func ChannelRequest(rnd *rand.Rand, id string) string { return request(rnd, channelPaths, id) }

// SpaceRequest asks for a workspace.
func SpaceRequest(rnd *rand.Rand, id string) string { return request(rnd, spacePaths, id) }

// Trespass asks for the nth thing, after the last the first again, of a channel or a workspace that is another's.
func Trespass(n int, channel, space string) string {
	if n %= len(channelPaths) + len(spacePaths); n >= len(channelPaths) {
		return strings.Replace(spacePaths[n-len(channelPaths)], "%s", escaped(space), 1)
	}
	return strings.Replace(channelPaths[n], "%s", escaped(channel), 1)
}

// ListRequest asks for a list of one's own workspace, with a cursor that is none.
func ListRequest(rnd *rand.Rand, space string) string {
	return request(rnd, []string{"GET /workspaces/" + space + "/members?cursor=%s"}, ID(rnd))
}

func request(rnd *rand.Rand, paths []string, id string) string {
	return strings.Replace(paths[rnd.IntN(len(paths))], "%s", escaped(id), 1)
}

// escaped is an id as a path can hold it. Dots are written otherwise too: nobody on the way shall tidy the path up.
func escaped(id string) string { return strings.ReplaceAll(url.PathEscape(id), ".", "%2E") }

// Query is that of a socket of a workspace.
func Query(space string) string { return "workspace=" + url.QueryEscape(space) }

// Frame is about a channel. Its answer will name messageID, when it is a message's, or a ref.
func Frame(rnd *rand.Rand, channel, messageID string) string {
	quoted, err := json.Marshal(channel)
	if err != nil {
		quoted = []byte(`""`) // no text fails
	}
	text := fmt.Sprintf(frames[rnd.IntN(len(frames))], quoted)
	if named := strings.Replace(text, `"client_msg_id":"x"`, fmt.Sprintf(`"client_msg_id":%q`, messageID), 1); named != text {
		return named
	}
	return fmt.Sprintf(`%s,"ref":"probe%d"}`, strings.TrimSuffix(text, "}"), rnd.Uint32())
}
