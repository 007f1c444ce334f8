// Package wire holds the frames between a client and a gateway: JSON text frames over one WebSocket,
// for one user in one workspace (DESIGN §9). Every frame has "type".
//
// The flow: the client opens GET /socket, with &cursor=<epoch>.<seq> to resume. The gateway says hello;
// then come the events after the cursor (or after hello.head, when there was none), strictly rising in
// seq, each with the seq of the event before it in its channel (prev), so that a client can prove that
// nothing is missing. When a gateway cannot give everything it says resync, and the client reads
// history over REST from what it has. The client's cursor is the seq of the last frame that had one.
//
//	client sends                                                      gateway answers
//	message.send {channel_id, body, client_msg_id, thread?,           message.ack {client_msg_id, channel_id, seq, server_msg_id,
//	              attachments?, retry?, ref?}                                      ts, status: "stored", duplicate}
//	message.edit {channel_id, seq, body, ref}                         ack {ref, seq}
//	message.delete {channel_id, seq, ref}                             ack {ref, seq}
//	reaction.add, reaction.remove {channel_id, seq, emoji, ref}       ack {ref, seq}
//	typing.start {channel_id}                                         nothing; typing to the others, at most one in chat.TypingEvery
//	presence.set {status, text?, ref?}                                presence.update of oneself, with ref
//	presence.query {user_ids, ref?}                                   a presence.update for each, with ref, and from then on for each change
//	cursor.read {channel_id, seq, ref?}                               cursor.read with ref: seq is what counts then, which may be further
//	cursor.delivered {seq}                                            nothing
//	ping {ref}                                                        pong {ref}
//
//	gateway pushes
//	hello {session_id, user_id, workspace_id, epoch, head, resumed, heartbeat_s}
//	message.deliver {channel_id, seq, prev, ts, message}
//	event {kind, channel_id?, seq, prev?, ts, …}                      every other kind of stored event
//	typing {channel_id, user_id, expires_s}                           somebody else writes; it counts for expires_s seconds
//	presence.update {user_id, status, text?, ref?}                    how somebody can be reached: online, away or offline
//	cursor.read {channel_id, seq, ref?}                               the user has read the channel up to seq, on whatever device
//	cursor.stale {}                                                   read marks may have moved without a cursor.read: read them again
//	resync {reason, head}
//	error {code, message, ref?, client_msg_id?, retry_after?}         code is a fault.Kind; retry_after in seconds
//
// prev proves completeness to who is in a channel: it is at most the seq that the client was told last there, or lies at or before the place
// where the telling began, which is hello's cursor or head, a resync's head, or one's own member.joined. It may lie below: what was erased
// from the log after a delete is not named. Of a channel that one is not in, only what the channel is comes (channel.created, .updated,
// .archived), and prev names there what is not shown. A resync whose reason is epoch says that the log began anew, in
// hello's epoch: seqs go on above all of before.
//
// ref is the client's own name for a request, a string or a number of at most 64 bytes, and comes back as
// it was; null is the same as none. Limits: a frame of a client is at most 64 KiB, and I-JSON that nests at most
// 32 deep (schemas/ijson). schema.json says all of it for other people's tools, and testdata holds the bytes.
//
// typing and presence.update have no seq: they may be lost, are no part of the log, and come to those who share a
// channel of at most chat.BroadcastMembers members with the person. In larger ones a client asks for the people that it
// shows (presence.query, at most chat.MaxWatched; each query stands in place of the one before).
//
// cursor.read says that the user has read a channel up to a message. A mark never goes back by itself; one beyond
// what the gateway has of the log counts up to there. All sockets of the user are told, the sender with its ref and perhaps once more
// without one: a client ignores what is not above what it knows. These frames have no seq of the log either and may be lost, as when
// the gateway is cut off from the hub; where it notices, cursor.stale follows. A client reads GET /workspaces/{id}/read when it
// connects and after cursor.stale, at a random moment of a few seconds, because others do too.
//
// cursor.delivered says that the client holds everything up to seq, a seq of its socket's frames: it need not be woken for
// any of that. It is a claim for the sign-in, all of whose sockets count as one device, and reaches no further than what was written to the
// socket. Resuming with a cursor says the same of that one. A client sends at most one a second; one that sends none is
// pushed what it has seen.
//
// The package owns the bytes of frames. It knows no socket: the WebSocket header is edge/wsconn's.
package wire
