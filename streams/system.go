package streams

// SystemJetStream asks, in the system account, every server that is connected for its JetStream: settings, the cluster
// of the streams and its leader. Each answers for itself.
const SystemJetStream = "$SYS.REQ.SERVER.PING.JSZ"

// AbsentStreamDelete is what an edge must not be allowed to ask of the hub, about a stream that is none: who may ask
// is told that it is not there, and nothing is lost.
const AbsentStreamDelete = "$JS." + HubDomain + ".API.STREAM.DELETE.ABSENT"
