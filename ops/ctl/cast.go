package ctl

import (
	"fmt"
	"math/rand/v2"
)

// cast is who a seed makes and which channels they are in. It follows from two numbers alone.
type cast struct {
	channels []seedChannel // general first
	users    []seedUser
	members  [][]int // of each channel: places in users
}

type seedChannel struct{ name, topic string }

type seedUser struct {
	login, name string
	in          []int // places in cast.channels
}

// maxExtra is how many channels besides general a user is in at most, and the one that would have nobody.
const maxExtra = 4

func newCast(users, channels int) cast {
	c := cast{channels: []seedChannel{{general, ""}}, members: make([][]int, channels+1)}
	for n := range channels {
		c.channels = append(c.channels, seedChannel{fmt.Sprintf("seed-%03d", n+1), topics[n%len(topics)]})
	}
	for n := range users {
		u := seedUser{login: fmt.Sprintf("user%04d", n+1), in: []int{0}}
		r := randomOf(forUsers, n)
		u.name = givenNames[r.IntN(len(givenNames))] + " " + familyNames[r.IntN(len(familyNames))]
		u.in = append(u.in, pickChannels(r, n, users, channels)...)
		for _, channel := range u.in {
			c.members[channel] = append(c.members[channel], n)
		}
		c.users = append(c.users, u)
	}
	return c
}

// pickChannels is some channels besides general, each once. Every channel has somebody: channel n has user n-1,
// counted round.
func pickChannels(r *rand.Rand, user, users, channels int) []int {
	picked := map[int]bool{}
	var list []int
	add := func(channel int) {
		if !picked[channel] {
			picked[channel] = true
			list = append(list, channel)
		}
	}
	for channel := user + 1; channel <= channels; channel += users {
		add(channel)
	}
	if channels > 0 {
		for range 1 + r.IntN(maxExtra) {
			add(1 + r.IntN(channels))
		}
	}
	return list
}

// names are the channels' names.
func (c cast) names(channels []int) []string {
	names := make([]string, len(channels))
	for i, n := range channels {
		names[i] = c.channels[n].name
	}
	return names
}

// What chance decides, each with numbers of its own.
const (
	forUsers uint64 = iota + 1
	forMessages
	forFollowUps
)

// randomOf is chance that is the same in every run.
func randomOf(what uint64, n int) *rand.Rand { return rand.New(rand.NewPCG(what, uint64(n))) }
