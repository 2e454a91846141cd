package question

import (
	"fmt"
	"regexp"
	"strconv"
)

const (
	// MostShards is how many jobs share a question where nothing else is configured.
	MostShards = 8
	perShard   = 25 // a job costs its start: no other one for less
)

// Shards names the parts of a question of n items, "1/2" and "2/2": as many as have 25 items or more each, at most
// most (0: MostShards). None for no items.
func Shards(n, most int) (names []string) {
	if n <= 0 {
		return nil
	}
	if most <= 0 {
		most = MostShards
	}
	of := max(1, min(most, n/perShard))
	for i := range of {
		names = append(names, fmt.Sprintf("%d/%d", i+1, of))
	}
	return names
}

var shards = regexp.MustCompile(`^([1-9][0-9]{0,2})/([1-9][0-9]{0,2})$`)

// Part is the number of a shard, and of how many.
func Part(shard string) (i, of int, err error) {
	m := shards.FindStringSubmatch(shard)
	if m == nil {
		return 0, 0, fmt.Errorf("shard %q isn't one like 1/2", shard)
	}
	i, _ = strconv.Atoi(m[1]) // three digits always are
	of, _ = strconv.Atoi(m[2])
	if i > of {
		return 0, 0, fmt.Errorf("there is no shard %d of %d", i, of)
	}
	return i, of, nil
}

// Mine is a shard's part of a question's items. Every item is in exactly one part; neighbours, which are of the same
// request and age, stay together.
func Mine(items []Item, shard string) ([]Item, error) {
	i, of, err := Part(shard)
	if err != nil {
		return nil, err
	}
	if of > len(items) {
		return nil, fmt.Errorf("a question of %d items has no %d shards", len(items), of)
	}
	return items[(i-1)*len(items)/of : i*len(items)/of], nil
}
