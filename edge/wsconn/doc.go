// Package wsconn speaks WebSocket (RFC 6455) for the gateway: the HTTP upgrade, the frames that
// clients send, and the frames that the server sends. It is the only package that imports gobwas/ws.
//
// It owns the protocol and nothing else:
//
//   - Check and Upgrade turn an HTTP request into a connection; Credentials reads what the request
//     brings to prove who asks.
//   - Parser takes the bytes of a client, in whatever pieces they arrive, and emits events.
//   - AppendText, AppendPing, AppendPong, AppendClose and Frame build the server's frames.
//
// It promises that nothing here blocks except Upgrade (which writes one short answer under a
// deadline), that no goroutine is started, that a client's announced length is never trusted with
// memory, and that the same bytes give the same events and the same error however they are cut.
// An idle connection costs a Parser of 16 bytes and no buffer.
//
// It must not know what a frame says, who is signed in, how a socket is read or when it is late:
// epoll, deadlines, sessions and the JSON inside are the gateway's.
//
// gobwas/ws gives the header type and its rules, the masking, the close-code rules and the answer
// to the upgrade. Its readers and writers of frames work on an io.Reader and block in the middle of
// a frame, so the codec of the header is our own; tests hold it to theirs, byte for byte.
package wsconn
