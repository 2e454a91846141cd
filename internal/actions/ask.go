package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/policy/lookup"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/rotation"
)

// candidates are what is to be asked in an environment, whoever asks.
func (s *survey) candidates(e *config.Environment) (all []candidate) {
	for k := range s.results {
		r := &s.results[k]
		if r.Status.Plan.Environment != e.Name {
			continue
		}
		asks, goes := s.asks(*r, e)
		if goes && !slices.Contains(s.goes, e.Name) {
			s.goes = append(s.goes, e.Name)
		}
		if asks && s.stands(r) {
			c := s.candidate(*r)
			c.result = r
			all = append(all, c)
		}
	}
	return all
}

// stands says whether people may be asked about r at all. What is refused is shown with the reason.
func (s *survey) stands(r *app.Result) bool {
	if r.Task.Request == nil || len(r.Status.Records) > 0 {
		return true
	}
	err := s.refused[r.Task.Request.Path]
	if err != nil {
		hold(r, err)
	}
	return err == nil
}

// hold shows r as waiting, for a reason that the journal doesn't know.
func hold(r *app.Result, err error) {
	d := &r.Status.Decision
	why := err.Error()
	var failure *rotation.Failure
	if errors.As(err, &failure) && failure.Hint != "" {
		why += ": " + failure.Hint
	}
	d.State, d.Why, d.Approval = plan.Waiting, why, ""
}

// A candidate is an item and what decides when it is asked about.
type candidate struct {
	question.Item
	due    question.Due
	result *app.Result
}

func (s *survey) candidate(r app.Result) candidate {
	d, st := s.soon(r), r.Status
	c := candidate{Item: question.Item{Rotation: r.Task.Rotation, Secret: r.Task.Secret, Environment: st.Plan.Environment,
		For: cmp.Or(d.Approval, rotation.ApprovesRotation), Digest: plan.Fingerprint(&st.Plan), Attempt: st.Plan.Attempt}}
	if s.back[attemptOf(r)] { // at any hour
		c.due = question.Due{After: question.Latest(s.happened(r)...)}
		c.Since, _ = c.due.Since()
		return c
	}
	c.due = question.Due{Window: d.Step.Window, Hours: d.Step.Hours, After: question.Latest(s.happened(r)...)}
	if done := recorded(st.Records, d.Step.After); d.Step.After != "" && !done.IsZero() {
		c.due.From = done.Add(time.Duration(d.Step.Delay))
	}
	c.Since, _ = c.due.Since()
	return c
}

// happened is what r became due by: its request merged, the environment before validated, and whatever else is on its
// chain but what people attached. A person who starts it again makes it due by that.
func (s *survey) happened(r app.Result) (times []time.Time) {
	if q := r.Task.Request; q != nil {
		times = append(times, s.asked[q.Path].Origin.MergedAt)
	}
	for _, rec := range r.Status.Chain.Records {
		if rec.Outcome != rotation.Attached {
			times = append(times, rec.At)
		}
	}
	for _, o := range s.results {
		if o.Task.Rotation == r.Task.Rotation && o.Task.Secret == r.Task.Secret && o.Status.Plan.Environment == r.Status.Plan.Needs {
			for _, step := range o.Status.Plan.Steps {
				if step.Phase != rotation.Decommission {
					times = append(times, recorded(o.Status.Records, step.Key))
				}
			}
		}
	}
	return append(times, s.restarted[attemptOf(r)])
}

// recorded is when a step was done; zero: it isn't.
func recorded(records []rotation.Record, step string) (at time.Time) {
	for _, r := range records {
		if r.Step == step && r.Outcome == rotation.Done {
			at = r.At
		}
	}
	return at
}

// ask finds what is to be asked in each environment, and leaves out what another run asks already.
func (s *survey) ask(ctx context.Context) error {
	s.items = map[string][]question.Item{}
	urgent, err := s.urgent(ctx)
	if err != nil {
		return err
	}
	all, oldest := map[string][]candidate{}, s.Clock.Now()
	environments := s.app.Inputs.Config.Environments
	for i := range environments {
		e := &environments[i]
		all[e.Name] = s.reviewed(ctx, only(s.candidates(e), urgent))
		if len(all[e.Name]) > 0 {
			s.items[e.Name] = nil // not asked yet
		}
		for _, c := range all[e.Name] {
			if c.due.After.Before(oldest) {
				oldest = c.due.After
			}
		}
	}
	runs, self, err := s.runs(ctx, oldest, len(s.items) > 0)
	if err != nil {
		return err
	}
	s.expired = question.Expired(runs, gates(s.app.Inputs.Config), s.Clock.Now())
	people := s.people()
	for i := range environments {
		e := &environments[i]
		guarded := s.guarded(ctx, people, e, all[e.Name])
		if urgent != nil { // as if nobody else did
			runs = nil
		}
		s.items[e.Name] = s.open(ctx, people, e, guarded, runs, self)
	}
	return nil
}

// gate is what lets something go on in e that waits for approval. What was claimed as that doesn't go on by itself
// because the house rules ask nobody any more.
func gate(e *config.Environment, approval string) string {
	if approval != "" && e.Approval == config.ApprovalNone {
		return config.ApprovalRequired
	}
	return e.Approval
}

// guarded are the candidates whose GitHub Environment is as it must be.
func (s *survey) guarded(ctx context.Context, people *lookup.Lookup, e *config.Environment, all []candidate) (fine []candidate) {
	said := map[string]bool{}
	for _, c := range all {
		kind := gate(e, s.soon(*c.result).Approval)
		warnings, err := people.Protected(ctx, e.GitHubEnvironment, kind)
		if err == nil {
			fine = append(fine, c)
		} else {
			hold(c.result, err)
		}
		if said[kind] {
			continue
		}
		said[kind] = true
		for _, w := range warnings {
			s.warn(w)
		}
		if err != nil {
			s.fail(err)
		}
	}
	return fine
}

// open are the candidates that this run asks about.
func (s *survey) open(ctx context.Context, people people, e *config.Environment, all []candidate, runs []question.Run, self question.Asker) (items []question.Item) {
	askers := question.Askers(runs, gates(s.app.Inputs.Config), e.Name)
	known := s.Clock.Now().Add(-question.Expiry)
	for _, c := range all {
		if question.Asks(c.due, self, askers, known) {
			if q := c.result.Task.Request; q != nil && len(c.result.Status.Records) == 0 {
				s.origin(ctx, people, q)
			}
			if s.stands(c.result) {
				items = append(items, c.Item)
			}
		} else if run, no := question.Refused(c.due, self, askers); no {
			hold(c.result, rotation.Failf("run the workflow anew (Run workflow) if it should go on after all; else delete the request's file",
				"%s was rejected in run %d", e.GitHubEnvironment, run))
		}
	}
	fit := question.Fit(items)
	if left := len(items) - len(fit); left > 0 {
		s.warn(fmt.Sprintf("%s: one question holds %d of %d rotations; the others are asked about when it has been answered", e.Name, len(fit), len(items)))
	}
	return fit
}

// A part of the outputs: what is asked in an environment.
type asked struct {
	Shards   []string `json:"shards"`
	Question string   `json:"question"`
}

// A place is where something goes on without being asked about.
type place struct {
	Environment string `json:"environment"`
	GitHub      string `json:"github"`
}

// outputs are one line of JSON each; action.yml says what is in them.
func (s *survey) outputs() error {
	var environments strings.Builder // in order, which a map has none of
	goes := []place{}
	for i, e := range s.app.Inputs.Config.Environments {
		a := asked{Shards: []string{}}
		if items := s.items[e.Name]; len(items) > 0 {
			text, err := question.Encode(items)
			if err != nil {
				return err
			}
			a = asked{question.Shards(len(items), 0), text}
		}
		part, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if i > 0 {
			environments.WriteByte(',')
		}
		fmt.Fprintf(&environments, "%q:%s", e.Name, part)
		if slices.Contains(s.goes, e.Name) {
			goes = append(goes, place{e.Name, cmp.Or(e.ContinueEnvironment, e.GitHubEnvironment)})
		}
	}
	if s.expired == nil {
		s.expired = []int64{}
	}
	going, err := json.Marshal(goes)
	if err != nil {
		return err
	}
	expired, err := json.Marshal(s.expired)
	return errors.Join(err, s.output("environments", "{"+environments.String()+"}"), s.output("continue", string(going)), s.output("expired", string(expired)))
}
