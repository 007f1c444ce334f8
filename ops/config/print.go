package config

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// Print writes every setting as a file that Load reads, with the passwords of URLs taken out.
func (c Config) Print(to io.Writer) error {
	var text strings.Builder
	section, indent := "", ""
	for _, f := range fields(&c) {
		in, name, nested := strings.Cut(f.key, ".")
		if !nested {
			in, name = "", f.key
		}
		if in != section {
			closeSection(&text, section)
			fmt.Fprintf(&text, "\n%s {\n", in)
			section, indent = in, "  "
		}
		fmt.Fprintf(&text, "%s%s: %s\n", indent, name, f.print())
	}
	closeSection(&text, section)
	_, err := io.WriteString(to, text.String())
	return err
}

func closeSection(text *strings.Builder, section string) {
	if section != "" {
		text.WriteString("}\n")
	}
}

func (f field) print() string {
	switch v := f.plain().(type) {
	case string:
		switch {
		case f.value.Type() == duration:
			return quote(shortDuration(time.Duration(f.value.Int())))
		case f.is == "secret" && v != "":
			return quote("xxxxx")
		case f.is == "dsn":
			return quote(Redact(v))
		case f.is == "urls", f.is == "leaf-urls":
			return quote(redactAll(v))
		}
		return quote(v)
	case int64:
		if f.is == "size" {
			return shortSize(v)
		}
		return fmt.Sprint(v)
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = quote(fmt.Sprint(v[i]))
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// quote writes s in double quotes, with the escapes that the parser knows.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}

// shortDuration leaves out the zeros at the end: 72h, not 72h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func shortSize(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if n != 0 && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprint(n)
}

func redactAll(urls string) string {
	parts := strings.Split(urls, ",")
	for i, part := range parts {
		parts[i] = Redact(strings.TrimSpace(part))
	}
	return strings.Join(parts, ",")
}

// Redact is a URL without what lets one in: its password, or its token.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a URL)" // it may hold a password all the same
	}
	if u.User == nil {
		return raw
	}
	if _, both := u.User.Password(); both {
		return u.Redacted()
	}
	u.User = url.User("xxxxx") // a user alone is a token to NATS
	return u.String()
}
