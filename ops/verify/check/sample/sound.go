package sample

import (
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Names in the sound record. Ids of people are their logins with a u before them.
const (
	Space   = "w1"
	Other   = "w2"
	General = "c1" // public
	Secret  = "c2" // private: ann and bea, until ann takes bea out
	Direct  = "c3" // ann and bea
	Random  = "d1" // public, of the other workspace

	Ann = "ann/1/1" // conns
	Bea = "bea/1/1"
	Cid = "cid/1/1"
	Two = "bea/1/2" // bea's second one, which resumes
	Eve = "eve/1/1"
)

// Sound is a record in which every promise is kept: ann, bea and cid in one workspace, eve in another; posts, a reply, an edit, a
// delete, reactions, a private channel and a removal from it, sends refused, sent again and of unknown outcome, a socket that
// resumes, one that is told to resync, one who leaves and comes back. Whoever changes it changes the tests of three packages.
func Sound() *record.Record {
	t := day()
	t.audit()
	return t.Record
}

// day is what happens in the sound record.
func day() *Tale {
	t := Begin(record.Run{
		Seed: 7, Version: "v0", Site: "made up", Duration: time.Second,
		Workspaces: []record.Workspace{
			{
				ID: Space, Name: "first",
				Channels: []record.Channel{{ID: General, Name: "general", Type: "public"}, {ID: Secret, Name: "secret", Type: "private"}, {ID: Direct, Type: "dm"}},
				People:   []record.Person{person("ann", "eu", "crew"), person("bea", "us", "stranger"), person("cid", "eu", "crew")},
			},
			{
				ID: Other, Name: "second", Channels: []record.Channel{{ID: Random, Name: "general", Type: "public"}},
				People: []record.Person{person("eve", "eu", "crew")},
			},
		},
	})
	t.settle()
	t.morning()
	t.away()
	t.removal()
	t.returns()
	return t
}

func person(login, region, hand string) record.Person {
	return record.Person{Login: login, ID: "u" + login, Region: region, Hand: hand}
}

// Hello begins a conn after a cursor of the first epoch.
func (t *Tale) Hello(conn, space, cursor string, resumed bool) {
	t.Told(conn, record.Told{T: record.Hello, Space: space, Cursor: cursor, Resumed: resumed})
}

// settle makes the workspaces: 1 to 19 of the log.
func (t *Tale) settle() {
	made := func(seq int64, kind, channel, sender, user string) {
		t.Event(record.Event{Space: Space, Seq: seq, Kind: kind, Channel: channel, Sender: sender, User: user})
	}
	for i, u := range []string{"uann", "ubea", "ucid"} {
		made(int64(1+i), "member.joined", "", u, u)
	}
	made(10, "channel.created", General, "uann", "")
	made(11, "member.joined", General, "uann", "uann")
	made(12, "member.joined", General, "ubea", "ubea")
	made(13, "member.joined", General, "ucid", "ucid")
	made(14, "channel.created", Secret, "uann", "")
	made(15, "member.joined", Secret, "uann", "uann")
	made(16, "member.joined", Secret, "uann", "ubea")
	made(17, "channel.created", Direct, "uann", "")
	made(18, "member.joined", Direct, "uann", "uann")
	made(19, "member.joined", Direct, "uann", "ubea")
	t.Event(record.Event{Space: Other, Seq: 5, Kind: "channel.created", Channel: Random, Sender: "ueve"})
	t.Event(record.Event{Space: Other, Seq: 6, Kind: "member.joined", Channel: Random, Sender: "ueve", User: "ueve"})
}

// morning is 20 to 26 of the log: all are there.
func (t *Tale) morning() {
	for _, conn := range []string{Ann, Bea, Cid} {
		t.Hello(conn, Space, "1.19", false)
		t.Op(record.Op{Who: conn[:3], F: record.Connect, Conn: conn, Cursor: "1.19"})
	}
	t.Hello(Eve, Other, "1.6", false)
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: General, ID: "a1"}, 20, Ann, Bea, Cid)
	t.post(record.Op{Who: "bea", Conn: Bea, Channel: General, ID: "b1", Thread: 20}, 21, Ann, Bea, Cid)
	t.Do(record.Op{Who: "ann", Conn: Ann, F: record.Edit, Channel: General, Message: 20, Body: "ann-e1"},
		record.Event{Seq: 22, Kind: "message.edited"}, Ann, Bea, Cid)
	t.Do(record.Op{Who: "bea", Conn: Bea, F: record.React, Channel: General, Message: 20, Emoji: "+1"},
		record.Event{Seq: 23, Kind: "reaction.added"}, Ann, Bea, Cid)
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: Secret, ID: "a2"}, 24, Ann, Bea)
	// Of unknown outcome, and stored; sent again later.
	t.Do(record.Op{Who: "bea", Conn: Bea, F: record.Send, Channel: General, ID: "b2", Body: "bea-b2", Outcome: record.Unknown, Code: "timeout"},
		record.Event{Seq: 25, Kind: "message.posted"}, Ann, Bea, Cid)
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: Direct, ID: "a3"}, 26, Ann, Bea)
	t.Told(Ann, record.Told{T: record.Typed, Channel: Direct, User: "ubea"})
	t.Op(record.Op{Who: "bea", Conn: Bea, F: record.Send, Channel: General, ID: "b9", Body: "bea-b9", Outcome: record.Refused, Code: "rate_limited", RetryIn: time.Second})
	t.Op(record.Op{Who: "cid", Conn: Cid, F: record.Send, Channel: General, ID: "n9", Body: "cid-n9", Outcome: record.Unknown, Code: "offline"})
	t.Op(record.Op{Who: "ann", F: record.Page, Over: record.REST, Channel: General, Limit: 50, Complete: 26, Messages: t.Messages(Space, General)})
	t.Op(record.Op{Who: "bea", F: record.Page, Over: record.REST, Channel: Secret, Limit: 50, Complete: 26, Messages: t.Messages(Space, Secret)})
}

// away is 27 and 28 of the log: bea's socket is gone, and she resumes after 26.
func (t *Tale) away() {
	t.Told(Bea, record.Told{T: record.Offline, Code: "1006"})
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: General, ID: "a4"}, 27, Ann, Cid)
	t.Do(record.Op{Who: "bea", Over: record.REST, F: record.Delete, Channel: General, Message: 21},
		record.Event{Seq: 28, Kind: "message.deleted"}, Ann, Cid)
	t.Hello(Two, Space, "1.26", true)
	for _, seq := range []int64{27, 28} {
		t.Told(Two, Telling(t.event(seq)))
	}
	t.Op(record.Op{Who: "bea", F: record.Connect, Conn: Two, Cursor: "1.26", Resumed: true})
	t.Op(record.Op{Who: "bea", Conn: Two, F: record.Send, Channel: General, ID: "b2", Body: "bea-b2", Again: true, Seq: 25, Duplicate: true})
	t.Op(record.Op{Who: "bea", Conn: Two, F: record.Send, Channel: General, ID: "b2", Body: "bea-other", Again: true, Outcome: record.Refused, Code: "conflict"})
}

// removal is 29 to 32 of the log: bea is taken out of the private channel, and cid's socket is told to resync.
func (t *Tale) removal() {
	t.Do(record.Op{Who: "ann", Over: record.REST, F: record.Kick, Channel: Secret, Target: "bea"},
		record.Event{Seq: 29, Kind: "member.left", User: "ubea"}, Ann, Two)
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: Secret, ID: "a5"}, 30, Ann)
	t.Op(record.Op{Who: "bea", F: record.Page, Over: record.REST, Channel: Secret, Limit: 50, Outcome: record.Refused, Code: "not_found"})
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: General, ID: "a6"}, 31, Ann, Two)
	t.post(record.Op{Who: "bea", Conn: Two, Channel: General, ID: "b3", Thread: 27}, 32, Ann, Two)
	t.Told(Cid, record.Told{T: record.Resync, Head: 32, Code: "gap"})
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: General, ID: "a7"}, 33, Ann, Two, Cid)
}

// returns is 34 to 38 of the log: cid leaves and comes back.
func (t *Tale) returns() {
	t.Do(record.Op{Who: "cid", Over: record.REST, F: record.Leave, Channel: General},
		record.Event{Seq: 34, Kind: "member.left", User: "ucid"}, Ann, Two, Cid)
	t.post(record.Op{Who: "ann", Conn: Ann, Channel: General, ID: "a8"}, 35, Ann, Two)
	t.Do(record.Op{Who: "cid", Over: record.REST, F: record.Join, Channel: General},
		record.Event{Seq: 36, Kind: "member.joined", User: "ucid"}, Ann, Two, Cid)
	t.Do(record.Op{Who: "bea", Conn: Two, F: record.Unreact, Channel: General, Message: 20, Emoji: "+1"},
		record.Event{Seq: 37, Kind: "reaction.removed"}, Ann, Two, Cid)
	t.Do(record.Op{Who: "cid", Conn: Cid, F: record.React, Channel: General, Message: 35, Emoji: "eyes"},
		record.Event{Seq: 38, Kind: "reaction.added"}, Ann, Two, Cid)
	t.post(record.Op{Who: "eve", Conn: Eve, Channel: Random, ID: "e1"}, 39, Eve)
	t.Op(record.Op{Who: "ann", F: record.Notify, Channel: General, Message: 32})
}

// audit writes down what all views have once all is quiet. The text of the message that was deleted is erased from the log.
func (t *Tale) audit() {
	t.histories()
	t.replay("replay of ann at gateway-eu-1", "ann", 20, 24, 25, 26, 27, 30, 31, 32, 33, 35)
	t.replay("replay of bea at gateway-us-1", "bea", 20, 24, 25, 26, 27, 31, 32, 33, 35)
	t.replay("replay of cid at gateway-eu-1", "cid", 20, 25, 27, 31, 32, 33)
	t.Erase(Space, 21)
	t.Record.End = &record.End{Time: t.Tick(), Quiet: true}
}

// histories writes down what views of states have.
func (t *Tale) histories() {
	t.Keep(record.Kept{View: "history of ann at api-eu", Who: "ann", Space: Space}, General, Secret, Direct)
	t.Keep(record.Kept{View: "history of bea at api-us", Who: "bea", Space: Space}, General, Direct)
	t.Keep(record.Kept{View: "history of cid at api-eu", Who: "cid", Space: Space}, General)
	t.Keep(record.Kept{View: "history of eve at api-eu", Who: "eve", Space: Other}, Random)
	for _, node := range []string{"cassandra 1", "cassandra 2"} {
		t.Keep(record.Kept{View: node, Space: Space}, General, Secret, Direct)
		t.Keep(record.Kept{View: node, Space: Other}, Random)
	}
}

// replay writes down what somebody knows who was told of everything from the beginning of the log.
func (t *Tale) replay(view, who string, seqs ...int64) {
	for _, seq := range seqs {
		m := t.state[seq]
		t.Record.Kept = append(t.Record.Kept, record.Kept{View: view, Who: who, Space: m.space, Channel: m.channel, Replay: true, Message: m.message})
	}
}

// post is an acknowledged send. Its text is made of who sends it and of its id.
func (t *Tale) post(op record.Op, seq int64, told ...string) {
	op.F, op.Over, op.Body = record.Send, record.Socket, op.Who+"-"+op.ID
	t.Do(op, record.Event{Seq: seq, Kind: "message.posted"}, told...)
}

// event is what the log has at a seq.
func (t *Tale) event(seq int64) record.Event {
	for _, e := range t.Record.Events {
		if e.Seq == seq {
			return e
		}
	}
	return record.Event{}
}
