package github

import "crypto/rsa"

// TokenFor says which job an OIDC token is for.
type TokenFor struct {
	Run         int64
	Environment string // GitHub Environment of the job; "" where it names none
	Workflow    string // of the job itself, where it is a reusable one: "owner/name/.github/workflows/x.yml@refs/heads/main"
}

type keys struct{ private *rsa.PrivateKey }

// IssueToken is what a job with id-token: write gets: the path and query of ACTIONS_ID_TOKEN_REQUEST_URL below the
// service's address, and ACTIONS_ID_TOKEN_REQUEST_TOKEN. It works until the run has ended.
func (s *Service) IssueToken(o TokenFor) (path, bearer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer = "job-" + itoa(s.next())
	s.jobs[bearer] = o
	return "/_oidc/token/" + itoa(o.Run) + "?api-version=2.0", bearer
}
