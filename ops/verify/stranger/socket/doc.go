// Package socket is one WebSocket of a stranger: its frames, the proof by prev that nothing is missing among them, who waits for which
// answer, and its heartbeat.
//
//	Open   dials, and reads hello, which says where the telling begins
//	Run    reads until the socket ends; each frame is told as it comes (Opening.Tell), a hole as a Gap, and the end as Offline
//	Ask    sends a frame and waits for what answers it, by its client_msg_id or its ref
//
// It reads frames by the documents of the server alone, and leaves nothing out of what it is told. It does not come back by itself, and
// sends nothing a second time.
package socket
