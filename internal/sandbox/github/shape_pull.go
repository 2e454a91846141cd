package github

import (
	"net/url"
	"slices"
	"strings"
)

func (r *request) side(owner, branch, sha string, gone bool) doc {
	d := doc{"label": owner + ":" + branch, "ref": branch, "sha": sha, "user": r.organization(), "repo": r.repository(owner)}
	if owner != r.repo.owner {
		d["user"] = r.ghost(owner)
	}
	if gone {
		d["repo"] = nil
	}
	return d
}

// pullSimple is a pull request as lists have it: without who merged it, and without counts.
func (r *request) pullSimple(t *thread) doc {
	p := t.pull
	at, page, issue := r.api("/pulls/"+itoa(t.number)), r.html("/pull/"+itoa(t.number)), r.api("/issues/"+itoa(t.number))
	owner, branch := r.headOf(p)
	links := doc{}
	for name, href := range map[string]string{
		"self": at, "html": page, "issue": issue, "comments": issue + "/comments", "review_comments": at + "/comments",
		"review_comment": r.api("/pulls/comments{/number}"), "commits": at + "/commits", "statuses": r.api("/statuses/" + p.head),
	} {
		links[name] = doc{"href": href}
	}
	d := doc{
		"url": at, "id": t.id, "node_id": node("PullRequest", t.id), "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch", "issue_url": issue,
		"commits_url": at + "/commits", "review_comments_url": at + "/comments", "review_comment_url": r.api("/pulls/comments{/number}"), "comments_url": issue + "/comments",
		"statuses_url": r.api("/statuses/" + p.head), "number": t.number, "state": t.state, "locked": false, "title": t.title, "user": r.ghost(t.author), "body": text(t.body),
		"labels": r.labelDocs(t.labels), "milestone": nil, "created_at": stamp(t.made), "updated_at": stamp(t.updated), "closed_at": stamp(t.closed), "merged_at": stamp(p.merged),
		"merge_commit_sha": text(p.merge), "assignee": nil, "assignees": r.people(t.assignees), "requested_reviewers": []any{}, "requested_teams": []any{},
		"head": r.side(owner, branch, p.head, p.forkGone), "base": r.side(r.repo.owner, p.base, r.baseOf(p), false), "_links": links,
		"author_association": r.association(t.author), "auto_merge": nil, "active_lock_reason": nil, "draft": false,
	}
	if len(t.assignees) > 0 {
		d["assignee"] = r.person(t.assignees[0])
	}
	return d
}

func (r *request) pullDoc(t *thread) doc {
	p, d := t.pull, r.pullSimple(t)
	files, merged := r.filesOf(p), !p.merged.IsZero()
	added, gone := 0, 0
	for _, f := range files {
		added, gone = added+f.added, gone+f.gone
	}
	d["merged"], d["merged_by"], d["rebaseable"] = merged, nil, nil
	d["mergeable"], d["mergeable_state"] = true, "clean"
	if t.state != "open" {
		d["mergeable"], d["mergeable_state"] = nil, "unknown"
	} else if _, clean := r.repo.merged(r.baseOf(p), p.head); !clean {
		d["mergeable"], d["mergeable_state"] = false, "dirty"
	}
	if merged {
		d["merged_by"] = r.person(p.mergedBy)
	}
	d["comments"], d["review_comments"], d["maintainer_can_modify"] = len(r.repo.said(t.number)), 0, false
	d["commits"], d["additions"], d["deletions"], d["changed_files"] = len(r.commitsOf(p)), added, gone, len(files)
	return d
}

// baseOf is the commit of the base branch that the pull request is compared with.
func (r *request) baseOf(p *pull) string {
	if p.start != "" {
		return p.start
	}
	return r.repo.branches[p.base]
}

func (r *request) commitsOf(p *pull) []*commit {
	if p.brought != nil {
		return p.brought
	}
	return r.repo.between(r.baseOf(p), p.head)
}

func (r *request) filesOf(p *pull) []change {
	return difference(r.repo.mergeBase(r.baseOf(p), p.head).tip(), r.repo.commits[p.head].tip())
}

func (r *request) reviewDoc(t *thread, v review) doc {
	at, page := r.api("/pulls/"+itoa(t.number)), r.html("/pull/"+itoa(t.number)+"#pullrequestreview-"+itoa(v.id))
	return doc{
		"id": v.id, "node_id": node("PullRequestReview", v.id), "user": r.person(v.user), "body": v.body, "state": v.state, "html_url": page, "pull_request_url": at,
		"author_association": r.association(v.user), "_links": doc{"html": doc{"href": page}, "pull_request": doc{"href": at}}, "submitted_at": stamp(v.at), "commit_id": v.commit,
	}
}

// A change is one file that differs between two trees.
type change struct {
	path, was, status string
	blob              string // of the new content; of the old one where it is gone
	added, gone       int    // lines
}

// difference finds renames as git does by default: a removed and an added file of which at least half is the same.
func difference(before, after map[string]string) (l []change) {
	var removed, added []string
	for path, text := range changes(before, after) {
		_, was := before[path]
		_, is := after[path]
		switch {
		case was && is:
			more, less := lines(before[path], text)
			l = append(l, change{path: path, status: "modified", blob: Blob(text), added: more, gone: less})
		case was:
			removed = append(removed, path)
		default:
			added = append(added, path)
		}
	}
	slices.Sort(removed)
	slices.Sort(added)
	for _, path := range added {
		c := change{path: path, status: "added", blob: Blob(after[path])}
		best, from := 0.5, -1
		for i, old := range removed {
			if s := likeness(before[old], after[path]); s >= best && (from < 0 || s > best) {
				best, from = s, i
			}
		}
		if from >= 0 {
			c.status, c.was = "renamed", removed[from]
			removed = slices.Delete(removed, from, from+1)
		}
		c.added, c.gone = lines(before[c.was], after[path])
		l = append(l, c)
	}
	for _, path := range removed {
		_, less := lines(before[path], "")
		l = append(l, change{path: path, status: "removed", blob: Blob(before[path]), gone: less})
	}
	slices.SortFunc(l, func(a, b change) int { return strings.Compare(a.path, b.path) })
	return l
}

// tally is how often each line of a text is there.
func tally(text string) map[string]int {
	n := map[string]int{}
	for line := range strings.Lines(text) {
		n[line]++
	}
	return n
}

// lines counts those that came and those that went.
func lines(before, after string) (added, gone int) {
	a, b := tally(before), tally(after)
	for line, n := range b {
		added += max(0, n-a[line])
	}
	for line, n := range a {
		gone += max(0, n-b[line])
	}
	return added, gone
}

// likeness is the share of bytes in lines that both have.
func likeness(before, after string) float64 {
	if before == after {
		return 1
	}
	same, a := 0, tally(before)
	for line, n := range tally(after) {
		same += len(line) * min(n, a[line])
	}
	return float64(same) / float64(max(len(before), len(after)))
}

func (r *request) changeDoc(c change, sha string) doc {
	path := (&url.URL{Path: c.path}).EscapedPath()
	d := doc{
		"sha": c.blob, "filename": c.path, "status": c.status, "additions": c.added, "deletions": c.gone, "changes": c.added + c.gone,
		"blob_url": r.html("/blob/" + sha + "/" + path), "raw_url": r.html("/raw/" + sha + "/" + path), "contents_url": r.api("/contents/" + path + "?ref=" + sha),
	}
	if c.was != "" {
		d["previous_filename"] = c.was
	}
	return d
}
