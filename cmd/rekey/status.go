package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/terminal"
)

func newStatus(f *flags) *cobra.Command {
	var asJSON, secrets bool
	c := &cobra.Command{
		Use:   "status [REQUEST...]",
		Short: "Where every open rotation stands, from the journal; changes nothing",
		RunE: func(c *cobra.Command, paths []string) error {
			a, err := f.loaded(c, paths)
			if err != nil {
				return err
			}
			if secrets {
				return scanned(c, a, paths, asJSON)
			}
			tasks, err := a.Tasks(c.Context(), paths...)
			if err != nil {
				return err
			}
			results, err := a.Look(c.Context(), tasks, false)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(outcomes(results, a))
			} else {
				err = printResults(c, a, results)
			}
			if err == nil && slices.ContainsFunc(results, func(r app.Result) bool { return r.Err != nil }) {
				err = errFound
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	c.Flags().BoolVar(&secrets, "secrets", false, "of every secret instead: how old it is, and when it is due; as overdue --all")
	return c
}

// scanned is the state of every secret.
func scanned(c *cobra.Command, a *app.App, paths []string, asJSON bool) error {
	if len(paths) > 0 {
		return usageError{errors.New("--secrets is about all secrets: name no request")}
	}
	format := "text"
	if asJSON {
		format = "json"
	}
	s, err := scan(c, a)
	if err != nil {
		return err
	}
	return printScan(c, s, format, true)
}

// printResults shows where rotations stand, and what kept some from being looked at.
func printResults(c *cobra.Command, a *app.App, results []app.Result) error {
	for _, r := range results {
		if r.Err != nil {
			kind := "error"
			if r.Busy() {
				kind = "busy"
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", kind, a.Scrub(r.Err.Error()))
			if h := hint(r.Err); h != "" {
				fmt.Fprintf(c.ErrOrStderr(), "hint: %s\n", h)
			}
		}
	}
	views := a.Views(results)
	if len(views) == 0 && len(results) > 0 {
		return nil
	}
	return terminal.Status(c.OutOrStdout(), views, style(c))
}

// An outcome is a job's state for programs.
type outcome struct {
	Rotation    string     `json:"rotation"`
	Secret      string     `json:"secret"`
	Environment string     `json:"environment"`
	State       plan.State `json:"state"`
	Step        string     `json:"step,omitempty"`  // due, or waited for
	Until       *time.Time `json:"until,omitempty"` // when it becomes due
	Why         string     `json:"why,omitempty"`
	Attempt     int        `json:"attempt,omitempty"` // 0: not begun
	Records     int        `json:"records"`           // of this attempt
	Head        string     `json:"head,omitempty"`    // of the chain
	Error       string     `json:"error,omitempty"`   // an unknown outcome, or why nothing could be begun
}

func outcomes(results []app.Result, a *app.App) []outcome {
	all := []outcome{}
	for _, r := range results {
		s := r.Status
		o := outcome{Rotation: r.Task.Rotation, Secret: r.Task.Secret, Environment: s.Plan.Environment, State: s.Decision.State,
			Step: s.Decision.Step.Key, Why: s.Decision.Why, Records: len(s.Records)}
		if s.Head.Seq > 0 {
			o.Head = s.Head.Digest
		}
		if len(s.Records) > 0 {
			o.Attempt = s.Plan.Attempt
		}
		if !s.Decision.Until.IsZero() {
			t := s.Decision.Until.UTC()
			o.Until = &t
		}
		if r.Err != nil {
			o.Error = a.Scrub(r.Err.Error())
		}
		all = append(all, o)
	}
	return all
}
