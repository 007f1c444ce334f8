package answer_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

func always(answer.Answer) bool { return true }
func never(answer.Answer) bool  { return false }

// What a series of tries leaves behind.
func TestPersist(t *testing.T) {
	ok, limited := answer.OK(), answer.Refusal("rate_limited", time.Second)
	failed, forbidden, lost := answer.Refusal("unavailable", 0), answer.Refusal("forbidden", 0), answer.Lost(errors.New("it broke"))
	unsent := lost
	unsent.Unsent = true
	const pause = 200 * time.Millisecond
	for name, c := range map[string]struct {
		p       answer.Patience
		came    []answer.Answer
		outcome record.Outcome
		again   bool
		took    time.Duration
	}{
		"an answer":                                  {answer.Patience{Again: always}, []answer.Answer{ok}, record.OK, false, 0},
		"pauses double":                              {answer.Patience{Again: always}, []answer.Answer{failed, lost, ok}, record.OK, true, 3 * pause},
		"what the server says is waited for":         {answer.Patience{Again: never}, []answer.Answer{limited, ok}, record.OK, false, time.Second},
		"what is done once is not tried again":       {answer.Patience{Again: never}, []answer.Answer{failed}, record.Unknown, false, 0},
		"a refusal after a failure settles nothing":  {answer.Patience{Again: always}, []answer.Answer{failed, forbidden}, record.Unknown, true, pause},
		"but it does of what changes nothing":        {answer.Patience{Again: always, Reads: true}, []answer.Answer{failed, forbidden}, record.Refused, false, pause},
		"and of what was not sent":                   {answer.Patience{Again: always}, []answer.Answer{unsent, forbidden}, record.Refused, false, pause},
		"of a measurement the first answer counts":   {answer.Patience{Again: always, One: true}, []answer.Answer{limited}, record.Refused, false, 0},
		"a failure in it is one all the same":        {answer.Patience{Again: always, One: true}, []answer.Answer{lost}, record.Unknown, false, 0},
		"when the time is over the last one counts":  {answer.Patience{Again: always}, []answer.Answer{lost, lost, lost, lost, lost, lost}, record.Unknown, true, 10 * time.Second},
		"a refusal that is for good is not disputed": {answer.Patience{Again: always}, []answer.Answer{forbidden}, record.Refused, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began, tries := time.Now(), 0
				got := answer.Persist(ctx, c.p, func(bool) answer.Answer {
					tries++
					return c.came[tries-1]
				})
				if got.Outcome != c.outcome || got.Again != c.again || tries != len(c.came) || time.Since(began) != c.took {
					t.Errorf("it is %+v after %d tries and %v", got, tries, time.Since(began))
				}
			})
		})
	}
}

// A try is told whether one before it may have been taken.
func TestATryKnowsOfThoseBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		came := []answer.Answer{answer.Refusal("rate_limited", 0), answer.Refusal("internal", 0), answer.OK()}
		var told []bool
		answer.Persist(t.Context(), answer.Patience{Again: always}, func(again bool) answer.Answer {
			told = append(told, again)
			return came[len(told)-1]
		})
		if len(told) != 3 || told[0] || told[1] || !told[2] {
			t.Errorf("they were told %v", told)
		}
	})
}

// Answers of HTTP, by their status, their code and their form.
func TestOf(t *testing.T) {
	for text, c := range map[string]struct {
		status  int
		later   string // Retry-After
		outcome record.Outcome
		code    string
		retryIn time.Duration
	}{
		`{"seq":3}`:            {200, "", record.OK, "", 0},
		`{"seq":`:              {200, "", record.Unknown, "the answer is not as it is documented: unexpected end of JSON input", 0},
		`{"code":"forbidden"}`: {403, "", record.Refused, "forbidden", 0},
		`{"code":"unavailable","retry_after":0.5}`:  {503, "9", record.Unknown, "unavailable", 500 * time.Millisecond},
		`{"code":"rate_limited"}`:                   {429, "9", record.Unknown, "rate_limited", 9 * time.Second},
		`{"code":"rate_limited","retry_after":1e9}`: {429, "", record.Unknown, "rate_limited", time.Hour},
		`<html>no</html>`:                           {404, "", record.Refused, "http 404", 0},
		`<html>later</html>`:                        {409, "1", record.Unknown, "http 409", 0},
		`<html>broken</html>`:                       {502, "", record.Unknown, "http 502", 0},
		`<html>there</html>`:                        {302, "", record.Refused, "http 302", 0},
	} {
		resp := &http.Response{StatusCode: c.status, Header: http.Header{}}
		if c.later != "" {
			resp.Header.Set("Retry-After", c.later)
		}
		var out struct{ Seq int }
		got := answer.Of(resp, []byte(text), &out)
		if got.Outcome != c.outcome || got.Code != c.code || got.RetryIn != c.retryIn || c.outcome == record.OK && out.Seq != 3 {
			t.Errorf("%d %s is %+v", c.status, text, got)
		}
	}
}
