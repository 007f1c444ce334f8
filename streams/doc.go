// Package streams spells every name that Canopy has in NATS: streams, consumers, subjects, accounts,
// domains, headers and message ids, with a typed builder and the inverse parser of each; and it holds
// the limits of the streams and consumers, as the JSON files beside this one.
//
// It is the only package that spells a name. A builder refuses an id that is not a plain token with
// chat.ErrBadID and never rewrites it, so no byte of an id can reach another workspace's subject.
// A parser takes exactly what its builder makes. It knows nothing of connections: streams/bus
// connects and reads, streams/publish stores, streams/consume consumes, streams/provision applies the files, streams/natsd runs servers.
//
// # Names
//
//	name                                     kind           holds, or who sends it to whom
//	CHAT_<shard>                             stream         chat.<shard>.>: the logs of the workspaces of one shard
//	ADVISORIES                               stream         what the server said about events that were given up or parked
//	persist                                  consumer       of each CHAT: into the Messages store
//	chat.<shard>.<ws>.<ch>                   subject        gateway, api → CHAT: an event of a channel
//	chat.<shard>.<ws>.-                      subject        api → CHAT: an event of the whole workspace
//	chat.<shard>.<ws>.>                      filter         Direct Get of one workspace's log
//	chat.<shard>.>                           filter         persist
//	fan.<shard>.<ws>.<ch>                    subject        CHAT → gateways: the stored event again, at most once, with the Nats-* headers
//	fan.<shard>.<ws>.>                       filter         gateway: one workspace that has somebody online
//	rpc.directory.session                    request        gateway → api: what a session starts from
//	rpc.directory.keys                       request        gateway → api: the keys that verify tokens
//	rpc.directory.import                     request        canopy seed → api: users and channels in bulk
//	rpc.history.send                         request        gateway, api → api: the seq of a client_msg_id
//	rpc.history.message                      request        gateway, api → api: one stored message
//	$JS.hub.API.DIRECT.GET.<stream>          request        → any replica: one event, or a batch of them
//	$JS.hub.API.STREAM.MSG.GET.<stream>      request        → the stream's leader: one event, never stale
//	$JS.hub.API.STREAM.INFO.<stream>         request        → the stream's leader: what the log holds
//	$JS.hub.API.CONSUMER.INFO.<stream>.<consumer>      request        → the consumer's leader: its limits, what is acknowledged
//	$JS.hub.API.CONSUMER.MSG.NEXT.<stream>.<consumer>  request        service → consumer: the next events
//	$JS.hub.API.STREAM.MSG.DELETE.<stream>   request        persist → the stream's leader: overwrite what a deleted message said
//	$JS.hub.API.INFO                         request        → hub: the probe of the link to it
//	$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.<stream>               a replicated stream has a new leader
//	$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.<stream>.<consumer>  an event was given up
//	$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.<stream>.<consumer>  an event was parked, with its reason
//	<sender>.<client_msg_id>                 Nats-Msg-Id    of a post
//	<sender>.<uuidv7>                        Nats-Msg-Id    of every other change that a user makes
//	outbox.<id>                              Nats-Msg-Id    of a change that the Directory made
//	hub                                      domain         JetStream of the hub; a leaf's domain is its region
//	CANOPY, SYS                              account        everything of ours; the server's own
//
// Limits are those of the JSON files. An event is at most chat.MaxStoredEvent bytes with its headers.
package streams
