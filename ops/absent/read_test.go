package absent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/count"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// screen is one device of ria's, and what came to it.
type screen struct {
	*live.Conn
	*count.Counter
	name string

	mu     sync.Mutex
	heard  map[chat.ChannelID][]chat.Seq
	read   map[chat.ChannelID]chat.Seq // the furthest mark that it showed
	marked map[chat.ChannelID]chat.Seq // the furthest mark of its own that was acknowledged
}

// waiting is what a channel says of itself.
type waiting struct {
	read             chat.Seq
	unread, mentions int
	more             bool
}

// Three devices of somebody who reads here and there, while others write and gateways and links go.
func threeDevices(t *testing.T, s *site) {
	rooms := []chat.ChannelID{s.places.Channels["one"], s.places.Channels["two"]}
	gateways := s.Gateways["eu"]
	var screens []*screen
	for i, url := range []string{s.Socket(gateways[0]), s.Socket(gateways[1]), ""} {
		screens = append(screens, s.screen(fmt.Sprint("device ", i), url))
	}
	for _, on := range screens {
		s.sees(on, "is there", func() bool { return on.Cursor() != (chat.Cursor{}) })
	}
	enough, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop()
	var mu sync.Mutex
	posted := map[chat.ChannelID]map[chat.Seq]bool{rooms[0]: {}, rooms[1]: {}} // others' messages, and whether they name her; guarded by mu
	for _, p := range []*person{s.alice, s.bob} {
		busy.Go(func() {
			for n := 0; enough.Err() == nil; n++ {
				room, body := rooms[rand.IntN(2)], fmt.Sprint("number ", n)
				named := rand.IntN(3) == 0
				if named {
					body += " for @ria"
				}
				ack, err := p.Post(t.Context(), client.Message{ChannelID: room, Body: body})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				posted[room][ack.Seq] = named
				mu.Unlock()
				_ = client.Wait(enough, time.Duration(20+rand.IntN(100))*time.Millisecond) // the loop looks for the end
			}
		})
	}
	for _, on := range screens {
		busy.Go(func() { on.reads(t, enough) })
	}
	busy.Go(func() { s.neverGoesBack(enough) })

	s.troubles(screens)
	stop()
	busy.Wait()
	s.agree(screens, posted)
}

// troubles makes some, and waits after each until all devices hear again.
func (s *site) troubles(screens []*screen) {
	t := s.t
	pause := func(d time.Duration) {
		if err := client.Wait(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	hearing := func() {
		t.Helper()
		for _, on := range screens {
			before := on.last()
			s.sees(on, "hears again", func() bool { return on.last() > before })
		}
	}
	gateway, link := s.Gateways["eu"][0], s.Links["eu"]
	for _, trouble := range []func(){
		func() {},
		func() { link.Cut(); pause(3 * time.Second); link.Heal() },
		func() {
			if err := gateway.Kill(); err != nil {
				t.Fatal(err)
			}
			pause(time.Second)
			if err := gateway.Start(); err != nil {
				t.Fatal(err)
			}
		},
		func() { link.Reset() },
		func() {
			if err := s.Gateways["eu"][1].Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		pause(time.Second)
		trouble()
		hearing()
	}
	pause(time.Second)
}

// screen opens a socket of another device of ria's, which ends with the test.
func (s *site) screen(name, url string) *screen {
	s.t.Helper()
	in := s.device("ria", name)
	counter := count.New(in)
	on := &screen{
		Conn: live.Connect(in, live.Options{Workspace: s.workspace, URL: url, Watch: counter.Tell}), Counter: counter, name: name,
		heard: map[chat.ChannelID][]chat.Seq{}, read: map[chat.ChannelID]chat.Seq{}, marked: map[chat.ChannelID]chat.Seq{},
	}
	ctx, stop := context.WithCancel(context.Background())
	ended, taken := make(chan error, 2), make(chan struct{})
	go func() { ended <- on.Conn.Run(ctx) }()
	go func() { ended <- counter.Run(ctx) }()
	go func() {
		defer close(taken)
		for e := range on.Events() {
			on.note(e)
		}
	}()
	s.t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, <-ended); err != nil {
			s.t.Errorf("%s ended with %v", name, err)
		}
		<-taken
	})
	return on
}

func (on *screen) note(e live.Event) {
	on.mu.Lock()
	defer on.mu.Unlock()
	switch e := e.(type) {
	case live.Posted:
		on.heard[e.Message.ChannelID] = append(on.heard[e.Message.ChannelID], e.Message.Seq)
	case live.ReadMoved:
		on.read[e.ChannelID] = max(on.read[e.ChannelID], e.Seq)
	}
}

// last is the last message that came.
func (on *screen) last() (last chat.Seq) {
	on.mu.Lock()
	defer on.mu.Unlock()
	for _, all := range on.heard {
		for _, seq := range all {
			last = max(last, seq)
		}
	}
	return last
}

// some is a message that came, one of the latest; 0: none did.
func (on *screen) some() (room chat.ChannelID, seq chat.Seq) {
	on.mu.Lock()
	defer on.mu.Unlock()
	for room, all := range on.heard { // in no order
		return room, all[max(0, len(all)-1-rand.IntN(30))]
	}
	return "", 0
}

// reads marks something as read now and then; also what lies behind what was read already.
func (on *screen) reads(t *testing.T, enough context.Context) {
	for enough.Err() == nil {
		if room, seq := on.some(); seq > 0 {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			pending, err := on.Read(ctx, room, seq)
			if err == nil {
				_, err = pending.Wait(ctx)
			}
			cancel()
			if err != nil {
				t.Errorf("%s cannot mark %d as read: %v", on.name, seq, err)
				return
			}
			on.mu.Lock()
			on.marked[room] = max(on.marked[room], seq)
			on.mu.Unlock()
		}
		_ = client.Wait(enough, time.Duration(100+rand.IntN(400))*time.Millisecond) // the loop looks for the end
	}
}

// neverGoesBack looks at what the server says is read.
func (s *site) neverGoesBack(enough context.Context) {
	last := map[chat.ChannelID]chat.Seq{}
	for enough.Err() == nil {
		for _, state := range s.states() {
			if state.Seq < last[state.ChannelID] {
				s.t.Errorf("ria had read %s up to %d, and now up to %d", state.ChannelID, last[state.ChannelID], state.Seq)
			}
			last[state.ChannelID] = state.Seq
		}
		_ = client.Wait(enough, 200*time.Millisecond) // the loop looks for the end
	}
}

func (s *site) states() []rest.ReadState {
	all, err := s.people["ria"].ReadStates(context.Background(), s.workspace)
	if err != nil {
		s.t.Error(err)
	}
	return all
}

// agree waits until all devices say what the server says, and fails unless that is what was posted and read.
func (s *site) agree(screens []*screen, posted map[chat.ChannelID]map[chat.Seq]bool) {
	t := s.t
	told := map[chat.ChannelID]waiting{}
	for _, state := range s.states() {
		if posted[state.ChannelID] != nil {
			told[state.ChannelID] = waiting{state.Seq, state.Unread, state.Mentions, state.More}
		}
	}
	for room, all := range posted {
		want, marked := waiting{read: told[room].read}, chat.Seq(0)
		for seq, named := range all {
			if seq > want.read {
				want.unread++
				if named {
					want.mentions++
				}
			}
		}
		for _, on := range screens {
			marked = max(marked, on.marked[room])
		}
		if told[room] != want || want.read != marked {
			t.Errorf("of %d messages the server says %+v; that is %+v, and she read up to %d", len(all), told[room], want, marked)
		}
	}
	for _, on := range screens {
		s.sees(on, fmt.Sprint("shows what the server says, ", told), func() bool {
			shown := map[chat.ChannelID]waiting{}
			for room, c := range on.Unread() {
				if posted[room] != nil && c.Sure {
					shown[room] = waiting{c.Read, c.Unread, c.Mentions, c.More}
				}
			}
			return maps.Equal(shown, told)
		})
	}
	t.Logf("in the end all say %v", told)
}

// sees waits until a device sees something.
func (s *site) sees(on *screen, what string, is func() bool) {
	s.t.Helper()
	until(s.t, on.name+" "+what, func() (bool, string) { return is(), fmt.Sprintf("it has heard up to %d; %+v", on.last(), on.Unread()) })
}
