package postgres

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// known are the texts that were translated. There are as many as the tree has.
var known sync.Map

// textOf is a text as the server takes it.
func textOf(text string) string {
	if done, ok := known.Load(text); ok {
		return done.(string)
	}
	done := translate(text)
	known.Store(text, done)
	return done
}

// spelled are names that differ. A hint of SQLite is left out.
var (
	spelled = strings.NewReplacer(
		// An array, because of a question of its own the planner takes as many rows as it takes to read all of the table.
		"NOT IN (SELECT value FROM json_each(?))", "<> ALL (ARRAY(SELECT jsonb_array_elements_text(?)))",
		"IN (SELECT value FROM json_each(?))", "= ANY (ARRAY(SELECT jsonb_array_elements_text(?)))",
		"IN (SELECT CAST(value AS BIGINT) FROM json_each(?))", "= ANY (ARRAY(SELECT CAST(jsonb_array_elements_text(?) AS BIGINT)))",
		"json_group_array(", "json_agg(",
		"/*pg ", "", "*/", "")
	hint = regexp.MustCompile(`\s+INDEXED BY \w+`)
)

// translate makes a text for PostgreSQL of one of the texts of package relational. A ? in quotes is none of its parameters.
func translate(text string) string {
	text = spelled.Replace(hint.ReplaceAllString(text, ""))
	var out strings.Builder
	highest, quoted := 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\'' {
			quoted = !quoted
		}
		if c != '?' || quoted {
			out.WriteByte(c)
			continue
		}
		end := i + 1
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(text[i+1 : end])
		if err != nil { // without a number it is the one after the highest
			n = highest + 1
		}
		highest = max(highest, n)
		out.WriteString("$" + strconv.Itoa(n))
		i = end - 1
	}
	return out.String()
}
