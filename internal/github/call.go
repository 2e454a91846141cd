package github

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
	"strings"
	"unicode"

	gh "github.com/google/go-github/v62/github"
	"github.com/rastup/rekey/internal/rotation"
)

// An op is what is being done, for errors, and what a job's token needs for it (GitHub REST API documentation,
// permissions of each call), in the words of a workflow's permissions; "" is what every token has.
type op struct{ doing, needs string }

func (c *Client) get(ctx context.Context, what op, path string, query url.Values, out any) error {
	_, err := c.call(ctx, what, http.MethodGet, path, query, nil, out)
	return err
}

// change makes a changing call; out may be nil.
func (c *Client) change(ctx context.Context, what op, method, path string, in, out any) error {
	_, err := c.call(ctx, what, method, path, nil, in, out)
	return err
}

// call is the only way to GitHub. path is below the repository.
func (c *Client) call(ctx context.Context, what op, method, path string, query url.Values, in, out any) (http.Header, error) {
	if !valid(c.repository) {
		return nil, notARepository(c.repository)
	}
	if slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return nil, rotation.Failf("", "%s: a name can't be . or ..", what.doing) // it would lead to another address
	}
	target := "repos/" + c.repository + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := c.api.NewRequest(method, target, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what.doing, err)
	}
	// Not by the library's own Do, which counts rate limits by the machine's clock, and forgets of a call whose
	// context ended whether it had left.
	res, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, c.judge(what, err)
	}
	text, err := io.ReadAll(res.Body) // of memory: see the transport
	if err == nil {
		res.Body = io.NopCloser(bytes.NewReader(text))
		err = gh.CheckResponse(res)
	}
	if err != nil {
		return nil, c.judge(what, err)
	}
	if out == nil && len(text) > 0 { // which is of no use, but a page of something in between isn't GitHub's answer
		out = new(json.RawMessage)
	}
	if out != nil && json.Unmarshal(text, out) != nil {
		err = unknown(req, true, fmt.Errorf("GitHub's answer (%d) can't be read", res.StatusCode))
		return nil, fmt.Errorf("%s: %w", what.doing, err)
	}
	return res.Header, nil
}

// mostPages of a list are read: 10,000 entries, more than anything Rekey asks for. A longer list is an error.
const mostPages = 100

// pages reads all pages of a list, a hundred entries each. The way to the next page is GitHub's to say (REST API
// documentation, using pagination): some lists have page numbers, others cursors. Only its query is taken, so that
// every page comes from where the first did. entries takes them out of an answer.
func pages[A, T any](ctx context.Context, c *Client, what op, path string, query url.Values, entries func(A) []T) (all []T, err error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("per_page", "100")
	for range mostPages {
		var answer A
		header, err := c.call(ctx, what, http.MethodGet, path, query, nil, &answer)
		if err != nil {
			return nil, err
		}
		all = append(all, entries(answer)...)
		next := nextQuery(header.Values("Link"))
		if len(next) == 0 {
			return all, nil
		}
		query = next
	}
	return nil, fmt.Errorf("%s: there are more than %d pages", what.doing, mostPages)
}

func itself[T any](list []T) []T { return list }

// nextQuery is the query of the link to the next page; nil on the last.
func nextQuery(headers []string) url.Values {
	for link := range strings.SplitSeq(strings.Join(headers, ","), "<") {
		target, params, ok := strings.Cut(link, ">")
		if !ok || !slices.ContainsFunc(strings.FieldsFunc(params, func(r rune) bool { return strings.ContainsRune(";, ", r) }), func(p string) bool {
			return p == `rel="next"`
		}) {
			continue
		}
		if u, err := url.Parse(target); err == nil {
			return u.Query()
		}
	}
	return nil
}

// all makes ours of GitHub's.
func all[G, T any](list []G, err error, of func(G) T) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var ours []T
	for _, g := range list {
		ours = append(ours, of(g))
	}
	return ours, nil
}

// refused is a definite no of GitHub.
type refused struct {
	*rotation.Failure
	status int
}

func (r *refused) Unwrap() error { return r.Failure }

// Is tells what GitHub doesn't know. 410 is an issue or comment that was deleted, or issues turned off.
func (r *refused) Is(target error) bool {
	return target == ErrNotFound && (r.status == http.StatusNotFound || r.status == http.StatusGone)
}

// judge says what an error means, without anything of an answer but GitHub's own message.
func (c *Client) judge(what op, err error) error {
	var definite *rotation.Failure
	var answer *gh.ErrorResponse
	var address *url.Error
	switch {
	case errors.As(err, &definite):
		return &rotation.Failure{Msg: what.doing + ": " + definite.Msg, Hint: definite.Hint}
	case errors.As(err, &answer):
		return c.refusal(what, answer)
	case errors.As(err, &address): // its text has the address once more
		err = address.Err
	}
	return fmt.Errorf("%s: %w", what.doing, err)
}

func (c *Client) refusal(what op, answer *gh.ErrorResponse) error {
	status := answer.Response.StatusCode
	text := fmt.Sprintf("%s: GitHub answered %d", what.doing, status)
	if said := c.said(answer); said != "" {
		text += ": " + said
	}
	if status/100 != 4 || status == http.StatusRequestTimeout {
		return errors.New(text)
	}
	hint := ""
	switch status {
	case http.StatusUnauthorized:
		hint = "the token is wrong, has expired or was revoked; a job's own is ${{ github.token }}"
	case http.StatusForbidden:
		hint = "the token isn't meant for " + c.repository
		if what.needs != "" {
			hint = "the job needs permissions: " + what.needs
			if !strings.Contains(answer.Message, "not accessible by") { // there are other reasons: archived, single sign-on, ...
				hint = "see what GitHub says; the job's token needs permissions: " + what.needs
			}
		}
	case http.StatusNotFound:
		hint = fmt.Sprintf("check that it is there in %s, and that the token may see it", c.repository)
		if what.needs != "" {
			hint += " (permissions: " + what.needs + ")"
		}
	}
	return &refused{&rotation.Failure{Msg: text, Hint: hint}, status}
}

// said is GitHub's message, and those of its parts: "Validation Failed" alone says nothing.
func (c *Client) said(answer *gh.ErrorResponse) string {
	parts := []string{answer.Message}
	for _, e := range answer.Errors {
		if e.Message != "" {
			parts = append(parts, e.Message)
		} else {
			parts = append(parts, strings.TrimSpace(e.Field+" "+e.Code))
		}
	}
	text := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
	if c.wire.token != "" {
		text = strings.ReplaceAll(text, c.wire.token, "[redacted]")
	}
	return clean(text)
}

// clean is s on one line, without control characters, 200 characters at most.
func clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}
