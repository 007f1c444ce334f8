package local

import (
	"bytes"
	"strings"

	"github.com/canopychat/canopy/ops/deploy"
	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/ops/local/ports"
)

// Client is where people come from, as the From of a Way.
const Client = "client"

// Way is how somebody reaches a process: through a proxy. Between two nodes of the hub there are two, for each of them calls the other;
// which of the two they talk by is theirs to choose.
type Way struct {
	From string // name of a process, or Client
	To   string // name of a process, or front-REGION, cassandra-N, postgres
	*faultproxy.Proxy
}

// leafPrefix is before the region in the name of a leaf.
const leafPrefix = "leaf-"

// wayPlan is a Way before its proxy runs.
type wayPlan struct{ from, to, target, address string }

// way is where a process finds another one, which listens at target: there, or at a proxy before it. Operators, who have no name, see
// everything as it is.
func (p *plan) way(from, to, target string) string {
	if from == "" || !p.o.Proxies && !(p.o.LinkThroughProxy && strings.HasPrefix(from, leafPrefix)) {
		return target
	}
	w := wayPlan{from, to, target, p.address()}
	p.ways = append(p.ways, w)
	return w.address
}

// open says where people reach what listens at an address.
func (p *plan) open(name, at string) { p.outside[name] = p.way(Client, name, at) }

// pave runs the proxies.
func (d *Deployment) pave() error {
	for _, w := range d.plan.ways {
		p, err := faultproxy.New(faultproxy.Config{Target: w.target, Listen: w.address})
		if err != nil {
			return err
		}
		d.life.Start("the way from "+w.from+" to "+w.to, p.Run, nil)
		d.Ways = append(d.Ways, Way{w.from, w.to, p})
		if region, of := strings.CutPrefix(w.from, leafPrefix); of {
			d.Links[region] = append(d.Links[region], p)
		}
	}
	return nil
}

// hubConf is the file of a hub node. With proxies it tells the others of an address at which nobody is: nodes tell each other where the
// third one listens, and would go there past the proxies.
func (p *plan) hubConf() []byte {
	if !p.o.Proxies {
		return deploy.HubConf
	}
	return bytes.Replace(deploy.HubConf, []byte("\ncluster {\n"), []byte("\ncluster {\n  advertise: \""+nowhere+"\"\n"), 1)
}

// nowhere refuses whoever calls: tcpmux, which nobody has.
const nowhere = ports.Host + ":1"
