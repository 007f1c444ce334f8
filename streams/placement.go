package streams

// regionTag begins the tag of hub servers that stand in a region, as server_tags of nats-server has it.
const regionTag = "region:"

// ShardsFor are the shards that the new workspaces of a region are spread over, rising, when placement says which tag the servers
// of a shard have: those of the region itself, when there are any; else those that are placed nowhere; else, when
// all are other regions', all of them. A workspace keeps its shard whatever is placed later: its log does not move
// to another stream by itself.
func ShardsFor(region string, placement map[Shard]string) []Shard {
	var here, nowhere, all []Shard
	for shard := range Shards {
		all = append(all, shard)
		switch placement[shard] {
		case regionTag + region:
			here = append(here, shard)
		case "":
			nowhere = append(nowhere, shard)
		}
	}
	switch {
	case len(here) > 0:
		return here
	case len(nowhere) > 0:
		return nowhere
	}
	return all
}
