package sample

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Spoil changes a record as a program says, four bytes a step: which kind of lines, which line, which field, and what becomes of it. It
// is for fuzzing: whatever comes of it, a check must judge it.
func Spoil(r *record.Record, program []byte) {
	for ; len(program) >= 4; program = program[4:] {
		switch step := [4]byte(program); step[0] % 7 {
		case 0:
			r.Ops = spoil(r.Ops, step)
		case 1:
			r.Told = spoil(r.Told, step)
		case 2:
			r.Events = spoil(r.Events, step)
		case 3:
			r.Kept = spoil(r.Kept, step)
		case 4:
			r.Faults = spoil(r.Faults, step)
		case 5:
			r.Samples = spoil(r.Samples, step)
		case 6:
			r.Jobs = spoil(r.Jobs, step)
		}
	}
}

// spoil changes a line of a list, or doubles it.
func spoil[T any](list []T, step [4]byte) []T {
	if len(list) == 0 {
		return list
	}
	line := &list[int(step[1])%len(list)]
	if step[0] >= 0xf0 {
		return append(list, *line)
	}
	fields, others := fieldsOf(*line), fieldsOf(list[int(step[3])%len(list)])
	names := slices.Sorted(maps.Keys(fields))
	if len(names) == 0 {
		return list
	}
	name := names[int(step[2])%len(names)]
	if _, number := fields[name].(float64); number && step[3]%3 == 0 {
		fields[name] = []int64{0, -1, 1, 20, 1 << 62, -1 << 63}[int(step[3]/3)%6]
	} else if fields[name] = others[name]; step[3]%3 == 1 {
		delete(fields, name)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return list
	}
	var spoiled T
	if json.Unmarshal(text, &spoiled) == nil {
		*line = spoiled
	}
	return list
}

// fieldsOf is a line by the names of its fields, without those that are empty.
func fieldsOf(line any) (fields map[string]any) {
	text, err := json.Marshal(line)
	if err != nil || json.Unmarshal(text, &fields) != nil {
		return nil
	}
	return fields
}
