package github

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

func (r *request) getRepository() (answer, error) { return ok(r.repository(r.repo.owner)) }

func (r *request) listCommits() (answer, error) {
	if len(r.repo.branches) == 0 {
		return answer{}, &Error{Status: http.StatusConflict, Message: "Git Repository is empty."}
	}
	from := r.repo.resolve(r.query.Get("sha"))
	if from == nil {
		return answer{}, notFound()
	}
	author := r.query.Get("author")
	since, until, err := r.span()
	if err != nil {
		return answer{}, err
	}
	l := []doc{}
	for _, c := range r.repo.history(from.sha, strings.Trim(r.query.Get("path"), "/")) {
		if (author == "" || c.author == author) && !c.at.Before(since) && (until.IsZero() || !c.at.After(until)) {
			l = append(l, r.commitDoc(c))
		}
	}
	return ok(page(r, l))
}

// span reads the parameters since and until.
func (r *request) span() (since, until time.Time, err error) {
	for name, t := range map[string]*time.Time{"since": &since, "until": &until} {
		if text := r.query.Get(name); text != "" {
			if *t, err = time.Parse(time.RFC3339, text); err != nil {
				return since, until, invalid("Validation Failed")
			}
		}
	}
	return since, until, nil
}

func (r *request) getCommit() (answer, error) {
	ref := r.args["ref"]
	c := r.repo.resolve(ref)
	if c == nil {
		return answer{}, invalid("No commit found for SHA: " + ref)
	}
	var before map[string]string
	if len(c.parents) > 0 {
		before = r.repo.commits[c.parents[0]].tip()
	}
	d, files := r.commitDoc(c), []doc{}
	added, gone := 0, 0
	for _, f := range difference(before, c.files) {
		added, gone = added+f.added, gone+f.gone
		files = append(files, r.changeDoc(f, c.sha))
	}
	d["stats"] = doc{"additions": added, "deletions": gone, "total": added + gone}
	d["files"] = page(r, files)
	return ok(d)
}

// getPermission answers bots and unknown logins with 404: they are no users.
func (r *request) getPermission() (answer, error) {
	login := r.args["username"]
	u := r.users[login]
	if u == nil || u.bot {
		return answer{}, &Error{Status: http.StatusNotFound, Message: login + " is not a user"}
	}
	role := r.repo.permissions[login]
	if role == "" {
		if role = "none"; r.repo.public {
			role = "read"
		}
	}
	level := role
	switch role {
	case "maintain":
		level = "write"
	case "triage":
		level = "read"
	}
	d, _ := r.person(login).(doc)
	d["role_name"] = role
	at := slices.Index([]string{"none", "read", "triage", "write", "maintain", "admin"}, role)
	d["permissions"] = doc{"pull": at >= 1, "triage": at >= 2, "push": at >= 3, "maintain": at >= 4, "admin": at >= 5}
	return ok(doc{"permission": level, "role_name": role, "user": d})
}

func (r *request) entry(kind, name, ref, sha string, size int) doc {
	at := (&url.URL{Path: name}).EscapedPath()
	self, object, page := r.api("/contents/"+at+"?ref="+ref), r.api("/git/"+map[string]string{"file": "blobs/", "dir": "trees/"}[kind]+sha), r.html("/blob/"+ref+"/"+at)
	d := doc{
		"type": kind, "size": size, "name": path.Base(name), "path": name, "sha": sha, "url": self, "git_url": object, "html_url": page, "download_url": nil,
		"_links": doc{"self": self, "git": object, "html": page},
	}
	if kind == "file" {
		d["download_url"] = "https://raw.githubusercontent.com/" + r.repo.full() + "/" + ref + "/" + at
	}
	return d
}

func (r *request) getContents() (answer, error) {
	ref := r.query.Get("ref")
	c := r.repo.resolve(ref)
	if c == nil {
		return answer{}, &Error{Status: http.StatusNotFound, Message: "No commit found for the ref " + ref}
	}
	if ref == "" {
		ref = r.repo.branch
	}
	name := strings.Trim(r.args["path"], "/")
	if text, isFile := c.files[name]; isFile {
		d := r.entry("file", name, ref, Blob(text), len(text))
		d["encoding"], d["content"] = "base64", wrapped(text)
		if len(text) > 1<<20 {
			d["encoding"], d["content"] = "none", ""
		}
		return ok(d)
	}
	below := map[string]map[string]string{}
	for p, text := range c.files {
		if rest, inside := strings.CutPrefix(p, name+"/"); inside {
			first, more, _ := strings.Cut(rest, "/")
			if below[first] == nil {
				below[first] = map[string]string{}
			}
			below[first][more] = text
		}
	}
	if len(below) == 0 {
		return answer{}, notFound()
	}
	l := []doc{}
	for _, first := range slices.Sorted(maps.Keys(below)) {
		if text, isFile := below[first][""]; isFile {
			l = append(l, r.entry("file", name+"/"+first, ref, Blob(text), len(text)))
		} else {
			l = append(l, r.entry("dir", name+"/"+first, ref, treeOf(below[first]), 0))
		}
	}
	return ok(l)
}

// wrapped is base64 in lines of 60, as the API sends it.
func wrapped(text string) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString([]byte(text))), 60) {
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

func (r *request) putContents() (answer, error) {
	var in struct{ Message, Content, SHA, Branch string }
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	name := strings.Trim(r.args["path"], "/")
	if in.Branch == "" {
		in.Branch = r.repo.branch
	}
	body, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(in.Content, "\n", ""))
	head := r.repo.branches[in.Branch]
	switch {
	case in.Message == "":
		return answer{}, invalid("Invalid request.\n\n\"message\" wasn't supplied.")
	case err != nil:
		return answer{}, invalid("content is not valid Base64")
	case head == "" && len(r.repo.branches) > 0:
		return answer{}, &Error{Status: http.StatusNotFound, Message: "Branch " + in.Branch + " not found"}
	case strings.HasPrefix(name, ".github/workflows/") && !r.token.may(r.repo.full(), "workflows", "write"):
		return answer{}, &Error{Status: http.StatusForbidden, Message: "refusing to allow a GitHub App to create or update workflow `" + name + "` without `workflows` permission"}
	}
	status := http.StatusCreated
	if was, there := r.repo.commits[head].tip()[name]; there {
		status = http.StatusOK
		switch in.SHA {
		case "":
			return answer{}, invalid("Invalid request.\n\n\"sha\" wasn't supplied.")
		case Blob(was):
		default:
			return answer{}, &Error{Status: http.StatusConflict, Message: name + " does not match " + in.SHA}
		}
	} else if in.SHA != "" {
		return answer{}, &Error{Status: http.StatusConflict, Message: name + " does not match " + in.SHA}
	}
	c := r.commit(in.Branch, r.login, r.login, in.Message, map[string]string{name: string(body)})
	d := r.commitDoc(c)
	inner, _ := d["commit"].(doc)
	inner["sha"], inner["node_id"], inner["html_url"], inner["parents"] = c.sha, d["node_id"], d["html_url"], d["parents"]
	delete(inner, "comment_count")
	return answer{status, doc{"content": r.entry("file", name, in.Branch, Blob(string(body)), len(body)), "commit": inner}}, nil
}

func (r *request) refDoc(branch, sha string) doc {
	return doc{
		"ref": "refs/heads/" + branch, "node_id": node("Ref "+branch, r.repo.id), "url": r.api("/git/refs/heads/" + branch),
		"object": doc{"type": "commit", "sha": sha, "url": r.api("/git/commits/" + sha)},
	}
}

func (r *request) getRef() (answer, error) {
	branch, isHead := strings.CutPrefix(r.args["ref"], "heads/")
	sha := r.repo.branches[branch]
	if !isHead || sha == "" {
		return answer{}, notFound()
	}
	return ok(r.refDoc(branch, sha))
}

func (r *request) createRef() (answer, error) {
	var in struct{ Ref, SHA string }
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	branch, isHead := strings.CutPrefix(in.Ref, "refs/heads/")
	switch {
	case !isHead || branch == "" || strings.ContainsAny(branch, " ~^:?*[\\") || strings.Contains(branch, "..") || strings.HasSuffix(branch, "/"):
		return answer{}, invalid("Reference name must start with 'refs/' and be well formed")
	case r.repo.branches[branch] != "":
		return answer{}, invalid("Reference already exists")
	case r.repo.commits[in.SHA] == nil:
		return answer{}, invalid("Object does not exist")
	}
	r.push(branch, in.SHA)
	return answer{http.StatusCreated, r.refDoc(branch, in.SHA)}, nil
}

func (r *request) updateRef() (answer, error) {
	var in struct {
		SHA   string
		Force bool
	}
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	branch := strings.TrimPrefix(r.args["ref"], "heads/")
	switch {
	case r.repo.branches[branch] == "":
		return answer{}, invalid("Reference does not exist")
	case r.repo.commits[in.SHA] == nil:
		return answer{}, invalid("Object does not exist")
	case !in.Force && !r.repo.ancestry(in.SHA)[r.repo.branches[branch]]:
		return answer{}, invalid("Update is not a fast forward")
	}
	r.push(branch, in.SHA)
	return ok(r.refDoc(branch, in.SHA))
}
