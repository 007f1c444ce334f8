package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Recorder writes a record. All methods may be used from many goroutines.
type Recorder struct {
	began time.Time

	mu  sync.Mutex
	to  *bufio.Writer
	n   int64
	sum Sum
	err error // the first
}

// Sum counts what was written so far.
type Sum struct{ OK, Refused, Unknown, Told, Faults int }

// Sum is what was written so far.
func (r *Recorder) Sum() Sum {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sum
}

func (s *Sum) count(l Line) {
	switch {
	case l.Told != nil:
		s.Told++
	case l.Fault != nil:
		s.Faults++
	case l.Op == nil:
	case l.Op.Outcome == OK:
		s.OK++
	case l.Op.Outcome == Refused:
		s.Refused++
	default:
		s.Unknown++
	}
}

// NewRecorder begins a record: the run's clock stands at zero now.
func NewRecorder(to io.Writer) *Recorder {
	return &Recorder{began: time.Now(), to: bufio.NewWriterSize(to, 1<<20)}
}

// Since is the run's clock.
func (r *Recorder) Since() time.Duration { return time.Since(r.began) }

// Begin numbers an op and notes its start.
func (r *Recorder) Begin(op *Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	op.N, op.Start = r.n, r.Since()
}

// Done notes the end of an op, and writes it.
func (r *Recorder) Done(op Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	op.End = r.Since()
	r.write(Line{Op: &op})
}

// Tell notes when something came, and writes it.
func (r *Recorder) Tell(t Told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Time = r.Since()
	r.write(Line{Told: &t})
}

// Add writes any other line.
func (r *Recorder) Add(l Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(l)
}

// write keeps the first error: a record with a hole is none.
func (r *Recorder) write(l Line) {
	if r.err != nil {
		return
	}
	r.sum.count(l)
	text, err := json.Marshal(l)
	if err == nil {
		_, err = r.to.Write(append(text, '\n'))
	}
	r.err = err
}

// Flush writes what is held back. The error is the first of all.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = r.to.Flush()
	}
	if r.err != nil {
		return fmt.Errorf("write the record: %w", r.err)
	}
	return nil
}

// Record is all lines of a run, each kind in the order in which it was written.
type Record struct {
	Run     Run
	Ops     []Op
	Told    []Told
	Faults  []Fault
	Events  []Event
	Kept    []Kept
	Samples []Sample
	Jobs    []Job
	Letters []Letter
	End     *End // nil: the run was broken off
}

// ErrNoRun says that a record does not begin with what was run.
var ErrNoRun = errors.New("the record does not begin with a run")

// Read reads a record. The error names the line.
func Read(from io.Reader) (*Record, error) {
	r := new(Record)
	decode := json.NewDecoder(bufio.NewReaderSize(from, 1<<20))
	for n := 1; ; n++ {
		var l Line
		err := decode.Decode(&l)
		if errors.Is(err, io.EOF) && n > 1 {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of the record: %w", n, err)
		}
		if (n == 1) != (l.Run != nil) {
			return nil, fmt.Errorf("line %d of the record: %w", n, ErrNoRun)
		}
		r.Add(l)
	}
}

// Add puts a line in its place.
func (r *Record) Add(l Line) {
	switch {
	case l.Run != nil:
		r.Run = *l.Run
	case l.Op != nil:
		r.Ops = append(r.Ops, *l.Op)
	case l.Told != nil:
		r.Told = append(r.Told, *l.Told)
	case l.Fault != nil:
		r.Faults = append(r.Faults, *l.Fault)
	case l.Event != nil:
		r.Events = append(r.Events, *l.Event)
	case l.Kept != nil:
		r.Kept = append(r.Kept, *l.Kept)
	case l.Sample != nil:
		r.Samples = append(r.Samples, *l.Sample)
	case l.Job != nil:
		r.Jobs = append(r.Jobs, *l.Job)
	case l.Letter != nil:
		r.Letters = append(r.Letters, *l.Letter)
	case l.End != nil:
		r.End = l.End
	}
}
