package resttest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method      string
	URL         *url.URL
	Header      http.Header // of the request
	RequestBody []byte
	Status      int
	Answer      http.Header
	Body        []byte
}

// Check says what is wrong with an exchange. A request that was taken must be valid by the document, and an answer
// always: its status, its media type, its body. What is at no address of the document is answered not_found, and a
// method that an address does not take not_allowed.
func (d *Document) Check(x Exchange) error {
	o, at := d.find(x.Method, x.URL.EscapedPath())
	if o == nil {
		want := fault.NotFound
		if at {
			want = fault.NotAllowed
		}
		if x.Status != want.Status() && x.Status != fault.RateLimited.Status() {
			return fmt.Errorf("%s %s is not in the document and is answered %d, not %s", x.Method, x.URL.Path, x.Status, want)
		}
		return checkProblem(x)
	}
	err := o.checkAnswer(x)
	if x.Status < fault.Invalid.Status() {
		err = errors.Join(err, o.checkRequest(x))
	}
	if err != nil {
		return fmt.Errorf("%s (%s %s): %w", o.ID, x.Method, x.URL, err)
	}
	return nil
}

// find is the operation of an address, and whether the address has any. HEAD is GET.
func (d *Document) find(method, path string) (found *Operation, at bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	best := -1
	for _, o := range d.operations {
		if !o.shape.MatchString(path) {
			continue
		}
		at = true
		if o.Method == method && o.literals > best {
			found, best = o, o.literals
		}
	}
	return found, at
}

func (o *Operation) checkRequest(x Exchange) error {
	parts := o.shape.FindStringSubmatch(x.URL.EscapedPath())[1:]
	path := make(map[string]string)
	for i, name := range o.names {
		value, err := url.PathUnescape(parts[i])
		if err != nil {
			return err
		}
		path[name] = value
	}
	query := x.URL.Query()
	for _, p := range o.parameters {
		var value string
		switch p.In {
		case "path":
			value = path[p.Name]
		case "query":
			value = query.Get(p.Name)
			query.Del(p.Name)
		case "header":
			value = x.Header.Get(p.Name)
		}
		if value == "" && !p.Required {
			continue // a query's empty parameter is none
		}
		if err := p.check(value); err != nil {
			return fmt.Errorf("the parameter %s: %w", p.Name, err)
		}
	}
	if len(query) > 0 {
		return fmt.Errorf("the document has no parameters %v", query)
	}
	if o.body == nil {
		return nil
	}
	return o.validate(o.body, "the request", x.RequestBody)
}

func (p parameter) check(value string) error {
	if !p.number {
		return p.schema.Validate(value)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return err
	}
	return p.schema.Validate(n)
}

func (o *Operation) checkAnswer(x Exchange) error {
	a, ok := o.answers[x.Status]
	if !ok {
		return fmt.Errorf("the status %d is not in the document: %.300s", x.Status, x.Body)
	}
	for _, name := range a.headers {
		if x.Answer.Get(name) == "" {
			return fmt.Errorf("%d comes without %s", x.Status, name)
		}
	}
	media, _, _ := strings.Cut(x.Answer.Get("Content-Type"), ";")
	switch {
	case x.Method == http.MethodHead:
		return nil
	case a.media == "":
		if len(x.Body) > 0 {
			return fmt.Errorf("%d comes with a body: %.300s", x.Status, x.Body)
		}
		return nil
	case media != a.media:
		return fmt.Errorf("%d is of type %q, not %s", x.Status, media, a.media)
	case x.Status >= fault.Invalid.Status():
		if err := checkProblem(x); err != nil {
			return err
		}
	case a.media != jsonMedia:
		return a.schema.Validate(string(x.Body))
	}
	return o.validate(a.schema, "the answer", x.Body)
}

func (o *Operation) validate(schema *jsonschema.Schema, what string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w: %.300s", what, err, body)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s: %w: %.300s", what, err, body)
	}
	return nil
}

// checkProblem says whether a failure is a Problem that says of itself what its status says.
func checkProblem(x Exchange) error {
	if x.Method == http.MethodHead {
		return nil
	}
	p, err := problemOf(x)
	if err != nil {
		return err
	}
	if p.Status != x.Status || p.Code.Status() != x.Status || p.Title != p.Code.Title() || p.Type != "urn:canopy:error:"+string(p.Code) {
		return fmt.Errorf("%d is told as %+v", x.Status, p)
	}
	if p.RetryAfter > 0 && x.Answer.Get("Retry-After") == "" {
		return fmt.Errorf("%+v comes without Retry-After", p)
	}
	if allow := x.Answer.Get("Allow"); p.Code == fault.NotAllowed && allow == "" {
		return fmt.Errorf("%+v comes without Allow", p)
	}
	return nil
}

func problemOf(x Exchange) (rest.Problem, error) {
	var p rest.Problem
	if got := x.Answer.Get("Content-Type"); got != rest.ProblemType {
		return p, fmt.Errorf("%s %s answers %d of type %q: %.300s", x.Method, x.URL.Path, x.Status, got, x.Body)
	}
	if err := unmarshal(x.Body, &p); err != nil {
		return p, fmt.Errorf("%s %s answers %d %.300s: %w", x.Method, x.URL.Path, x.Status, x.Body, err)
	}
	return p, nil
}
