package town

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// OpenPull opens a pull request from a branch of its own, or of a fork, and lets its workflow run.
func (t *Town) OpenPull(ctx context.Context, author, title, body string, files map[string]string, fork bool) (number int, err error) {
	branch := fmt.Sprintf("change-%d", len(t.GitHub.Pulls())+1)
	if fork {
		branch = author + ":" + branch
	}
	sha := t.GitHub.Commit(branch, author, title, files)
	number = t.GitHub.OpenPull(author, title, body, branch, "main", fork)
	return number, t.opened(ctx, number, author, branch, sha, slices.Collect(maps.Keys(files)), fork)
}

func (t *Town) opened(ctx context.Context, number int, author, branch, sha string, files []string, fork bool) error {
	repo := Repository
	if fork {
		repo = author + "/shop"
	}
	payload, err := json.Marshal(map[string]any{"action": "opened", "number": number, "pull_request": map[string]any{
		"number": number, "head": map[string]any{"sha": sha, "repo": map[string]any{"full_name": repo}},
		"base": map[string]any{"ref": "main", "repo": map[string]any{"full_name": Repository}}}})
	if err != nil {
		return err
	}
	_, err = t.Engine.Trigger(workflow.Event{Name: "pull_request", Ref: fmt.Sprintf("refs/pull/%d/merge", number), SHA: sha, Actor: author,
		Base: "main", Head: branch[strings.LastIndexByte(branch, ':')+1:], Fork: fork, Files: files, Payload: payload})
	if err != nil {
		return err
	}
	return t.Engine.Advance(ctx)
}

// Merge merges a pull request and lets what the push starts run, up to where it waits for people.
func (t *Town) Merge(ctx context.Context, number int, by string, files ...string) error {
	sha := t.GitHub.Merge(number, by)
	return t.pushed(ctx, sha, by, files)
}

// Push commits past any pull request.
func (t *Town) Push(ctx context.Context, author, message string, files map[string]string) error {
	sha := t.GitHub.Commit("main", author, message, files)
	return t.pushed(ctx, sha, author, slices.Collect(maps.Keys(files)))
}

func (t *Town) pushed(ctx context.Context, sha, by string, files []string) error {
	if _, err := t.Engine.Trigger(workflow.Event{Name: "push", Ref: "refs/heads/main", SHA: sha, Actor: by, Files: files}); err != nil {
		return err
	}
	return t.Engine.Advance(ctx)
}

// Cron is when rotate.yml runs by itself.
const Cron = "17 * * * *"

// Hour moves the clock to the next scheduled run, and lets it run.
func (t *Town) Hour(ctx context.Context) error {
	now := t.Clock.Now()
	next := now.Truncate(time.Hour).Add(17 * time.Minute)
	if !next.After(now) {
		next = next.Add(time.Hour)
	}
	t.Clock.Move(next.Sub(now))
	return t.Schedule(ctx)
}

// Schedule is the schedule's event, now.
func (t *Town) Schedule(ctx context.Context) error {
	if _, err := t.Engine.Trigger(workflow.Event{Name: "schedule", Ref: "refs/heads/main", SHA: t.GitHub.Head("main"), Actor: "root-admin", Cron: Cron}); err != nil {
		return err
	}
	return t.Engine.Advance(ctx)
}

// Daily is when rotation-overdue.yml runs by itself.
const Daily = "41 5 * * *"

// Day moves the clock to the next daily look, and lets it run.
func (t *Town) Day(ctx context.Context) error {
	now := t.Clock.Now()
	next := now.UTC().Truncate(24 * time.Hour).Add(5*time.Hour + 41*time.Minute)
	if !next.After(now) {
		next = next.AddDate(0, 0, 1)
	}
	t.Clock.Move(next.Sub(now))
	return t.Look(ctx)
}

// Look is the daily schedule's event, now.
func (t *Town) Look(ctx context.Context) error {
	if _, err := t.Engine.Trigger(workflow.Event{Name: "schedule", Ref: "refs/heads/main", SHA: t.GitHub.Head("main"), Actor: "root-admin", Cron: Daily}); err != nil {
		return err
	}
	return t.Engine.Advance(ctx)
}

// Dispatch is a person's Run workflow.
func (t *Town) Dispatch(ctx context.Context, by string, inputs map[string]string) error {
	if _, err := t.Engine.Trigger(workflow.Event{Name: "workflow_dispatch", Ref: "refs/heads/main", SHA: t.GitHub.Head("main"), Actor: by,
		File: "rotate.yml", Inputs: inputs}); err != nil {
		return err
	}
	return t.Engine.Advance(ctx)
}

// A Wait is a run that waits for an answer about a GitHub Environment.
type Wait struct {
	Run         int64
	Environment string
}

// Waits are all questions that are open, oldest run first.
func (t *Town) Waits() (all []Wait) {
	for _, r := range t.GitHub.Runs("rotate.yml") {
		for _, e := range r.Waiting {
			all = append(all, Wait{r.ID, e})
		}
	}
	slices.SortFunc(all, func(a, b Wait) int { return int(a.Run - b.Run) })
	return all
}

// Approve answers the only question that is open for an environment, and lets the run go on.
func (t *Town) Approve(ctx context.Context, environment, by, comment string) error {
	return t.answer(ctx, environment, func(run int64) error { return t.GitHub.Approve(run, environment, by, comment) })
}

// Reject says no to it.
func (t *Town) Reject(ctx context.Context, environment, by, comment string) error {
	return t.answer(ctx, environment, func(run int64) error { return t.GitHub.Reject(run, environment, by, comment) })
}

func (t *Town) answer(ctx context.Context, environment string, say func(run int64) error) error {
	waits := slices.DeleteFunc(t.Waits(), func(w Wait) bool { return w.Environment != environment })
	if len(waits) != 1 {
		return fmt.Errorf("%d runs wait for %s: %v", len(waits), environment, waits)
	}
	if err := say(waits[0].Run); err != nil {
		return err
	}
	return t.Engine.Advance(ctx)
}
