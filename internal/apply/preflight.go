package apply

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A Note is what the looking steps say of a plan before anything is claimed.
type Note struct {
	rotation.Chain
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
	// Facts are what the steps found, as they would record it.
	Facts []rotation.Fact `json:"facts,omitempty"`
	// Users says who was found to use the secret.
	Users string `json:"users,omitempty"`
}

// Preflight asks the steps of p's preconditions that only look. It needs no journal, and no call that changes
// something can leave: there is no lease.
func (r *Runner) Preflight(ctx context.Context, p *rotation.Plan) Note { return r.ask(ctx, p, "") }

// Preview is Preflight for a job that may not read a value: it asks each kind's "preview" instead.
func (r *Runner) Preview(ctx context.Context, p *rotation.Plan) Note { return r.ask(ctx, p, "preview") }

func (r *Runner) ask(ctx context.Context, p *rotation.Plan, instead string) (n Note) {
	n = Note{Chain: p.Chain, OK: true}
	c := &rotation.Claim{Plan: *p}
	handlers, err := r.Handlers(ctx, c)
	records := []rotation.Record{{Outcome: rotation.Claimed, Chain: p.Chain, Claim: c}}
	var texts []string
	for _, s := range p.Steps {
		if err != nil || s.Phase != rotation.Preconditions {
			break
		}
		if s.Looks {
			ask := handlers[s.Uses][cmp.Or(instead, s.Name)]
			if ask == nil {
				texts = append(texts, "not looked at: "+s.Uses+" can't without reading a value")
				continue
			}
			var res rotation.Result
			res, err = ask(ctx, s, rotation.PastOf(records).For(s))
			for k, v := range res.Facts {
				res.Facts[k] = r.Scrub(v)
				n.Facts = append(n.Facts, rotation.Fact{Step: s.Key, Key: k, Value: res.Facts[k]})
			}
			records = append(records, rotation.Record{Outcome: rotation.Noted, Chain: p.Chain, Step: s.Key, Facts: res.Facts}) // later ones go by it
			if s.Key == plan.Discover {
				n.Users = r.Scrub(res.Text)
				continue
			}
			texts = append(texts, cmp.Or(r.Scrub(res.Wait), r.Scrub(res.Text), s.Key+" passes"))
		}
	}
	sortFacts(n.Facts)
	n.Text = strings.Join(texts, "; ")
	if err != nil {
		n.OK, n.Text = false, r.Scrub(err.Error())
		var failure *rotation.Failure
		if errors.As(err, &failure) {
			n.Hint = r.Scrub(failure.Hint)
		}
	}
	return n
}
