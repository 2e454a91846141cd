package question

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var order = []Environment{{"dev", "rekey-dev"}, {"stage", "rekey-stage"}, {"prod", "rekey-prod"}}

// job is one whose times are hours of Monday.
func job(name, status string, hours ...int) Job {
	j := Job{Name: name, Status: status}
	if status != "in_progress" && status != "waiting" && status != "queued" {
		j.Status, j.Conclusion = "completed", status
	}
	if len(hours) > 0 {
		j.Started = monday.Add(time.Duration(hours[0]) * time.Hour)
	}
	if len(hours) > 1 {
		j.Completed = monday.Add(time.Duration(hours[1]) * time.Hour)
	}
	return j
}

func TestAskers(t *testing.T) {
	at := func(h int) time.Time { return monday.Add(time.Duration(h) * time.Hour) }
	plan := job("plan", "success", 1, 1)
	for name, c := range map[string]struct {
		in   string
		run  Run
		want []Asker
	}{
		"looks at the moment":              {"dev", Run{Jobs: []Job{job("plan", "in_progress", 1)}}, []Asker{{Time: at(1)}}},
		"hasn't begun":                     {"dev", Run{Jobs: []Job{job("plan", "queued", 1)}}, nil},
		"failed":                           {"dev", Run{Jobs: []Job{job("plan", "failure", 1, 1)}}, nil},
		"skipped":                          {"dev", Run{Ended: true, Jobs: []Job{job("plan", "skipped", 1, 1)}}, nil},
		"nothing yet":                      {"dev", Run{}, nil},
		"has looked, jobs may come":        {"prod", Run{Jobs: []Job{plan}}, []Asker{{Time: at(1)}}},
		"has looked, nothing came":         {"prod", Run{Ended: true, Jobs: []Job{plan}}, nil},
		"waits":                            {"dev", Run{Jobs: []Job{plan, job("dev 1/1", "waiting", 1)}}, []Asker{{Time: at(1)}}},
		"waits, started by a person":       {"dev", Run{Manual: true, Jobs: []Job{plan, job("dev 1/1", "waiting", 1)}}, []Asker{{Time: at(1), Again: true}}},
		"works":                            {"dev", Run{Jobs: []Job{plan, job("dev 1/2", "success", 1, 2), job("dev 2/2", "in_progress", 1)}}, []Asker{{Time: at(1)}}},
		"is over":                          {"dev", Run{Jobs: []Job{plan, job("dev 1/2", "success", 1, 2), job("dev 2/2", "failure", 1, 3), job("after-dev", "in_progress", 3)}}, []Asker{{Time: at(1), End: at(3)}}},
		"cancelled":                        {"dev", Run{Ended: true, Jobs: []Job{plan, job("dev 1/1", "cancelled", 1, 4)}}, []Asker{{Time: at(1), End: at(4)}}},
		"asked nothing":                    {"dev", Run{Jobs: []Job{plan, job("dev ${{ matrix.shard }}", "skipped", 1, 1)}}, nil},
		"asked nothing, by the job's key":  {"dev", Run{Jobs: []Job{plan, job("dev", "skipped", 1, 1)}}, nil},
		"stage waits in a called workflow": {"stage", Run{Jobs: []Job{job("rotate / plan", "success", 1, 1), job("rotate / stage 1/1", "waiting", 1)}}, []Asker{{Time: at(1)}}},
		"dev waits, so prod isn't asked":   {"prod", Run{Jobs: []Job{plan, job("dev 1/1", "waiting", 1)}}, nil},
		"dev works, so prod isn't asked":   {"prod", Run{Jobs: []Job{plan, job("dev 1/1", "in_progress", 1)}}, nil},
		"dev was done, after-dev looks":    {"prod", Run{Jobs: []Job{plan, job("dev 1/1", "success", 1, 2), job("after-dev", "in_progress", 3)}}, []Asker{{Time: at(3)}}},
		"... is queued":                    {"prod", Run{Jobs: []Job{plan, job("dev 1/1", "success", 1, 2), job("after-dev", "queued", 3)}}, nil},
		"... failed":                       {"prod", Run{Jobs: []Job{plan, job("dev 1/1", "success", 1, 2), job("after-dev", "failure", 3, 3)}}, nil},
		"dev and stage had nothing":        {"prod", Run{Jobs: []Job{plan, job("dev", "skipped", 1, 1), job("after-dev", "skipped", 1, 1), job("stage", "skipped", 1, 1), job("after-stage", "skipped", 1, 1), job("prod 1/1", "waiting", 1)}}, []Asker{{Time: at(1)}}},
		"prod by the last that looked": {"prod", Run{Jobs: []Job{plan, job("dev 1/1", "success", 1, 2), job("after-dev", "success", 3, 3), job("stage 1/1", "failure", 4, 5),
			job("after-stage", "success", 6, 6), job("prod 1/1", "waiting", 7)}}, []Asker{{Time: at(6)}}},
		"stage by after-dev, not by after-stage": {"stage", Run{Jobs: []Job{plan, job("dev 1/1", "success", 1, 2), job("after-dev", "success", 3, 3), job("stage 1/1", "failure", 4, 5),
			job("after-stage", "success", 6, 6)}}, []Asker{{Time: at(3), End: at(5)}}},
		"rejected": {"prod", Run{Ended: true, Answers: []Answer{{"rejected", []string{"rekey-stage", "Rekey-Prod"}}}, Jobs: []Job{plan, job("prod 1/1", "failure", 1, 9)}},
			[]Asker{{Time: at(1), End: at(9), Rejected: true}}},
		"another was rejected": {"dev", Run{Ended: true, Answers: []Answer{{"rejected", []string{"rekey-prod"}}, {"approved", []string{"rekey-dev"}}}, Jobs: []Job{plan, job("dev 1/1", "success", 1, 2)}},
			[]Asker{{Time: at(1), End: at(2)}}},
		"an environment that isn't there": {"qa", Run{Jobs: []Job{plan}}, nil},
	} {
		if d := cmp.Diff(c.want, Askers([]Run{c.run}, order, c.in)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestAskersAreInTheirOrder(t *testing.T) {
	runs := []Run{{ID: 3, Jobs: []Job{job("plan", "in_progress", 2)}}, {ID: 9, Jobs: []Job{job("plan", "in_progress", 1)}}, {ID: 2, Jobs: []Job{job("plan", "in_progress", 2)}}}
	var ids []int64
	for _, a := range Askers(runs, order, "dev") {
		ids = append(ids, a.Run)
	}
	if !slices.Equal(ids, []int64{9, 2, 3}) {
		t.Errorf("%v", ids)
	}
}

func TestExpired(t *testing.T) {
	plan := job("plan", "success", 1, 1)
	runs := []Run{
		{ID: 9, Jobs: []Job{plan, job("dev 1/2", "success", 1, 2), job("dev 2/2", "waiting", 1)}},
		{ID: 1, Jobs: []Job{plan, job("dev 1/1", "success", 1, 2), job("after-dev", "success", 2, 2), job("prod 1/1", "waiting", 2)}},
		{ID: 2, Ended: true, Jobs: []Job{plan, job("dev 1/1", "waiting", 1)}},
		{ID: 3, Jobs: []Job{plan, job("dev 1/2", "in_progress", 1), job("dev 2/2", "waiting", 1)}},
		{ID: 4, Jobs: []Job{plan, job("dev 1/1", "queued", 1)}},
	}
	for h, want := range map[int][]int64{73: nil, 74: {9}, 75: {1, 9}} {
		if got := Expired(runs, order, monday.Add(time.Duration(h)*time.Hour)); !slices.Equal(got, want) {
			t.Errorf("after %d h: %v, want %v", h, got, want)
		}
	}
}
