package github

import (
	"crypto/sha1" //nolint:gosec // git's own object names
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

type commit struct {
	sha, tree         string
	parents           []string
	author, committer string // logins
	message           string
	at                time.Time
	order             int               // parents have smaller ones
	files             map[string]string // the whole tree; never changed
}

func cutName(full string) (owner, name string) {
	owner, name, _ = strings.Cut(full, "/")
	return owner, name
}

func (r *repository) full() string { return r.owner + "/" + r.name }

// object is git's name for a thing: SHA-1 of its kind, length and bytes.
func object(kind string, data []byte) string {
	h := sha1.Sum(append([]byte(kind+" "+strconv.Itoa(len(data))+"\x00"), data...)) //nolint:gosec // git's own
	return hex.EncodeToString(h[:])
}

// Blob is git's name for a file's content.
func Blob(text string) string { return object("blob", []byte(text)) }

// treeOf is git's name for the files, whose paths are relative to it.
func treeOf(files map[string]string) string {
	type entry struct{ mode, name, sha string }
	var entries []entry
	below := map[string]map[string]string{}
	for path, text := range files {
		if dir, rest, ok := strings.Cut(path, "/"); ok {
			if below[dir] == nil {
				below[dir] = map[string]string{}
			}
			below[dir][rest] = text
			continue
		}
		entries = append(entries, entry{"100644", path, Blob(text)})
	}
	for dir, files := range below {
		entries = append(entries, entry{"40000", dir, treeOf(files)})
	}
	key := func(e entry) string { // git sorts a directory as if its name ended in a slash
		if e.mode == "40000" {
			return e.name + "/"
		}
		return e.name
	}
	sort.Slice(entries, func(i, j int) bool { return key(entries[i]) < key(entries[j]) })
	var b []byte
	for _, e := range entries {
		raw, _ := hex.DecodeString(e.sha) // our own hex
		b = append(append(b, e.mode+" "+e.name+"\x00"...), raw...)
	}
	return object("tree", b)
}

func address(login string) string { return login + "@users.noreply.github.com" }

// record makes a commit and moves nothing; s.mu is held.
func (s *Service) record(author, committer, message string, parents []string, files map[string]string) *commit {
	r := s.repo
	r.order++
	c := &commit{tree: treeOf(files), parents: parents, author: author, committer: committer, message: message, at: s.now(), order: r.order, files: files}
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", c.tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author %s <%s> %d +0000\n", author, address(author), c.at.Unix())
	fmt.Fprintf(&b, "committer %s <%s> %d +0000\n\n%s", committer, address(committer), c.at.Unix(), message)
	c.sha = object("commit", []byte(b.String()))
	if same := r.commits[c.sha]; same != nil {
		return same
	}
	r.commits[c.sha] = c
	return c
}

// Commit makes a commit on a branch, by a login, and answers its name. Content "" deletes the file. A branch that
// isn't there begins at the default branch's head; "eve:patch" is branch patch of eve's fork. An author that is no
// user is an address that belongs to nobody on GitHub.
func (s *Service) Commit(branch, author, message string, files map[string]string) (sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(branch, author, author, message, files).sha
}

func (s *Service) commit(branch, author, committer, message string, change map[string]string) *commit {
	r := s.repo
	head, ok := r.branches[branch]
	if !ok {
		head = r.branches[r.branch]
	}
	var parents []string
	files := map[string]string{}
	if head != "" {
		parents, files = []string{head}, maps.Clone(r.commits[head].files)
	}
	for path, text := range change {
		if text == "" {
			delete(files, path)
		} else {
			files[path] = text
		}
	}
	c := s.record(author, committer, message, parents, files)
	s.push(branch, c.sha)
	return c
}

// push moves a branch, and the open pull requests from it; s.mu is held.
func (s *Service) push(branch, sha string) {
	s.repo.branches[branch] = sha
	for _, t := range s.repo.threads {
		if t.pull != nil && t.state == "open" && t.pull.branch == branch {
			t.pull.head, t.updated = sha, s.now()
		}
	}
}

// Files are those of a branch or commit, by path.
func (s *Service) Files(ref string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.repo.resolve(ref); c != nil {
		return maps.Clone(c.files)
	}
	return nil
}

// Head is the commit a branch stands at; "" where there is no such branch.
func (s *Service) Head(branch string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repo.branches[branch]
}

// DeleteBranch takes a branch away, as the button under a merged pull request does.
func (s *Service) DeleteBranch(branch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repo.branches, branch)
}

// resolve finds a commit by branch, full ref, or name (7 digits at least); "" is the default branch.
func (r *repository) resolve(ref string) *commit {
	if ref == "" || ref == "HEAD" {
		ref = r.branch
	}
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "refs/"), "heads/")
	if sha, ok := r.branches[ref]; ok {
		return r.commits[sha]
	}
	if c := r.commits[ref]; c != nil {
		return c
	}
	if len(ref) >= 7 {
		for sha, c := range r.commits {
			if strings.HasPrefix(sha, ref) {
				return c
			}
		}
	}
	return nil
}

// ancestry is a commit and all before it.
func (r *repository) ancestry(sha string) map[string]bool {
	seen := map[string]bool{}
	for todo := []string{sha}; len(todo) > 0; {
		sha, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if c := r.commits[sha]; c != nil && !seen[sha] {
			seen[sha] = true
			todo = append(todo, c.parents...)
		}
	}
	return seen
}

// between are the commits of head that base hasn't, oldest first.
func (r *repository) between(base, head string) (l []*commit) {
	have := r.ancestry(base)
	for sha := range r.ancestry(head) {
		if !have[sha] {
			l = append(l, r.commits[sha])
		}
	}
	slices.SortFunc(l, func(a, b *commit) int { return a.order - b.order })
	return l
}

// mergeBase is the newest commit both have; nil where there is none.
func (r *repository) mergeBase(a, b string) (best *commit) {
	have := r.ancestry(a)
	for sha := range r.ancestry(b) {
		if c := r.commits[sha]; have[sha] && (best == nil || c.order > best.order) {
			best = c
		}
	}
	return best
}

func (c *commit) tip() map[string]string {
	if c == nil {
		return nil
	}
	return c.files
}

// history is what touched a path, newest first, as git log simplifies it: a merge that leaves the path as one of its
// parents has it isn't listed, and only that parent is followed.
func (r *repository) history(head, path string) (l []*commit) {
	seen := map[string]bool{}
	for todo := []string{head}; len(todo) > 0; {
		sha := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c := r.commits[sha]
		if c == nil || seen[sha] {
			continue
		}
		seen[sha] = true
		same := slices.IndexFunc(c.parents, func(p string) bool { return path != "" && sameAt(path, r.commits[p].tip(), c.files) })
		switch {
		case same >= 0:
			todo = append(todo, c.parents[same])
			continue
		case len(c.parents) > 0 || path == "" || !sameAt(path, nil, c.files):
			l = append(l, c)
		}
		todo = append(todo, c.parents...)
	}
	slices.SortFunc(l, func(a, b *commit) int { return b.order - a.order })
	return l
}

// sameAt compares a file, or all files below a folder.
func sameAt(path string, a, b map[string]string) bool {
	if x, y := a[path], b[path]; x != y {
		return false
	}
	count := 0
	for p, text := range a {
		if strings.HasPrefix(p, path+"/") {
			if count++; b[p] != text {
				return false
			}
		}
	}
	for p := range b {
		if strings.HasPrefix(p, path+"/") {
			count--
		}
	}
	return count == 0
}
