package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/streams"
)

// Place says which servers hold a shard: those that have the tag.
type Place struct {
	Shard streams.Shard
	Tag   string // as server_tags of nats-server has it: region:eu
}

// ParsePlacement reads 0=region:eu.
func ParsePlacement(text string) (Place, error) {
	number, tag, ok := strings.Cut(text, "=")
	shard, err := strconv.Atoi(number)
	if !ok || err != nil || shard < 0 || shard >= streams.Shards || tag == "" || strings.ContainsAny(tag, " ,\t") {
		return Place{}, fmt.Errorf("%.60q is not a shard and a tag, such as 0=region:eu; shards are 0 to %d", text, streams.Shards-1)
	}
	return Place{Shard: shard, Tag: tag}, nil
}
