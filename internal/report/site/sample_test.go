package site_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/site"
)

var update = flag.Bool("update", false, "write the goldens anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// made are all files of a site by name.
func made(t testing.TB, d site.Data) map[string][]byte {
	t.Helper()
	pages, err := site.Pages(d)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, p := range pages {
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		if all[p.Name] != nil {
			t.Fatalf("%s is there twice", p.Name)
		}
		all[p.Name] = b.Bytes()
	}
	return all
}

var now = reporttest.Monday

func days(n int) time.Time { return now.AddDate(0, 0, -n) }

// kept is one secret in dev, stage and prod, n days old by the service's word.
func kept(name, owner string, interval, n int) overdue.Secret {
	s := overdue.Secret{Name: name, Kind: "secretsmanager", Owner: owner, Interval: calendar.Interval{Days: interval}, File: "ops/config/registry.md", Line: 12}
	for i, env := range []string{"dev", "stage", "prod"} {
		s.Places = append(s.Places, overdue.Place{Environment: env, Ages: []overdue.Age{{Since: days(n - 2 + i), Source: overdue.Live, Text: "version 46b5d246 of " + name + " is of then"}}})
	}
	return s
}

// sample is a company with something in every state.
func sample() site.Data {
	rules := overdue.Rules{Soon: overdue.DefaultSoon, Still: overdue.DefaultStill}
	stripe := kept(reporttest.Secret, "@rastup/payments", 90, 96)
	stripe.Tags = []string{"pci", "dsar"}
	stripe.Places[0].Open = &overdue.Open{Rotation: reporttest.Rotation, Path: reporttest.Path, Pull: 7, Short: "stuck at decommission", Why: "Your move in dev: mend it", Moved: days(1), Failed: true}
	open := kept("app/database", "@rastup/platform", 90, 84)
	open.Places[1].Open = &overdue.Open{Rotation: "2026-11-22-app-database", Pull: 9, Short: "waits for approval", Moved: days(1)}
	unknown := kept("search/typesense-admin", "@rastup/search", 180, 0)
	for i := range unknown.Places {
		unknown.Places[i].Ages, unknown.Places[i].Trouble = nil, "AccessDenied: rekey-preview may not call secretsmanager:DescribeSecret"
	}
	exempt := kept("legacy/ftp", "@rastup/platform", 30, 400)
	exempt.Exempt = overdue.Mark{Date: days(-90), Why: "switched off in February (SEC-1300)"}
	secrets := []overdue.Secret{stripe, open, unknown, exempt, kept("mail/smtp", "@rastup/platform", 30, 97), kept("crm/api-key", "@rastup/sales", 90, 133),
		kept("shop/sessions", "@rastup/shop", 90, 81), kept("shop/webhook", "@rastup/shop", 180, 174)}
	for i := range 24 {
		secrets = append(secrets, kept(fmt.Sprintf("service-%02d/token", i), []string{"@rastup/platform", "@rastup/shop", "@rastup/payments"}[i%3], []int{90, 180, 365}[i%3], 4+i*3+i%5))
	}
	d := site.Data{Scan: overdue.Judged(secrets, nil, []overdue.Stray{{Environment: "prod", Name: "legacy/old-ftp", Kind: "secretsmanager", Since: days(1700), Target: "{secret: legacy/old-ftp}"}},
		[]overdue.Finding{{Rule: overdue.RulePendingLeft, Secret: "mail/smtp", Environment: "prod", Text: "version 8c7cef39 is labelled AWSPENDING, and no rotation is open", Hint: "see whose it is", File: "ops/config/registry.md", Line: 12}}, rules, now),
		Repository: "https://github.com/rastup/shop", Since: days(730), History: map[string][]site.Past{
			reporttest.Secret: {{Rotation: reporttest.Rotation, Attempt: 2, Evidence: bundles(reporttest.Rotation, "dev")},
				{Rotation: "2026-08-20-payments-stripe-webhook", Attempt: 1, Closed: days(92), Stood: "dev, stage and prod finished", Evidence: bundles("2026-08-20-payments-stripe-webhook", "dev", "stage", "prod")}},
			"app/database": {{Rotation: "2026-08-30-app-database", Attempt: 1, Closed: days(82), Stood: "dev rolled back, stage and prod missed", Evidence: []site.Evidence{{Environment: "dev", Label: "rotations/2026/08/app~database/2026-08-30-app-database/dev/"}}}},
		}}
	for _, c := range reporttest.Cases() {
		switch c.Name {
		case "decommission-stuck":
			d.Rotations = append(d.Rotations, site.Rotation{View: c.View().Lasting(), Evidence: bundles(c.Rotation, "dev")})
		case "rolled-back", "success", "window":
			c.Secret, c.Rotation = "service-0"+fmt.Sprint(len(d.Rotations))+"/token", "2026-11-23-"+c.Name
			d.Rotations = append(d.Rotations, site.Rotation{View: c.View().Lasting()})
		}
	}
	return d
}

func bundles(rotation string, environments ...string) (all []site.Evidence) {
	for _, env := range environments {
		all = append(all, site.Evidence{Environment: env, Label: "records and summary", Locked: days(-2500),
			URL: "https://s3.console.aws.amazon.com/s3/buckets/rekey-evidence?prefix=" + rotation + "%2F" + env + "%2F"})
	}
	return all
}
