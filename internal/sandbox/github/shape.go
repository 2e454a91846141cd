package github

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"
)

// doc is a JSON object of the API. Addresses of the API are below the host that was asked; those of pages are
// github.com's.
type doc map[string]any

const pagesAt = "https://github.com/"

// stamp is null for the zero time.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// escaped is one segment of an address.
func escaped(name string) string { return url.PathEscape(name) }

func node(kind string, id int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + itoa(id)))
}

func (r *request) api(path string) string  { return r.base + "/repos/" + r.repo.full() + path }
func (r *request) html(path string) string { return pagesAt + r.repo.full() + path }

// person is a user as the API shows one; null where there is no such account.
func (r *request) person(login string) any {
	u := r.users[login]
	if u == nil {
		return nil
	}
	at, page, kind := r.base+"/users/"+login, pagesAt+login, "User"
	if u.bot {
		page, kind = pagesAt+"apps/"+strings.TrimSuffix(login, "[bot]"), "Bot"
	}
	d := doc{
		"login": login, "id": u.id, "node_id": node("User", u.id), "avatar_url": "https://avatars.githubusercontent.com/u/" + itoa(u.id), "gravatar_id": "",
		"url": at, "html_url": page, "type": kind, "site_admin": false,
	}
	for name, path := range map[string]string{
		"followers_url": "/followers", "following_url": "/following{/other_user}", "gists_url": "/gists{/gist_id}", "starred_url": "/starred{/owner}{/repo}",
		"subscriptions_url": "/subscriptions", "organizations_url": "/orgs", "repos_url": "/repos", "events_url": "/events{/privacy}", "received_events_url": "/received_events",
	} {
		d[name] = at + path
	}
	return d
}

// ghost stands for accounts that are gone where the API always has one.
func (r *request) ghost(login string) any {
	if p := r.person(login); p != nil {
		return p
	}
	at := r.base + "/users/ghost"
	d := doc{"login": "ghost", "id": 10137, "node_id": node("User", 10137), "avatar_url": "https://avatars.githubusercontent.com/u/10137", "gravatar_id": "",
		"url": at, "html_url": pagesAt + "ghost", "type": "User", "site_admin": false}
	for _, name := range []string{"followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events", "received_events"} {
		d[name+"_url"] = at + "/" + name
	}
	return d
}

// association is what a user is to the repository.
func (r *request) association(login string) string {
	switch {
	case login == r.repo.owner:
		return "OWNER"
	case r.repo.permissions[login] != "":
		return "MEMBER"
	}
	return "NONE"
}

func (r *request) reactions(of string) doc {
	return doc{"url": of + "/reactions", "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "confused": 0, "heart": 0, "hooray": 0, "eyes": 0, "rocket": 0}
}

var repositoryURLs = map[string]string{
	"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}", "branches_url": "/branches{/branch}",
	"collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}", "commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}",
	"contents_url": "/contents/{+path}", "contributors_url": "/contributors", "deployments_url": "/deployments", "downloads_url": "/downloads", "events_url": "/events",
	"forks_url": "/forks", "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}",
	"issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}", "issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}",
	"labels_url": "/labels{/name}", "languages_url": "/languages", "merges_url": "/merges", "milestones_url": "/milestones{/number}",
	"notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}", "releases_url": "/releases{/id}", "stargazers_url": "/stargazers",
	"statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers", "subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams",
	"trees_url": "/git/trees{/sha}", "hooks_url": "/hooks",
}

// repository is this repository, or a fork of it, in full.
func (r *request) repository(owner string) doc {
	repo := r.repo
	full, id := owner+"/"+repo.name, repo.id
	fork := owner != repo.owner
	if u := r.users[owner]; fork && u != nil {
		id = repo.id*1000 + u.id
	}
	who := r.ghost(owner)
	if !fork {
		who = r.organization()
	}
	open := 0
	for _, t := range repo.threads {
		if t.state == "open" {
			open++
		}
	}
	at := r.base + "/repos/" + full
	visibility := "private"
	if repo.public {
		visibility = "public"
	}
	d := doc{
		"id": id, "node_id": node("Repository", id), "name": repo.name, "full_name": full, "owner": who, "private": !repo.public, "visibility": visibility,
		"html_url": pagesAt + full, "description": nil, "fork": fork, "url": at, "git_url": "git://github.com/" + full + ".git", "ssh_url": "git@github.com:" + full + ".git",
		"clone_url": pagesAt + full + ".git", "svn_url": pagesAt + full, "mirror_url": nil, "homepage": nil, "language": nil, "license": nil, "default_branch": repo.branch,
		"size": len(repo.commits), "open_issues_count": open, "open_issues": open, "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
		"has_downloads": false, "has_discussions": false, "archived": false, "disabled": false, "pushed_at": stamp(repo.made), "created_at": stamp(repo.made), "updated_at": stamp(repo.made),
	}
	for _, name := range []string{"forks_count", "stargazers_count", "watchers_count", "subscribers_count", "network_count", "forks", "watchers"} {
		d[name] = 0
	}
	for name, path := range repositoryURLs {
		d[name] = at + path
	}
	return d
}

// organization is the repository's owner.
func (r *request) organization() any {
	if p := r.person(r.repo.owner); p != nil {
		return p
	}
	d, _ := r.ghost("").(doc)
	d["login"], d["id"], d["node_id"] = r.repo.owner, r.repo.ownerID, node("Organization", r.repo.ownerID)
	d["type"], d["url"], d["html_url"] = "Organization", r.base+"/users/"+r.repo.owner, pagesAt+r.repo.owner
	return d
}

func signature(login string, at time.Time) doc {
	return doc{"name": login, "email": address(login), "date": stamp(at)}
}

func (r *request) commitDoc(c *commit) doc {
	parents := []doc{}
	for _, p := range c.parents {
		parents = append(parents, doc{"sha": p, "url": r.api("/commits/" + p), "html_url": r.html("/commit/" + p)})
	}
	return doc{
		"url": r.api("/commits/" + c.sha), "sha": c.sha, "node_id": node("Commit "+c.sha, r.repo.id), "html_url": r.html("/commit/" + c.sha), "comments_url": r.api("/commits/" + c.sha + "/comments"),
		"commit": doc{
			"url": r.api("/git/commits/" + c.sha), "author": signature(c.author, c.at), "committer": signature(c.committer, c.at), "message": c.message, "comment_count": 0,
			"tree": doc{"sha": c.tree, "url": r.api("/git/trees/" + c.tree)},
		},
		"author": r.person(c.author), "committer": r.person(c.committer), "parents": parents,
	}
}

func (r *request) labelDocs(names []string) []doc {
	l := []doc{}
	for _, name := range names {
		if r.repo.labels[name] == 0 {
			r.repo.labels[name] = r.next()
		}
		id := r.repo.labels[name]
		l = append(l, doc{"id": id, "node_id": node("Label", id), "url": r.api("/labels/" + name), "name": name, "description": "", "color": "ededed", "default": false})
	}
	return l
}

func (r *request) people(logins []string) []any {
	l := []any{}
	for _, login := range logins {
		if p := r.person(login); p != nil {
			l = append(l, p)
		}
	}
	return l
}

func (r *request) issueDoc(t *thread) doc {
	at, page := r.api("/issues/"+itoa(t.number)), r.html("/issues/"+itoa(t.number))
	d := doc{
		"id": t.id, "node_id": node("Issue", t.id), "url": at, "repository_url": r.api(""), "labels_url": at + "/labels{/name}", "comments_url": at + "/comments",
		"events_url": at + "/events", "html_url": page, "number": t.number, "state": t.state, "state_reason": nil, "title": t.title, "body": text(t.body),
		"user": r.person(t.author), "labels": r.labelDocs(t.labels), "assignee": nil, "assignees": r.people(t.assignees), "milestone": nil, "locked": false,
		"active_lock_reason": nil, "comments": len(r.repo.said(t.number)), "closed_at": stamp(t.closed), "created_at": stamp(t.made), "updated_at": stamp(t.updated),
		"author_association": r.association(t.author), "reactions": r.reactions(at), "timeline_url": at + "/timeline", "performed_via_github_app": nil,
	}
	if t.reason != "" {
		d["state_reason"] = t.reason
	}
	if len(t.assignees) > 0 {
		d["assignee"] = r.person(t.assignees[0])
	}
	if t.closedBy != "" {
		d["closed_by"] = r.person(t.closedBy)
	}
	if t.pull != nil {
		page = r.html("/pull/" + itoa(t.number))
		d["html_url"], d["draft"] = page, false
		d["pull_request"] = doc{"url": r.api("/pulls/" + itoa(t.number)), "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch", "merged_at": stamp(t.pull.merged)}
	}
	return d
}

// text is null where nothing was written.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (r *request) commentDoc(c *comment) doc {
	at, kind := r.api("/issues/comments/"+itoa(c.ID)), "/issues/"
	if t := r.repo.threads[c.Issue]; t != nil && t.pull != nil {
		kind = "/pull/"
	}
	return doc{
		"id": c.ID, "node_id": node("IssueComment", c.ID), "url": at, "html_url": r.html(kind + itoa(c.Issue) + "#issuecomment-" + itoa(c.ID)), "body": c.Body,
		"user": r.person(c.Author), "created_at": stamp(c.CreatedAt), "updated_at": stamp(c.UpdatedAt), "issue_url": r.api("/issues/" + itoa(c.Issue)),
		"author_association": r.association(c.Author), "performed_via_github_app": nil, "reactions": r.reactions(at),
	}
}

// values sorts and drops what is there twice.
func values(l []string) []string {
	l = slices.Clone(l)
	slices.Sort(l)
	return slices.Compact(l)
}
