package demo

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// An other is one secret of a kind that the first errand doesn't show: a row of the registry, a service, and what that
// says in the end.
type other struct {
	kind, secret string
	service      string // as people call it
	alone        bool   // it waits within a job, which moves the clock: beside it, others' times would depend on who was faster
	target       string // as the registry writes it for dev: lines of YAML
	// stand makes the service and what was there before, as people did long ago.
	stand func(ctx context.Context, s *scene) error
	// meanwhile is what goes on before each hour passes: what people do, or applications. nil: nothing.
	meanwhile func(ctx context.Context, s *scene) error
	// says asks the service itself, by hand: never our records.
	says func(ctx context.Context, s *scene) (string, error)
}

// theOthers are one secret of each further kind: a new kind is a function and a line here.
func theOthers() []other {
	return []other{
		kmsKey(),
		stripeWebhook(),
		typesenseKey(),
		postgresAccount(),
		mysqlAccount(),
		masterUser(),
		byHand(),
	}
}

const (
	othersAt      = "rotations/2026/11/2026-11-25-contractor.yaml"
	othersRequest = `# A contractor's last day. Everything in dev that they could read has their tag in the registry.
tags: [contractor]
ticket: "#%d"
reason: personnel
environments: [dev]
`
)

// others is the second errand, one secret of each other kind in one environment, and one more for each that goes alone.
func (t *teller) others(ctx context.Context) error {
	var together, alone []other
	for _, o := range theOthers() {
		if o.alone {
			alone = append(alone, o)
		} else {
			together = append(together, o)
		}
	}
	fmt.Fprintf(t.w, "\nThen a secret of each other kind, in dev alone: %s.\n\n", list(theOthers()))
	words := fmt.Sprintf("a contractor leaves, who could read %s in dev", report.Count(len(together), "secret"))
	if err := t.also(ctx, together, "contractor", errand{title: "Rotate what the contractor could read", why: "Their contract ends today. Tag contractor says what it is.",
		words: words, at: othersAt, text: othersRequest, description: "Their contract ends today.\n"}); err != nil {
		return err
	}
	for _, o := range alone {
		fmt.Fprintln(t.w)
		day := t.now().UTC()
		e := errand{title: "Rotate " + o.secret, why: "It is due.", words: o.secret + " is due", description: "It is due.\n",
			at:   day.Format("rotations/2006/01/2006-01-02-") + strings.ReplaceAll(o.secret, "/", "-") + ".yaml",
			text: "secret: " + o.secret + "\nticket: \"#%d\"\nenvironments: [dev]\n"}
		if err := t.also(ctx, []other{o}, "", e); err != nil {
			return err
		}
	}
	return nil
}

// also is an errand for secrets that are made for it, tagged, and what comes of them.
func (t *teller) also(ctx context.Context, all []other, tag string, e errand) error {
	rows, targets := "", ""
	for _, o := range all {
		if err := o.stand(ctx, t.scene); err != nil {
			return fmt.Errorf("make what %s needs: %w", o.kind, err)
		}
		e.secrets = append(e.secrets, o.secret)
		rows += fmt.Sprintf("| `%s` | %s | @rastup/platform | 90 days | 2026-10-12 | %s |\n", o.secret, o.kind, tag)
		targets += fmt.Sprintf("\n## `%s`\n\n```yaml\ndev:\n  target:\n    %s\n```\n", o.secret, strings.ReplaceAll(strings.TrimSpace(o.target), "\n", "\n    "))
	}
	e.meanwhile = func(ctx context.Context) error {
		for _, o := range all {
			if o.meanwhile == nil {
				continue
			}
			if err := o.meanwhile(ctx, t.scene); err != nil {
				return fmt.Errorf("%s: %w", o.kind, err)
			}
		}
		return nil
	}
	// In the afternoon. What waits in a job moves this clock for all: so nothing is to come due between a run and half an
	// hour after it.
	t.Clock.Move(t.now().Truncate(time.Hour).Add(3 * time.Hour).Sub(t.now()))
	if err := t.register(ctx, rows, targets); err != nil {
		return err
	}
	if err := t.tell(ctx, e); err != nil {
		return err
	}
	return t.recount(ctx, all)
}

func list(all []other) string {
	var kinds []string
	for _, o := range all {
		kinds = append(kinds, o.kind)
	}
	return strings.Join(kinds[:len(kinds)-1], ", ") + " and " + kinds[len(kinds)-1]
}

// register adds rows to the registry, below those that are there.
func (t *teller) register(ctx context.Context, rows, targets string) error {
	at := files["registry.md"]
	head, rest, ok := strings.Cut(t.GitHub.Files("main")[at], "\n\n## ")
	if !ok {
		return fmt.Errorf("%s has no headings", at)
	}
	return t.Push(ctx, "root-admin", "Register what the contractor may read", map[string]string{at: head + "\n" + rows + "\n## " + rest + targets})
}

// order is that of steps in the line of several secrets, whose kinds have some each.
var order = []string{"", "preflight", "baseline", "create", "set", "test", "promote", "validate", "accepted", "adopted", "disable", "retire", "decommission", "revoked", "refused"}

// together tells a job that was for several secrets: each step once.
func (t *teller) together(env string) {
	place := func(r rotation.Record) int {
		name, _, _ := strings.Cut(r.Step, "/")
		if r.Outcome == rotation.Released {
			return len(order)
		}
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(t.batch, func(a, b rotation.Record) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Step, b.Step))
	})
	var secrets []string
	for _, r := range t.batch {
		t.line.Record(&rotation.Plan{Chain: rotation.Chain{Environment: env}}, r)
		if !slices.Contains(secrets, r.Secret) {
			secrets = append(secrets, r.Secret)
		}
	}
	t.batch = nil
	t.line.Finish(rotation.Chain{Environment: env}, report.Count(len(secrets), "secret"))
}

// recount is, of each kind, what its records say and what the service says.
func (t *teller) recount(ctx context.Context, all []other) error {
	for _, o := range all {
		records := t.told[o.secret]
		if len(records) == 0 || records[0].Claim == nil {
			return fmt.Errorf("%s was not rotated", o.secret)
		}
		fmt.Fprintf(t.w, "\n%s  %s\n", o.kind, o.secret)
		for _, s := range summary(&records[0].Claim.Plan, records) {
			t.line.Note(s.what, wide, s.text)
		}
		says, err := o.says(ctx, t.scene)
		if err != nil {
			return fmt.Errorf("ask the service of %s: %w", o.secret, err)
		}
		t.line.Note(o.service+" says", wide, short(says))
	}
	return t.pages()
}

const wide = len("Secrets Manager says")

type line struct{ what, text string }

// summary is what was new, what proved it, what came of the old one, and that it is refused: in the records' words.
func summary(p *rotation.Plan, records []rotation.Record) []line {
	said := []line{{what: "new"}, {what: "proof"}, {what: "the old one"}, {what: "tried afterwards"}}
	final := false
	for _, s := range p.Steps {
		i := slices.IndexFunc(records, func(r rotation.Record) bool { return r.Step == s.Key && r.Outcome == rotation.Done })
		if i < 0 || s.Uses != "kind/"+p.Kind {
			continue
		}
		text := short(records[i].Text)
		switch {
		case s.Phase == rotation.Create && (!s.Looks || s.Ask != nil):
			said[0].text = text
		case s.Phase == rotation.Create || s.Phase == rotation.Validate:
			said[1].text = text
		case s.Final:
			said[2].text, final = text, true
		case s.Phase == rotation.Decommission && final:
			said[3].text = text
		}
	}
	return slices.DeleteFunc(said, func(l line) bool { return l.text == "" })
}

// common is what the records of nearly every secret say: the pages have it.
var common = []string{"read back by version and label", "encrypted with AWS's own key (aws/secretsmanager)",
	"all but username and password is byte for byte the same", "Secrets Manager may still answer reads by that ID until it prunes the version"}

var (
	uuid     = regexp.MustCompile(`\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{22}\b`)
	endpoint = regexp.MustCompile(`\b(we_[0-9A-Za-z]{4})[0-9A-Za-z]{20}\b`)
)

// short is a record's text without what is common, and with the beginnings of names alone.
func short(text string) string {
	parts := slices.DeleteFunc(strings.Split(text, "; "), func(p string) bool { return slices.Contains(common, p) })
	return endpoint.ReplaceAllString(uuid.ReplaceAllString(strings.Join(parts, "; "), "$1…"), "$1…")
}
