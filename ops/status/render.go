package status

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Render writes a report for a person. color: mark problems for a terminal.
func Render(to io.Writer, r Report, color bool) error {
	var text strings.Builder
	table(&text, "STREAM\tEVENTS\tSIZE\tOF\tFIRST\tLAST\tLAST EVENT\tREPLICAS", len(r.Streams), func(i int) string {
		s := r.Streams[i]
		replicas := strconv.Itoa(s.Replicas)
		if s.Behind > 0 {
			replicas += fmt.Sprintf(" (%d behind)", s.Behind)
		}
		if s.Leader != "" {
			replicas += " " + s.Leader
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s", s.Name, grouped(s.Messages), size(s.Bytes), limit(s.MaxBytes), s.First, s.Last, ago(r.At, s.LastAt), replicas)
	})
	table(&text, "CONSUMER\tOF\tLAG\tNOT DELIVERED\tNOT ACKED\tREDELIVERED\tDONE TO", len(r.Consumers), func(i int) string {
		c := r.Consumers[i]
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%d", c.Name, c.Stream, grouped(c.Lag), grouped(c.Pending), c.AckPending, c.Redelivered, c.Floor)
	})
	table(&text, "PROCESS\tID\tREGION\tSINCE\tSOCKETS\tSTATE", len(r.Processes), func(i int) string {
		p := r.Processes[i]
		sockets, state := "", "ready"
		if p.Role == "gateway" {
			sockets = grouped(uint64(p.Sockets))
			if p.MaxSockets > 0 {
				sockets += " of " + grouped(uint64(p.MaxSockets))
			}
		}
		switch {
		case p.Draining:
			state = "draining"
		case !p.Healthy:
			state = "not ready"
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", p.Role, p.ID, p.Region, ago(r.At, p.StartedAt), sockets, strings.TrimSpace(state+" "+p.Detail))
	})
	if len(r.Problems) == 0 {
		text.WriteString("nothing to look at\n")
	}
	for _, p := range r.Problems {
		if color {
			fmt.Fprintf(&text, "\x1b[31m! %s\x1b[0m\n", p)
			continue
		}
		fmt.Fprintf(&text, "! %s\n", p)
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// table writes rows under a head, and says when there are none.
func table(to *strings.Builder, head string, rows int, row func(i int) string) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for i := range rows {
		fmt.Fprintln(w, row(i))
	}
	if rows == 0 {
		fmt.Fprintln(w, "(none)")
	}
	_ = w.Flush() // a strings.Builder takes everything
	to.WriteByte('\n')
}

func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func size(n uint64) string {
	for _, u := range []struct {
		name  string
		bytes uint64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

func limit(n int64) string {
	if n < 0 {
		return "no limit"
	}
	return size(uint64(n))
}

// ago is how long before now something was.
func ago(now, at time.Time) string {
	if at.IsZero() || at.Year() < 1971 { // the server's zero time
		return "never"
	}
	d := max(0, now.Sub(at))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
