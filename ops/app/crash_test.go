package app_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// kill -9 of the whole process between any two of its lines loses nothing that was acknowledged and doubles nothing
// that is sent again, with JetStream's sync_interval as it is by default and with `always`. (What the two differ in is
// a machine that loses its power: that no test here can show.)
func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]string{"sync by default": nil, "sync always": {"--sync-always"}} {
		t.Run(name, func(t *testing.T) { killAndRestart(t, more) })
	}
}

func killAndRestart(t *testing.T, more []string) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	data := t.TempDir()
	more = append(more, "--listen", freePort(t)) // clients find it again where it was
	p, d := upProcess(t, data, more...)
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general, random := alice.channel("general"), alice.channel("random")
	channels := []string{general, random}
	from := alice.open().hello.Head

	clients := []*client{newClient(alice, channels, 1<<20), newClient(alice, channels, 1<<20), newClient(bob, channels, 1<<20), newClient(bob, nil, 0)}
	var talking, sending sync.WaitGroup
	enough := make(chan struct{})
	for _, c := range clients {
		c.cursor, c.enough = from, enough
		if c.todo > 0 {
			sending.Add(1)
			c.sentAll = sending.Done
		}
		talking.Go(c.run)
	}
	deadline := time.Now().Add(3 * patience)
	rest := &restSender{user: bob, channel: random, acked: make(map[string]uint64)}
	sending.Go(func() {
		for {
			select {
			case <-enough:
				return
			default:
				if !rest.send(deadline) {
					t.Error("REST does not come back")
					return
				}
			}
		}
	})
	for round := range rounds {
		for _, c := range clients { // all are in the middle of it
			for c.resumed.Load() < int64(round) && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond)
			}
		}
		time.Sleep(time.Duration(500+rand.IntN(1000)) * time.Millisecond) // on a busy machine little is said in less
		p.kill()
		starting := canopy(t, upArgs(data, more...)...)
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		starting.kill() // perhaps before it served
		p, _ = upProcess(t, data, more...)
	}
	close(enough)
	sending.Wait()
	(&restSender{user: alice, channel: general, acked: rest.acked}).end(deadline)
	talking.Wait()

	history := make(map[string][]message)
	for _, ch := range channels {
		history[ch], _ = alice.history(ch)
	}
	total := len(rest.acked)
	checkAcked(t, history, rest.acked)
	for _, c := range clients {
		checkAcked(t, history, c.acked)
		c.checkSeen(t, history, from, channels)
		total += len(c.acked)
		if c.resumed.Load() < int64(rounds-1) {
			t.Errorf("a client resumed %d times over %d kills", c.resumed.Load(), rounds)
		}
	}
	t.Logf("%d messages were acknowledged over %d kills; resent: %d, %d, %d", total, rounds, clients[0].resent, clients[1].resent, clients[2].resent)
	if total < 10*rounds {
		t.Errorf("only %d messages: the test proves little", total)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("it ended with %d: %s", code, p.errors)
	}
}
