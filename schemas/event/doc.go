// Package event holds what a workspace's log stores: one JSON envelope with a version, the same
// for every kind, and what a reader knows of an event once it is stored.
//
// An event is a flat JSON object, so that an operator reads it with `nats stream view`, and so that
// a gateway makes a client's frame by putting a prefix before its bytes, without decoding them:
//
//	{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c…","sender_id":"u…","client_msg_id":"…","body":"hi"}
//
// What the log itself decides is never in it: seq, ts, prev, type and server_msg_id are reserved for
// frames, and a payload that carries one of them is refused. So is everything that another parser could read
// otherwise than ours, for a client gets the bytes as they are (schemas/ijson).
//
//	kind                                    besides v, kind, epoch, sender_id                 on subject of
//	message.posted                          client_msg_id, body, thread?, attachments?        the channel
//	message.edited                          message_seq, body                                 the channel
//	message.deleted                         message_seq, post? {epoch, sender_id, …}          the channel
//	reaction.added, reaction.removed        message_seq, emoji                                the channel
//	pin.added, pin.removed                  message_seq                                       the channel
//	member.joined, member.left              user_id, role (joined)                            the channel, or the workspace
//	member.updated                          user_id, channel_role                             the channel
//	member.updated                          user_id, role                                     the workspace
//	channel.created, .updated, .archived    channel {name, type, topic, creator_id}           the channel
//	user.updated                            user_id, user {login, display_name, deactivated}  the workspace
//	workspace.updated                       workspace {name}                                  the workspace
//
// sender_id is whoever did it. The post of a deleted message is erased from the log; what stays of it (its epoch, sender_id,
// client_msg_id, thread and ts) is in the delete, so that who has the log alone can tell whose message was deleted. Readers ignore a field that they do not know. A kind that they do not
// know, or a higher v, is carried to clients and stores as it is (Known is false).
//
// schema.json says the same for other people's tools, and testdata holds the bytes of every kind.
//
// The package owns the bytes and what makes them valid. It knows no NATS and no storage.
package event
