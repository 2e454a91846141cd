package workflow

import (
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/github"
)

// On is the Hub that a sandbox's GitHub is. base is the address its handler is served at, for OIDC requests.
func On(s *github.Service, base string) Hub {
	return &service{Service: s, base: strings.TrimSuffix(base, "/")}
}

type service struct {
	*github.Service
	base   string
	tokens int
}

// Said reads what reviewers and people who cancel left at the run.
func (s *service) Said(id int64) (said Said) {
	r, _ := s.Run(id)
	said.Cancelled, said.Waiting = r.Cancelled, r.Waiting
	for _, a := range s.Approvals(id) {
		said.Reviews = append(said.Reviews, Review{Environment: a.Environment, Rejected: a.State == "rejected"})
	}
	return said
}

// Credentials are a token of github-actions[bot] with exactly what is granted, and the OIDC request where it is.
func (s *service) Credentials(g Grant) (c Credentials) {
	s.tokens++
	c.Token = fmt.Sprintf("ghs_%d_%d_%d", g.Run, g.Attempt, s.tokens)
	s.AddToken(c.Token, "github-actions[bot]", g.Permissions)
	if g.Permissions["id-token"] == "write" {
		path, bearer := s.IssueToken(github.TokenFor{Run: g.Run, Environment: g.Environment})
		c.IDTokenURL, c.IDTokenRequests = s.base+path, bearer
	}
	return c
}
