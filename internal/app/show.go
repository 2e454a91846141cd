package app

import (
	"net/url"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// Shown is one secret's rotation as reports show it: its environments in order, and what they were made of.
type Shown struct {
	Task         Task
	View         report.View
	Environments []report.Environment // as in View
	Results      []Result             // likewise
}

// Shown are the results by rotation and secret. What couldn't be looked at isn't shown: nothing is known of it.
func (a *App) Shown(results []Result) (all []Shown) {
	now := a.Clock.Now()
	for i := 0; i < len(results); {
		v := Shown{Task: results[i].Task}
		for ; i < len(results) && results[i].Task.Rotation == v.Task.Rotation && results[i].Task.Secret == v.Task.Secret; i++ {
			s := results[i].Status
			if s.Chain == nil {
				continue
			}
			e := report.Environment{Name: s.Plan.Environment, Plan: s.Plan, Records: s.Records, Decision: s.Decision, Head: s.Head}
			if j := v.Task.job(e.Name); !j.Withdrawn {
				e.Draft = &j.Claim
			}
			v.Environments, v.Results = append(v.Environments, e), append(v.Results, results[i])
		}
		if len(v.Environments) > 0 {
			v.View = report.New(v.Task.Secret, v.Task.Rotation, v.Environments, now)
			all = append(all, v)
		}
	}
	return all
}

// Views are the views of Shown.
func (a *App) Views(results []Result) (views []report.View) {
	for _, v := range a.Shown(results) {
		views = append(views, v.View)
	}
	return views
}

// Last is when the last record of any environment was made; zero when there is none.
func (v Shown) Last() (at time.Time) {
	for _, s := range v.View.Environments {
		if s.At().After(at) {
			at = s.At()
		}
	}
	return at
}

// In is t's job in an environment; nil when it has none.
func (t Task) In(environment string) *apply.Job {
	for i := range t.Jobs {
		if t.Jobs[i].Claim.Plan.Environment == environment {
			return &t.Jobs[i]
		}
	}
	return nil
}

// BundleURL is where a person finds an environment's bundle: a label, and for a bucket its page in the S3 console.
func (a *App) BundleURL(v report.View, s report.Standing) (label, link string) {
	return a.bundleURL(rotation.Chain{Environment: s.Name, Secret: v.Secret}, v.Rotation)
}

func (a *App) bundleURL(c rotation.Chain, name string) (label, link string) {
	folder, err := evidence.BundleFolder(c, name)
	if err != nil {
		return name, ""
	}
	at := a.Inputs.Config.Evidence
	at.Store = a.storeURL()
	bucket, prefix, ok := at.Bucket()
	if !ok {
		return folder, ""
	}
	if prefix != "" {
		folder = prefix + "/" + folder
	}
	q := url.Values{"prefix": {folder}}
	if at.Region != "" {
		q.Set("region", at.Region)
	}
	return "records and summary", "https://s3.console.aws.amazon.com/s3/buckets/" + url.PathEscape(bucket) + "?" + q.Encode()
}

// LockedUntil is until when a record made at that time can't be deleted; zero where nothing is locked.
func (a *App) LockedUntil(at time.Time) time.Time {
	l := a.Inputs.Config.Evidence.Lock
	if _, _, inBucket := (a.Inputs.Config.Evidence).Bucket(); l == nil || !inBucket || a.Evidence != "" {
		return time.Time{}
	}
	return l.Retain.After(at)
}
