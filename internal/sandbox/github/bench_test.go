package github_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	client "github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/github/openapitest"
)

var (
	ctx   = rotation.WithFence(context.Background(), open{})
	start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
)

// open lets every call pass.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

const repository = "rastup/shop"

var everything = map[string]string{"contents": "write", "pull-requests": "write", "issues": "write", "actions": "write", "deployments": "write", "workflows": "write"}

// A bench is a GitHub with a few people, and the real client, whose every request and answer is held against
// GitHub's own description.
type bench struct {
	t     *testing.T
	clock *sandbox.Clock
	hub   *github.Service
	url   string
	c     *client.Client
}

func newBench(t *testing.T, options ...func(*github.Options)) *bench {
	t.Helper()
	b := &bench{t: t, clock: sandbox.NewClock(start)}
	o := github.Options{Repository: repository}
	for _, f := range options {
		f(&o)
	}
	b.hub = github.New(b.clock, o)
	for login, permission := range map[string]string{"ada": "admin", "bo": "write", "cy": "maintain", "di": "triage", "eve": ""} {
		b.hub.AddUser(login, permission, false)
	}
	b.hub.AddUser("rekey[bot]", "write", true)
	b.hub.AddToken("app", "rekey[bot]", everything)
	server := httptest.NewServer(openapitest.Handler(t, b.hub.Handler()))
	t.Cleanup(server.Close)
	b.url = server.URL
	b.c = b.as("app")
	b.hub.Commit("main", "ada", "first", map[string]string{"README.md": "shop\n", ".github/workflows/rotate.yml": "on: push\n"})
	return b
}

func (b *bench) as(token string) *client.Client {
	b.t.Helper()
	return must(client.New(client.Options{API: b.url, Repository: repository, Token: token, Clock: b.clock}))(b.t)
}

// raw sends a request that the client wouldn't make, past the check of requests, and answers what came.
func (b *bench) raw(method, path, token string, body any) (status int, header http.Header, text string) {
	b.t.Helper()
	text = ""
	if s, ok := body.(string); ok {
		text = s
	} else if body != nil {
		text = string(must(json.Marshal(body))(b.t))
	}
	r := httptest.NewRequest(method, path, bytes.NewReader([]byte(text)))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	b.hub.Handler().ServeHTTP(w, r)
	return w.Code, w.Header(), string(must(io.ReadAll(w.Body))(b.t))
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
