package github

import (
	"maps"
	"strings"
)

// A token is somebody with permissions: of an app or a workflow's job, in one or more repositories.
type token struct {
	login       string
	permissions map[string]map[string]string // by repository: "contents" is "read" or "write"
}

// AddToken makes a token of a login with permissions on the repository, such as {"contents": "read", "issues":
// "write"}, in a workflow's or the API's spelling. Without the permission it is answered 403 "Resource not accessible
// by integration"; in a repository it has none in, 404. The same token may be added in several repositories.
func (s *Service) AddToken(text, login string, permissions map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[text]
	if t == nil {
		t = &token{login: login, permissions: map[string]map[string]string{}}
		s.tokens[text] = t
	}
	mine := map[string]string{}
	for name, level := range maps.All(permissions) {
		mine[strings.ReplaceAll(name, "-", "_")] = level
	}
	t.login, t.permissions[s.repo.full()] = login, mine
}

// DropToken ends a token: what comes with it from now on is answered 401.
func (s *Service) DropToken(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, text)
}

func (t *token) may(repository, permission, level string) bool {
	if t == nil {
		return false
	}
	has := t.permissions[repository][permission]
	return has == "write" || has == level && level != ""
}
