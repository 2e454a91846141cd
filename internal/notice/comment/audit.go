package comment

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	text "github.com/rastup/rekey/internal/report/comment"
)

// audits writes what isn't said yet. What goes into one comment depends on the page only, not on what GitHub's list
// shows today: so two passes at once write the same comments, and one of each can go.
func (p *Projector) audits(ctx context.Context, page Page, t *notice.Tally) error {
	said, err := p.saidOn(ctx, page.Pull)
	if err != nil {
		return err
	}
	entries := map[string]text.Entry{}
	for _, group := range groups(page.Audits) {
		if !slices.ContainsFunc(group, func(e text.Entry) bool { return !said[e.Key()] }) {
			continue
		}
		for _, e := range group {
			entries[e.Key()] = e
		}
		for _, body := range text.Audit(group, p.Options) {
			keys, ok := text.ParseAudit(body)
			if !ok {
				return fmt.Errorf("audit comment of %s: %w", group[0].Plan.Chain, errNoMark)
			}
			if err := p.audit(ctx, page.Pull, keys, entries, t); err != nil {
				return fmt.Errorf("audit comment of %s: %w", entries[keys[0]].Plan.Chain, err)
			}
		}
	}
	return nil
}

// audit writes one comment of what of keys isn't said yet.
func (p *Projector) audit(ctx context.Context, pull int, keys []string, entries map[string]text.Entry, t *notice.Tally) error {
	said, err := p.saidOn(ctx, pull)
	if err != nil {
		return err
	}
	var missing []text.Entry
	for _, key := range keys {
		if !said[key] {
			missing = append(missing, entries[key])
		}
	}
	for _, body := range text.Audit(missing, p.Options) {
		if text.Size(body) > text.Most {
			return errTooLong
		}
		err := p.create(ctx, pull, body, t, func(all []github.Comment) bool {
			said := p.said(all)
			keys, _ := text.ParseAudit(body)
			return !slices.ContainsFunc(keys, func(key string) bool { return !said[key] })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Projector) saidOn(ctx context.Context, pull int) (map[string]bool, error) {
	all, err := p.list(ctx, pull)
	return p.said(all), err
}

// said are the keys that comments of ours say, those somebody edited as well: to say it again would mend that silently.
func (p *Projector) said(all []github.Comment) map[string]bool {
	said := map[string]bool{}
	for _, c := range all {
		if notice.Ours(c.Author, p.Bot) {
			keys, _ := text.ParseAudit(c.Body)
			for _, key := range keys {
				said[key] = true
			}
		}
	}
	return said
}

// groups are the entries by environment and outcome, each once.
func groups(entries []text.Entry) (all [][]text.Entry) {
	at, twice := map[[2]string]int{}, map[string]bool{}
	for _, e := range entries {
		if twice[e.Key()] {
			continue
		}
		twice[e.Key()] = true
		name := [2]string{e.Plan.Environment, string(e.Outcome)}
		i, ok := at[name]
		if !ok {
			i, all = len(all), append(all, nil)
			at[name] = i
		}
		all[i] = append(all[i], e)
	}
	return all
}

// tidy deletes what other passes said as well, and reports what isn't as Rekey wrote it.
// A comment goes only when older ones, which nobody changed, say all of it: the oldest never goes, whichever of them
// a list may not show, and so whatever passes do this at the same time, nothing that was said is lost.
func (p *Projector) tidy(ctx context.Context, pull int, t *notice.Tally) error {
	all, err := p.list(ctx, pull)
	if err != nil {
		return err
	}
	said := map[string]bool{}
	for _, c := range all {
		keys, ok := text.ParseAudit(c.Body)
		switch {
		case !ok && !strings.Contains(c.Body, marker):
		case !notice.Ours(c.Author, p.Bot):
			t.Find(c.URL, "it proves nothing; delete it", "a comment by @%s looks like an audit comment of Rekey's", c.Author.Login)
		case !ok:
			t.Find(c.URL, changed, "an audit comment was edited: its marker isn't as it was written")
		case !c.UpdatedAt.Equal(c.CreatedAt):
			t.Find(c.URL, changed, "an audit comment was edited on %s", c.UpdatedAt.UTC().Format("2 Jan 2006 15:04:05 UTC"))
		case !slices.ContainsFunc(keys, func(key string) bool { return !said[key] }):
			if err := p.delete(ctx, c, t); err != nil {
				return fmt.Errorf("delete a second audit comment: %w", err)
			}
		default:
			for _, key := range keys {
				said[key] = true
			}
		}
	}
	return nil
}

// marker is how an audit comment's begins, also where the rest of it was changed.
const marker = "<!-- rekey:audit"

const changed = "the journal has what it said (rekey verify); GitHub shows who edited it and what it was before"
