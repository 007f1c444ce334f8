package registry_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams/registry"
)

func gateway(id string) rpc.Process {
	return rpc.Process{ID: id, Role: "gateway", Region: "eu1", Healthy: true, MaxSockets: 10}
}

func order(ps []rpc.Process) []string {
	ids := make([]string, len(ps))
	for i, p := range ps {
		ids[i] = p.ID
	}
	return ids
}

func without(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(s string) bool { return s == id })
}

// gateways are some with different ids, in any state.
func gateways() *rapid.Generator[[]rpc.Process] {
	one := rapid.Custom(func(t *rapid.T) rpc.Process {
		return rpc.Process{
			ID: rapid.StringMatching(`[0-9a-z]{1,4}`).Draw(t, "id"), Role: "gateway", Region: rapid.SampledFrom([]string{"eu1", "us1"}).Draw(t, "region"),
			Healthy: rapid.Float64().Draw(t, "healthy") < 0.9, Draining: rapid.Float64().Draw(t, "draining") > 0.9,
			Sockets: rapid.IntRange(0, 10).Draw(t, "sockets"), MaxSockets: rapid.SampledFrom([]int{0, 10}).Draw(t, "max"),
		}
	})
	return rapid.SliceOfNDistinct(one, 1, 12, func(p rpc.Process) string { return p.ID })
}

func workspace(t *rapid.T) chat.WorkspaceID {
	return chat.WorkspaceID(rapid.StringMatching(`[0-9a-z]{1,26}`).Draw(t, "ws"))
}

func TestAGatewayThatComesOrGoesMovesOnlyWhatItWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws, all := workspace(t), gateways().Draw(t, "gateways")
		one := rapid.SampledFrom(all).Draw(t, "the one that comes or goes")
		with := order(registry.Rank(ws, "eu1", all))
		others := slices.DeleteFunc(slices.Clone(all), func(p rpc.Process) bool { return p.ID == one.ID })
		left := order(registry.Rank(ws, "eu1", others))
		if !slices.Equal(without(with, one.ID), left) {
			t.Errorf("without %s the order of the others changed: %v, %v", one.ID, with, left)
		}
		if len(left) > 0 && with[0] != one.ID && with[0] != left[0] {
			t.Errorf("%s does not win %s, and moved it from %s to %s", one.ID, ws, with[0], left[0])
		}
	})
}

func TestTheOrderDependsOnNothingButTheEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws, all := workspace(t), gateways().Draw(t, "gateways")
		before := slices.Clone(all)
		want := order(registry.Rank(ws, "eu1", all))
		if !slices.Equal(order(before), order(all)) {
			t.Error("Rank changed what it was given")
		}
		shuffled := rapid.Permutation(all).Draw(t, "shuffled")
		if got := order(registry.Rank(ws, "eu1", shuffled)); !slices.Equal(got, want) {
			t.Errorf("%v, and of the same in another order %v", want, got)
		}
	})
}

func TestThoseThatCannotTakeAnybodyStepBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := func(p rpc.Process) int {
			c := 0
			if p.Region != "eu1" {
				c++
			}
			if p.Draining || !p.Healthy || (p.MaxSockets > 0 && p.Sockets >= p.MaxSockets) {
				c += 2
			}
			return c
		}
		all := gateways().Draw(t, "gateways")
		ranked := registry.Rank(workspace(t), "eu1", all)
		if len(ranked) != len(all) || !slices.IsSortedFunc(ranked, func(a, b rpc.Process) int { return class(a) - class(b) }) {
			t.Errorf("%+v", ranked)
		}
	})
}

func TestOnlyGatewaysAreRanked(t *testing.T) {
	api := gateway("a")
	api.Role = "api"
	if got := order(registry.Rank("w", "eu1", []rpc.Process{api, gateway("g")})); !slices.Equal(got, []string{"g"}) {
		t.Error(got)
	}
	if got := registry.Rank("w", "eu1", nil); got == nil || len(got) != 0 {
		t.Errorf("of none: %v", got)
	}
}

// The hash is part of the contract between processes of different versions.
func TestTheOrderIsTheSameInEveryVersion(t *testing.T) {
	all := []rpc.Process{gateway("g1"), gateway("g2"), gateway("g3"), gateway("g4")}
	got := fmt.Sprint(order(registry.Rank("w1", "eu1", all)), order(registry.Rank("w2", "eu1", all)))
	if want := "[g3 g4 g1 g2] [g3 g1 g4 g2]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWorkspacesSpreadEvenly(t *testing.T) {
	const many = 20000
	all := []rpc.Process{gateway("g1"), gateway("g2"), gateway("g3"), gateway("g4"), gateway("g5")}
	won := map[string]int{}
	for i := range many {
		won[registry.Rank(chat.WorkspaceID(fmt.Sprintf("w%d", i)), "eu1", all)[0].ID]++
	}
	for id, n := range won {
		if share := many / len(all); n < share*9/10 || n > share*11/10 {
			t.Errorf("%s wins %d of %d: %v", id, n, many, won)
		}
	}
}
