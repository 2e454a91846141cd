package typesense

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

const (
	header  = "X-TYPESENSE-API-KEY"
	maxBody = 8 << 20 // more than the list of any cluster's keys
)

// client is the few calls of the API for keys. Typesense's own client asks the next node after a call without an answer,
// the changing ones too, and quotes answers in its errors; here each call is one call, to the node that is named.
type client struct {
	http *http.Client
	base string
	key  secret.Value
}

func connect(transport http.RoundTripper, base string, key secret.Value) client {
	return client{(&fence.Transport{Base: transport}).Client(), strings.TrimSuffix(base, "/"), key}
}

// A key is one that Typesense lists. Prefix is the first letters of its value: it is compared, and never shown.
type key struct {
	ID          int64    `json:"id"`
	Description string   `json:"description"`
	Actions     []string `json:"actions"`
	Collections []string `json:"collections"`
	Expires     int64    `json:"expires_at"`
	AutoDelete  bool     `json:"autodelete,omitempty"`
	Prefix      string   `json:"value_prefix,omitempty"`
}

func (c client) list(ctx context.Context) ([]key, error) {
	var out struct {
		Keys []key `json:"keys"`
	}
	err := c.call(ctx, http.MethodGet, "/keys", nil, &out, "list the API keys")
	return out.Keys, err
}

// create makes a key. conflict says that one with this value is there already.
func (c client) create(ctx context.Context, like key, value secret.Value) (id int64, conflict bool, err error) {
	in := struct {
		key
		ID    *int64 `json:"id,omitempty"`
		Value string `json:"value"`
	}{key: like, Value: string(value.Reveal())}
	in.Prefix = ""
	out := struct{ ID *int64 }{}
	err = c.call(ctx, http.MethodPost, "/keys", in, &out, "make an API key")
	var a *answered
	switch {
	case errors.As(err, &a) && a.status == http.StatusConflict:
		return 0, true, nil
	case err == nil && out.ID == nil:
		return 0, false, errors.New("make an API key: the answer names none")
	case err != nil:
		return 0, false, err
	}
	return *out.ID, false, nil
}

// remove deletes a key; one that isn't there any more is fine.
func (c client) remove(ctx context.Context, id int64) error {
	err := c.call(ctx, http.MethodDelete, "/keys/"+strconv.FormatInt(id, 10), nil, nil, fmt.Sprintf("delete API key %d", id))
	var a *answered
	if errors.As(err, &a) && a.status == http.StatusNotFound {
		return nil
	}
	return err
}

// try asks for a path and answers the status alone.
func (c client) try(ctx context.Context, path string) (int, error) {
	err := c.call(ctx, http.MethodGet, path, nil, nil, "GET "+c.base+path)
	var a *answered
	if errors.As(err, &a) && a.status != 0 {
		return a.status, nil
	}
	return http.StatusOK, err
}

// answered is what may be shown of a call that went wrong: no body.
type answered struct {
	text   string
	status int // 0: no answer
	cause  error
}

func (a *answered) Error() string { return a.text }

// Is tells a refused lease and an ended context; the rest of the cause stays in here, so that nobody prints it.
func (a *answered) Is(target error) bool {
	return slices.Contains([]error{rotation.ErrNoLease, context.Canceled, context.DeadlineExceeded}, target) && errors.Is(a.cause, target)
}

// refusal is a definite no that still knows the answer.
type refusal struct {
	*rotation.Failure
	a *answered
}

func (r refusal) Unwrap() []error { return []error{r.Failure, r.a} }

func (c client) call(ctx context.Context, method, path string, in, out any, doing string) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return errors.New(doing + ": its parameters can't be written")
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return errors.New(doing + ": no address that can be asked")
	}
	req.Header.Set(header, string(c.key.Reveal()))
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return &answered{text: doing + ": " + reason(err), cause: err}
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return judge(res.StatusCode, doing)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(out); err != nil {
		return &answered{text: doing + ": the answer can't be read", cause: err}
	}
	return nil
}

func judge(status int, doing string) error {
	a := &answered{text: fmt.Sprintf("%s: Typesense answered %d", doing, status), status: status}
	hint := map[int]string{
		http.StatusBadRequest:   "see Typesense's log for what it doesn't take",
		http.StatusUnauthorized: "see whether the key that admin names is valid there, and has the actions keys:list, keys:create and keys:delete",
		http.StatusForbidden:    "see whether something in front of Typesense refuses the call",
		http.StatusNotFound:     "see whether nodes names the right cluster",
		http.StatusConflict:     "see which key has that value already",
	}[status]
	if hint == "" {
		return a
	}
	return refusal{&rotation.Failure{Msg: a.text, Hint: hint}, a}
}

// reason is what happened to a call without an answer.
func reason(err error) string {
	var u *url.Error
	switch {
	case errors.Is(err, rotation.ErrNoLease):
		return rotation.ErrNoLease.Error()
	case errors.As(err, &u):
		return cloud.Line(u.Err.Error())
	}
	return "no answer"
}
