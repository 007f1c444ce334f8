package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var duration = reflect.TypeFor[time.Duration]()

// setText sets f from a flag or the environment.
func (f field) setText(text string) error {
	switch f.value.Kind() {
	case reflect.String:
		return f.set(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%.80q is not true or false", text)
		}
		return f.set(b)
	case reflect.Slice:
		var items []any
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return f.set(items)
	}
	if f.value.Type() == duration {
		return f.set(text)
	}
	n, err := parseSize(text)
	if err != nil {
		return err
	}
	return f.set(n)
}

// set sets f to a value as the parser of the file gives it, if it is of the right type and passes the check.
func (f field) set(v any) error {
	if f.value.Type() == duration {
		return f.setDuration(v)
	}
	switch f.value.Kind() {
	case reflect.String:
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("it wants a text, not %s", kindName(v))
		}
		if err := check(f.is, s); err != nil {
			return err
		}
		f.value.SetString(s)
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			return fmt.Errorf("it wants true or false, not %s", kindName(v))
		}
		f.value.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, ok := v.(int64)
		if !ok {
			return fmt.Errorf("it wants a whole number, not %s", kindName(v))
		}
		if err := checkNumber(f.is, n); err != nil {
			return err
		}
		f.value.SetInt(n)
	case reflect.Slice:
		return f.setList(v)
	}
	return nil
}

func (f field) setDuration(v any) error {
	const want = `it wants a time with its unit, such as "30s" or "72h"`
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s, not %s", want, kindName(v))
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("%s, not %.40q", want, s)
	}
	f.value.SetInt(int64(d))
	return nil
}

func (f field) setList(v any) error {
	items, ok := v.([]any)
	if !ok {
		return fmt.Errorf(`it wants a list, such as ["a", "b"], not %s`, kindName(v))
	}
	var texts []string
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return fmt.Errorf("it wants a list of texts, not of %s", kindName(item))
		}
		if err := check(f.is, s); err != nil {
			return err
		}
		texts = append(texts, s)
	}
	f.value.Set(reflect.ValueOf(texts))
	return nil
}

func kindName(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case bool, int64, float64:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a section"
	case time.Time:
		return "a date"
	}
	return "nothing"
}

// units are the suffixes of sizes, with the meaning that they have in a NATS file.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"tb", 1 << 40},
	{"ki", 1 << 10}, {"mi", 1 << 20}, {"gi", 1 << 30}, {"ti", 1 << 40},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12},
}

// parseSize reads a whole number, with or without a unit.
func parseSize(text string) (int64, error) {
	digits, unit := strings.ToLower(strings.TrimSpace(text)), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > (1<<62)/unit || n < -(1<<62)/unit {
		return 0, fmt.Errorf("%.40q is not a whole number, such as 1000 or 10GB", text)
	}
	return n * unit, nil
}

func checkNumber(is string, n int64) error {
	switch {
	case is == "replicas" && (n < 0 || n > 5):
		return errors.New("it is 1 to 5; 3 is usual for a cluster")
	case n < 0:
		return errors.New("it may not be negative")
	case is == "count" && n > 1<<30:
		return errors.New("it is at most 2^30")
	}
	return nil
}

// Check says what is wrong with c, wherever its values came from. The error is a *Problem.
func (c Config) Check() error {
	for _, f := range fields(&c) {
		if err := f.set(f.plain()); err != nil {
			return Problemf("%s: %w", f.key, err)
		}
	}
	switch s := c.Streams; {
	case (c.Edge.TLSCert == "") != (c.Edge.TLSKey == ""):
		return Problemf("edge.tls_cert and edge.tls_key: one needs the other")
	case s.MaxAge > 0 && s.DedupWindow > s.MaxAge:
		return Problemf("streams.dedup_window: %v is longer than streams.max_age, %v", s.DedupWindow, s.MaxAge)
	case s.DedupWindow > 0 && s.DedupWindow < 100*time.Millisecond, s.MaxAge > 0 && s.MaxAge < 100*time.Millisecond:
		return Problemf("streams.dedup_window and streams.max_age: at least 100ms, says the NATS server")
	case s.SendTimeout > max(sendTimeout, s.DedupWindow/4): // a repetition must come while the log knows the first
		return Problemf("streams.send_timeout: %v is more than %v and than a quarter of streams.dedup_window, %v", s.SendTimeout, sendTimeout, s.DedupWindow)
	case filepath.Clean(c.Data) == string(filepath.Separator):
		return Problemf("data: the root folder is not a folder for data")
	}
	return nil
}

// plain is the field's value as the parser of a file would give it.
func (f field) plain() any {
	switch {
	case f.value.Type() == duration:
		return time.Duration(f.value.Int()).String()
	case f.value.CanInt():
		return f.value.Int()
	case f.value.Kind() == reflect.Slice:
		items := make([]any, f.value.Len())
		for i := range items {
			items[i] = f.value.Index(i).Interface()
		}
		return items
	}
	return f.value.Interface()
}
