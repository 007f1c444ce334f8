package consume

import "time"

// RetryDelay is what the server is told of an event that is retried after d, as a consumer with this AckWait and backoff has delivered it.
func RetryDelay(ackWait time.Duration, backoff []time.Duration, d time.Duration, numDelivered int) time.Duration {
	return limits{AckWait: ackWait, Backoff: backoff}.delay(d, numDelivered)
}
