// Package streams spells every name that Canopy has in NATS: streams, consumers, subjects, accounts,
// domains, headers and message ids, with a typed builder and the inverse parser of each; and it holds
// the limits of the streams and consumers, as the JSON files beside this one.
//
// It is the only package that spells a name. A builder refuses an id that is not a plain token with
// chat.ErrBadID and never rewrites it, so no byte of an id can reach another workspace's subject.
// A parser takes exactly what its builder makes. It knows nothing of connections: streams/bus
// connects and reads, streams/publish stores, streams/consume consumes, streams/later keeps what waits, streams/dlq keeps dead letters,
// streams/kv reads and writes buckets, streams/provision applies the files, streams/natsd runs servers.
//
// # Names
//
//	name                                     kind           holds, or who sends it to whom
//	CHAT_<shard>                             stream         chat.<shard>.>: the logs of the workspaces of one shard
//	ADVISORIES                               stream         parked.>, and two advisories of the server: which events were given up or parked
//	DLQ                                      stream         dlq.>: dead letters, each the original with why it ended
//	DELIVERY                                 stream         delivery.>: a job for each message that is owed to somebody, due or waiting
//	SCHED                                    stream         sched.>, due.>: messages and reminders, waiting or due
//	PROBE                                    stream         the last probe of each process
//	KV_<bucket>                              stream         $KV.<bucket>.>: a bucket, one value a key
//	registry                                 bucket, hub    <role>.<id>: a process that lives; it expires 15 s after the last put
//	revocations                              bucket, hub    <sign_in_id>: a sign-in that ended; its TTL is that of a token
//	deadletters                              bucket, hub    ended.<stream>.<consumer>.<seq>: a dead letter that was dealt with;
//	                                                        checked.<stream>.<consumer>: up to where none is missing
//	deadletters                              bucket, hub    ended.<stream>.<consumer>.<seq>: a dead letter that was dealt with, for 30 days;
//	                                                        checked.<stream>.<consumer>: up to where none is missing
//	presence                                 bucket, leaf   <region>.<ws>.<user>.<gateway>: a user's state at a gateway;
//	                                                        <region>.<gateway>: the gateway's lease, with a short TTL
//	presence_all                             bucket, hub    reserved: the presence of all regions, sourced
//	persist                                  consumer       of each CHAT: into the Messages store
//	deliver                                  consumer       of each CHAT: who is owed what
//	deadletter                               consumer       of ADVISORIES: into the DLQ
//	push                                     consumer       of DELIVERY: tries the jobs that are due
//	due                                      consumer       of SCHED: sends what is due
//	chat.<shard>.<ws>.<ch>                   subject        gateway, api → CHAT: an event of a channel
//	chat.<shard>.<ws>.-                      subject        api → CHAT: an event of the whole workspace
//	chat.<shard>.<ws>.>                      filter         Direct Get of one workspace's log
//	chat.<shard>.>                           filter         persist, deliver
//	fan.<shard>.<ws>.<ch>                    subject        CHAT → gateways: the stored event again, at most once, with the Nats-* headers
//	fan.<shard>.<ws>.>                       filter         gateway: one workspace that has somebody online
//	parked.<stream>.<consumer>               subject        any process that consumes → ADVISORIES: an event was parked or given up, and why
//	dlq.<stream>.<consumer>.<seq>            subject        deadletter → DLQ: the dead letter of an event
//	dlq.>                                    filter         canopy dlq
//	delivery.<ws>.<user>                     subject        deliver → DELIVERY: a job that is due
//	delivery.<ws>.<user>.<seq>               subject        push → DELIVERY: the job of a message waits for its next attempt, as a schedule
//	delivery.*.*                             filter         push
//	sched.<ws>.<user>.<id>                   subject        api → SCHED: it waits for its time, as a schedule
//	sched.<ws>.<user>.<id>.decided           subject        api, due → SCHED: whether it became due or was cancelled, once
//	sched.<ws>.<user>.*                      filter         api: what a user has waiting
//	due.<ws>.<user>.<id>                     subject        SCHED itself: its time has come
//	due.>                                    filter         due
//	rpc.directory.session                    request        gateway → api: what a session starts from
//	rpc.directory.keys                       request        gateway → api: the keys that verify tokens
//	eph.<ws>.typing.<ch>                     subject        gateway → gateways: somebody types in a channel; nobody stores it
//	eph.<ws>.presence.<user>                 subject        gateway → gateways: a user's presence changed; nobody stores it
//	eph.<ws>.read.<user>                     subject        api → gateways: a user has read on, for their other devices; nobody stores it
//	eph.<ws>.ask.<region>                    question       gateway → gateways of other regions: who is online there
//	eph.-.lease.<region>.<gateway>           subject        gateway → gateways of other regions: it lives
//	eph.-.lease.>                            filter         gateway: the leases of all
//	eph.<ws>.>                               filter         gateway: one workspace that has somebody online
//	probe.<process>                          subject        any process → PROBE: does the hub store?
//	$KV.<bucket>.<key>                       subject        in the bucket: the value of a key, or the mark of its end
//	$JS.<domain>.API.$KV.<bucket>.<key>      subject        any process → bucket: put or delete, from another domain as well
//	$JS.<domain>.API.STREAM.MSG.GET.KV_<bucket>  request    → the bucket's leader: one key, never stale
//	$JS.<domain>.API.DIRECT.GET.KV_<bucket>  request        → any replica: many keys
//	$JS.<domain>.API.CONSUMER.CREATE.KV_<bucket>.<consumer>  request  → the bucket's leader: watch it; DELETE: no longer
//	rpc.directory.ticket                     request        gateway → api: who a one-time ticket stands for
//	rpc.directory.import                     request        canopy seed → api: users and channels in bulk
//	rpc.history.send                         request        gateway, api → api: the seq of a client_msg_id
//	rpc.history.message                      request        gateway, api → api: one stored message
//	rpc.cursors.read                         request        gateway → api: somebody has read a channel
//	rpc.cursors.delivered                    request        gateway → api: up to where devices have got everything, many at once
//	rpc.deadletter.retry                     request        canopy dlq → deliver: a dead letter, tried again
//	rpc.ledger.show                          request        canopy delivery, api → deliver: what became of a message, for each recipient
//	rpc.admin.<method>                       request        canopy user, workspace, token → api: users, user, workspaces,
//	                                                        workspace, member, invite, token, keys
//	gateway, persist, api, deliver, hub, leaf  service      no methods: $SRV shows which processes have the role
//	$JS.hub.API.DIRECT.GET.<stream>          request        → any replica: one event, or a batch of them
//	$JS.hub.API.STREAM.MSG.GET.<stream>      request        → the stream's leader: one event, never stale
//	$JS.hub.API.STREAM.INFO.<stream>         request        → the stream's leader: what the log holds
//	$JS.hub.API.CONSUMER.INFO.<stream>.<consumer>      request        → the consumer's leader: its limits, what is acknowledged
//	$JS.hub.API.CONSUMER.MSG.NEXT.<stream>.<consumer>  request        service → consumer: the next events
//	$JS.hub.API.STREAM.MSG.DELETE.<stream>   request        persist → the stream's leader: overwrite what a deleted message said;
//	                                                        deliver, deadletter: take a job or a letter out
//	$JS.hub.API.STREAM.PURGE.<stream>        request        api → the stream's leader: what waits on a subject is cancelled
//	$JS.hub.API.INFO                         request        → hub: the probe of the link to it
//	$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.<stream>               a replicated stream has a new leader
//	$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.<stream>.<consumer>  an event was given up
//	$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.<stream>.<consumer>  an event was parked, with its reason
//	<sender>.<client_msg_id>                 Nats-Msg-Id    of a post
//	<sender>.<uuidv7>                        Nats-Msg-Id    of every other change that a user makes
//	job.<ws>.<user>.<seq>.<round>            Nats-Msg-Id    of the first job of a message for a recipient in a round
//	dlq.<stream>.<consumer>.<seq>            Nats-Msg-Id    of a dead letter, and of the note that one is due
//	outbox.<id>                              Nats-Msg-Id    of a change that the Directory made
//	hub                                      domain         JetStream of the hub; a leaf's domain is its region
//	CANOPY, SYS                              account        everything of ours; the server's own
//
// Limits are those of the JSON files. An event is at most chat.MaxStoredEvent bytes with its headers.
package streams
