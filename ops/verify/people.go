package verify

import (
	"github.com/canopychat/canopy/ops/verify/audit"
	"github.com/canopychat/canopy/ops/verify/crew"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/site"
	"github.com/canopychat/canopy/ops/verify/stranger"
	"github.com/canopychat/canopy/ops/verify/workload"
)

// Whose code acts for somebody (record.Person.Hand).
const (
	byCrew     = "crew"
	byStranger = "stranger"
)

// The parts that some of the people of a workspace play, by their place among them. The first is an admin of it, and stays one.
const (
	absentFrom = 2 // the last so many but one: one is not there on purpose, one may be banned
	enough     = 6 // people that a workspace has for that
)

// cast says whose code acts for whom: half of the people of each region by either.
func cast(spaces []record.Workspace) {
	for _, w := range spaces {
		seen := make(map[string]int)
		for i, p := range w.People {
			w.People[i].Hand = byCrew
			if seen[p.Region]%2 == 1 {
				w.People[i].Hand = byStranger
			}
			seen[p.Region]++
		}
	}
}

// people are those of the workload.
func (r *run) people(spaces []record.Workspace, passwords map[string]string) []workload.Person {
	var all []workload.Person
	for _, w := range spaces {
		ids := make(map[string]string)
		for _, p := range w.People {
			ids[p.Login] = p.ID
		}
		for i, p := range w.People {
			one := workload.Person{Person: p, Workspace: w, Owner: i == 0}
			if len(w.People) >= enough {
				one.Absent, one.Doomed = i == len(w.People)-absentFrom, i == len(w.People)-1
			}
			if p.Hand == byStranger {
				one.Probes = stranger.Probes
			}
			as := crew.Access{
				URL: r.site.URL[p.Region], Sockets: r.sockets(), Workspace: w.ID, Login: p.Login, Password: passwords[p.Login], People: ids,
			}
			one.Open = func(device string) (workload.Hand, error) {
				as := as
				as.Device = device
				if p.Hand == byStranger {
					return stranger.New(stranger.Config{
						Rec: r.rec, REST: as.URL, Sockets: as.Sockets, Login: as.Login, Password: as.Password, Device: device, Workspace: w.ID,
					})
				}
				return crew.New(r.rec, as)
			}
			all = append(all, one)
		}
	}
	return all
}

func (r *run) sockets() map[string]string {
	at := make(map[string]string)
	for _, g := range r.site.Gateways {
		at[g.Name] = g.Socket
	}
	return at
}

// readers are the eyes of the audit: of each workspace its admin, and one of each region who is there all the time.
func readers(spaces []record.Workspace, passwords map[string]string) []audit.Reader {
	var all []audit.Reader
	for _, w := range spaces {
		for i, p := range w.People {
			if len(w.People) < enough || i < len(w.People)-absentFrom {
				all = append(all, audit.Reader{Login: p.Login, Password: passwords[p.Login], Workspace: w.ID, Region: p.Region, Owner: i == 0})
			}
		}
	}
	return all
}

func places(s *site.Site) (apis, gateways []audit.Place) {
	for _, a := range s.APIs {
		apis = append(apis, audit.Place{Name: a.Name, Region: a.Region, URL: a.URL})
	}
	for _, g := range s.Gateways {
		gateways = append(gateways, audit.Place{Name: g.Name, Region: g.Region, URL: g.Socket})
	}
	return apis, gateways
}

// listening are the sockets that are open.
func (r *run) listening() []audit.Conn {
	var all []audit.Conn
	for _, l := range r.work.Listening() {
		all = append(all, audit.Conn{Name: l.Conn, Told: l.Told, Word: l.Word})
	}
	return all
}
