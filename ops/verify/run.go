package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/verify/audit"
	"github.com/canopychat/canopy/ops/verify/check/running"
	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/nemesis"
	"github.com/canopychat/canopy/ops/verify/plants"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/report"
	"github.com/canopychat/canopy/ops/verify/site"
	"github.com/canopychat/canopy/ops/verify/workload"
)

// Parts of a run beside its duration.
const (
	peakTime   = 6 * time.Second // in which capacity is measured, in some rounds
	doubleTime = 4 * time.Second // in which twice of it is offered
	tellEvery  = 10 * time.Second
	wordBudget = time.Minute // for everybody to say one last thing
	lookBudget = time.Minute // and to look at what is there then
	closeAfter = time.Minute // for sockets to close

	plantPatience = time.Minute // with a bug much is waited for in vain
)

// run is one run as it goes.
type run struct {
	Options
	rec      *record.Recorder
	site     *site.Site
	work     *workload.Workload
	audit    *audit.Audit
	hub      *nats.Conn // nil: nobody says where it is
	trouble  []string
	recorder atomic.Pointer[record.Recorder] // rec, for who may ask before it is there
}

// Run verifies a deployment. The report says whether all promises hold; the error is that there is no report. When ctx ends in the middle,
// what was broken is mended, and what there is of the record is checked.
func Run(ctx context.Context, o Options) (rep report.Report, err error) {
	if err := o.check(); err != nil {
		return rep, err
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	r := &run{Options: o}
	if err := r.plant(ctx); err != nil {
		return rep, err
	}
	file, err := o.makeRecord()
	if err != nil {
		return rep, err
	}
	if err := r.start(ctx); err != nil {
		return rep, errors.Join(err, discard(file))
	}
	if err := r.knows(); err != nil {
		return rep, errors.Join(err, r.site.Close(), discard(file))
	}
	r.rec = record.NewRecorder(file)
	r.recorder.Store(r.rec)
	err = r.all(ctx)
	if r.hub != nil {
		r.hub.Close()
	}
	if closing := r.site.Close(); closing != nil {
		r.trouble = append(r.trouble, closing.Error())
	}
	if err := errors.Join(err, r.rec.Flush(), file.Close()); err != nil {
		return rep, err
	}
	r.Say("checks the record")
	return judge(file.Name(), r.trouble)
}

// discard takes a record away in which there is nothing.
func discard(file *os.File) error { return errors.Join(file.Close(), os.Remove(file.Name())) }

// plant makes the program with the bug.
func (r *run) plant(ctx context.Context) error {
	if r.Plant == "" {
		return nil
	}
	p, err := plants.Find(r.Plant)
	if err != nil {
		return config.Problemf("--plant: %w", err)
	}
	root, err := plants.SourceRoot()
	if err != nil {
		return config.Problemf("--plant: %w", err)
	}
	r.Say("plants " + p.Name + ": " + p.Story)
	r.Canopy = filepath.Join(r.Dir, "canopy-"+p.Name)
	return plants.Build(ctx, p, root, r.Canopy)
}

// start starts the deployment, or finds it.
func (r *run) start(ctx context.Context) (err error) {
	if r.Local {
		r.site, err = site.Local(ctx, site.LocalOptions{
			Dir: r.Dir, Canopy: r.Canopy, Engines: !r.Files, Say: r.Say, Rec: func() *record.Recorder { return r.recorder.Load() },
		})
		return err
	}
	r.site, err = site.Running(ctx, r.Running)
	return err
}

// all is the run, from the people's arrival to the end of the record. An error is of what cannot be recorded; what goes wrong at the site is
// trouble, and the record goes on.
func (r *run) all(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	r.audit.Before(ctx)
	r.Say("people arrive")
	if err := r.work.Arrive(ctx); err != nil {
		return err
	}
	r.load(ctx)
	// What was broken is mended now. When ctx has ended, somebody wants to go home: what has no end is not compared.
	if ctx.Err() == nil {
		r.end(ctx)
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeAfter)
	defer cancel()
	r.work.Leave(leaving)
	if ctx.Err() != nil {
		return nil
	}
	return r.audit.Finish(ctx)
}

// prepare makes workspaces, people and channels, and begins the record with them.
func (r *run) prepare(ctx context.Context) error {
	r.Say("people and channels are made")
	spaces, passwords, err := r.site.Settle(ctx, r.Seed, r.People)
	if err != nil {
		return err
	}
	cast(spaces)
	began := record.Run{
		Seed: r.Seed, Version: r.Version, Site: r.site.Name, Plant: r.Plant, Began: time.Now().UTC(), Duration: r.Duration, Workspaces: spaces,
		Beyond: r.beyond(),
	}
	r.rec.Add(record.Line{Run: &began})
	var gateways []string
	for _, g := range r.site.Gateways {
		gateways = append(gateways, g.Name)
	}
	r.work, err = workload.New(workload.Config{Seed: r.Seed, Rate: r.Rate, People: r.people(spaces, passwords), Gateways: gateways})
	if err != nil {
		return err
	}
	if r.hub, err = r.site.Hub(); err != nil {
		return fmt.Errorf("the hub: %w", err)
	}
	c := audit.Config{
		Rec: r.rec, Run: began, Hub: r.hub, Cassandra: r.site.CassandraHosts, Keyspace: r.site.Keyspace, Readers: readers(spaces, passwords),
		Ready: r.site.Ready, Lost: r.site.Lost, JobsWait: !r.Local, Say: r.Say,
	}
	if r.Plant != "" {
		c.Patience = plantPatience
	}
	c.APIs, c.Gateways = places(r.site)
	for _, p := range r.site.Processes {
		c.Processes = append(c.Processes, audit.Process{Name: p.Name, Metrics: p.MetricsURL})
	}
	r.audit, err = audit.New(c)
	return err
}

// load has people act and things break, until the time is over and all is mended.
func (r *run) load(ctx context.Context) {
	watching, seen := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { r.audit.Watch(watching) })
	beside.Go(func() { r.progress(watching) })
	defer beside.Wait()
	defer seen()
	r.Say("measures what can be sent, and offers twice that")
	m := r.work.Capacity(ctx, peakTime, doubleTime)
	r.Say(fmt.Sprintf("%.0f sends a second; %.0f of %d when twice that is offered", m.Peak, m.Double, m.Offered))
	b := r.work.Burst(ctx)
	r.Say(fmt.Sprintf("%d sends at once, of one person for each kind of client: refused %d times, %d stored in the end", b.Sent, b.Refused, b.Stored))

	loading, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	var acting sync.WaitGroup
	var acted, broke error
	acting.Go(func() { acted = r.work.Run(loading) })
	if !r.Calm {
		n := nemesis.New(nemesis.Config{Rec: r.rec, Plan: nemesis.Plan(r.Seed, r.levers()), Say: r.Say})
		acting.Go(func() { broke = n.Run(loading) })
	}
	acting.Wait()
	for _, err := range []error{acted, broke} {
		if err != nil {
			r.trouble = append(r.trouble, err.Error())
		}
	}
}

// levers are what may be broken: all there is, or what Only says.
func (r *run) levers() []lever.Lever {
	return slices.DeleteFunc(r.site.Levers(), func(l lever.Lever) bool {
		return len(r.Only) > 0 && !slices.Contains(r.Only, l.Tier) && !slices.Contains(r.Only, l.Tier+"/"+l.Fault)
	})
}

// beyond are the promises that nothing in the run can break: that about stores, where none may be touched.
func (r *run) beyond() map[int]string {
	if !r.Calm && slices.ContainsFunc(r.levers(), func(l lever.Lever) bool { return running.Aside(l.Tier) }) {
		return nil
	}
	return map[int]string{running.WithoutStores: "nothing here breaks a store; --local does"}
}

// knows says which of the ways to break, as they were asked for, are none here.
func (r *run) knows() error {
	var there []string
	for _, l := range r.site.Levers() {
		there = append(there, l.Tier, l.Tier+"/"+l.Fault)
	}
	for _, way := range r.Only {
		if !slices.Contains(there, way) {
			slices.Sort(there)
			return config.Problemf("--only %.60q: nothing can be broken so here; there are %s", way, strings.Join(slices.Compact(there), ", "))
		}
	}
	return nil
}

// end waits until all is quiet, and everybody has been told everything.
func (r *run) end(ctx context.Context) {
	r.Say("waits until all is quiet")
	r.audit.Quiet(ctx)
	speaking, cancel := context.WithTimeout(ctx, wordBudget)
	defer cancel()
	r.work.LastWord(speaking)
	r.audit.Silent(ctx, r.listening)
	r.audit.Quiet(ctx) // of the last words, too
	r.Say("people look back")
	looking, enough := context.WithTimeout(ctx, lookBudget)
	defer enough()
	r.work.LookBack(looking)
}

// progress says how far it is, now and then.
func (r *run) progress(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s := r.rec.Sum()
		r.Say(fmt.Sprintf("%d operations: %d ok, %d refused, %d unknown; %d events told; %d faults", s.OK+s.Refused+s.Unknown, s.OK, s.Refused, s.Unknown, s.Told, s.Faults))
	}
}
