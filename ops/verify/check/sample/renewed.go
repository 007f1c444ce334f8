package sample

import (
	"fmt"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Far is after which seq the log goes on in the renewed record.
const Far = int64(1 << 30)

// Renewed is the sound record with another end: the streams of both workspaces are lost, and their logs begin anew in a second epoch.
// Everybody is told to resync, what was said before is edited, deleted, sent again and read, and replays begin where the new streams do.
func Renewed() *record.Record {
	t := day()
	t.lose()
	t.anew()
	t.histories()
	t.replay("replay of ann at gateway-eu-1", "ann", Far+1, Far+6)
	t.replay("replay of bea at gateway-us-1", "bea", Far+1, Far+6)
	t.replay("replay of cid at gateway-eu-1", "cid", Far+1)
	t.replay("replay of eve at gateway-eu-1", "eve", Far+7)
	t.Record.End = &record.End{Time: t.Tick(), Quiet: true}
	return t.Record
}

// lose looks at what the streams hold, and loses them.
func (t *Tale) lose() {
	begin := t.Tick()
	for _, conn := range []string{Ann, Two, Cid, Eve} {
		t.Told(conn, record.Told{T: record.Offline, Code: "1006"})
	}
	t.Erase(Space, 21)
	for i := range t.Record.Events {
		t.Record.Events[i].Look = 1
	}
	t.epoch = 2
	t.Record.Faults = append(t.Record.Faults, record.Fault{Name: "renew", Tier: "hub", Targets: []string{"all logs"}, Begin: begin, End: t.Tick()})
	for _, of := range [][2]string{{Ann, Space}, {Two, Space}, {Cid, Space}, {Eve, Other}} {
		t.Hello(of[0], of[1], fmt.Sprintf("2.%d", Far), false)
		t.Told(of[0], record.Told{T: record.Resync, Head: Far, Code: "epoch"})
	}
}

// anew is what the logs hold in their second epoch.
func (t *Tale) anew() {
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: General, ID: "a9"}, Far+1, Ann, Two, Cid)
	t.Do(record.Op{Who: "ann", Conn: Ann, F: record.Edit, Channel: General, Message: 35, Body: "ann-e2"},
		record.Event{Seq: Far + 2, Kind: "message.edited"}, Ann, Two, Cid)
	t.Do(record.Op{Who: "ann", Conn: Ann, F: record.Delete, Channel: General, Message: 33},
		record.Event{Seq: Far + 3, Kind: "message.deleted"}, Ann, Two, Cid)
	t.Do(record.Op{Who: "cid", Conn: Cid, F: record.React, Channel: General, Message: 31, Emoji: "+1"},
		record.Event{Seq: Far + 4, Kind: "reaction.added"}, Ann, Two, Cid)
	t.Do(record.Op{Who: "cid", Over: record.REST, F: record.Leave, Channel: General},
		record.Event{Seq: Far + 5, Kind: "member.left", User: "ucid"}, Ann, Two, Cid)
	t.post(record.Op{Who: "bea", Conn: Two, Channel: General, ID: "b4", Thread: 27}, Far+6, Ann, Two)
	t.Op(record.Op{Who: "ann", Conn: Ann, F: record.Send, Channel: General, ID: "a8", Body: "ann-a8", Again: true, Seq: 35, Duplicate: true})
	t.Op(record.Op{Who: "ann", F: record.Page, Over: record.REST, Channel: General, Limit: 50, Complete: Far + 6, Messages: t.Messages(Space, General)})
	t.post(record.Op{Who: "eve", Conn: Eve, Channel: Random, ID: "e2"}, Far+7, Eve)
}
