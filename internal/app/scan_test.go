package app_test

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/sarif"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/kms"
	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

// listed is a registry with a row of each fate.
const listed = `| Secret | Kind | Owner | Interval | Last rotated | Tags | Due since | Exempt until |
| --- | --- | --- | --- | --- | --- | --- | --- |
| shop/young | secretsmanager | @rastup/shop | 90 days | 2026-11-13 | | | |
| shop/soon | secretsmanager | @rastup/shop | 90 days | 2026-08-30 | | | |
| shop/old | secretsmanager | @rastup/shop | 90 days | never | pci | | |
| shop/read | secretsmanager | @ana | 90 days | 2026-11-13 | | 2026-11-20 read in the clear by a contractor | |
| shop/vendor | secretsmanager | @ana | 90 days | 2025-11-13 | | | 2027-01-31 the vendor shuts down |
| shop/key | secretsmanager | @rastup/shop | 90 days | 2026-09-01 | | | |
| shop/past | secretsmanager | @rastup/shop | 1 year | 2026-06-02 | | | |
| shop/gone | secretsmanager | @rastup/shop | 90 days | 2026-09-01 | | | |
| shop/signing | kms | @rastup/shop | 1 year | 2026-01-10 | | | |
| office/door | manual | @office | 1 year | 2025-10-01 | | | |

## shop/young
~~~yaml
dev: {target: {secret: shop/young}}
~~~
## shop/soon
~~~yaml
dev: {target: {secret: shop/soon}}
~~~
## shop/old
~~~yaml
dev: {target: {secret: shop/old}}
~~~
## shop/read
~~~yaml
dev: {target: {secret: shop/read}}
~~~
## shop/vendor
~~~yaml
dev: {target: {secret: shop/vendor}}
~~~
## shop/key
~~~yaml
dev: {target: {secret: shop/document, key: token}}
~~~
## shop/past
~~~yaml
dev: {target: {secret: shop/past}}
~~~
## shop/gone
~~~yaml
dev: {target: {secret: shop/gone}}
~~~
## shop/signing
~~~yaml
dev: {target: {alias: alias/shop-signing}}
~~~
`

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}-[0-9a-f]{4}…|\(request [^)]*\)`)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t.Add(9 * time.Hour)
}

// fates makes what the rows of listed are about.
func (w *town) fates() {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	sm := w.world.SecretsManager
	for name, at := range map[string]string{"shop/young": "2026-11-13", "shop/soon": "2026-08-30", "shop/old": "2026-01-02", "shop/read": "2026-11-13",
		"shop/vendor": "2025-11-13", "shop/document": "2026-11-01", "shop/past": "2026-06-02", "legacy/FTP": "2021-03-04"} {
		_, err := sm.PutByHand(sandbox.Home, name, "value of "+name, day(at))
		must(err)
	}
	must(sm.TagByHand(sandbox.Home, "shop/past", day("2026-06-02"), secretsmanager.Tag{Key: "version", Value: "20260602"}))
	_, err := sm.PutByHand(sandbox.Home, "shop/past", "another", day("2026-10-05"))
	must(err)
	_, err = sm.PutByHand(sandbox.Home, "shop/young", "half-done", day("2026-11-14"), "AWSPENDING")
	must(err)
	arn, err := w.world.KMS.MakeByHand(sandbox.Home, kms.Make{}, day("2027-01-10")) // a key made by hand is a year old
	must(err)
	must(w.world.KMS.PointByHand(sandbox.Home, "alias/shop-signing", arn, day("2026-01-10")))
	_, err = w.world.KMS.MakeByHand(sandbox.Home, kms.Make{Description: "App key 20260301", Tags: []kms.Tag{{TagKey: "rekey:rotation", TagValue: "2026-03-01-shop-signing/1"}}}, day("2027-03-01"))
	must(err)
	other, err := w.world.KMS.MakeByHand(sandbox.Home, kms.Make{Description: "App key 20240110"}, day("2025-01-10"))
	must(err)
	must(w.world.KMS.PointByHand(sandbox.Home, "alias/forgotten", other, day("2025-01-10")))
	must(w.world.KMS.SetByHand(sandbox.Home, other, "Disabled", day("2025-06-10")))
	w.write("ops/config/registry.md", strings.ReplaceAll(listed, "~~~", "```"))
}

func (w *town) scan() overdue.Scan {
	w.t.Helper()
	a := w.process()
	a.Reads, a.Preview = true, true
	s, err := a.Scan(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestScan(t *testing.T) {
	w := newTown(t)
	w.fates()
	before := len(w.world.Calls())
	s := w.scan()
	for _, c := range w.world.Calls()[before:] {
		if !slices.ContainsFunc([]string{"List", "Describe", "GetCallerIdentity", "GetKeyRotationStatus", "GetObject", "GetBucketVersioning"}, func(verb string) bool { return strings.HasPrefix(c.Operation, verb) }) {
			t.Errorf("a scan called %s:%s", c.Service, c.Operation)
		}
	}
	var out bytes.Buffer
	if err := terminal.Overdue(&out, s, true, terminal.Style{Width: 100}); err != nil {
		t.Fatal(err)
	}
	w.golden("scan.txt", out.String())
	w.golden("scan.md", comment.Overdue(s, comment.OverdueOptions{Next: s.At.AddDate(0, 0, 1), Report: "https://example.com/report"}))
	out.Reset()
	if err := sarif.Write(&out, s); err != nil {
		t.Fatal(err)
	}
	w.golden("scan.sarif", out.String())
}

// An environment that can't be looked at is said, and what the registry knows stands in.
func TestScanOfWhatCannotBeSeen(t *testing.T) {
	w := newTown(t)
	w.fates()
	w.world.Deny("*", "secretsmanager:ListSecrets", "*")
	var out bytes.Buffer
	if err := terminal.Overdue(&out, w.scan(), true, terminal.Style{Width: 100}); err != nil {
		t.Fatal(err)
	}
	w.golden("scan-blind.txt", out.String())
}

// A call for a hundred secrets, and one more for each whose age is in doubt: what was changed lately.
func TestScanCalls(t *testing.T) {
	w := newTown(t)
	const all, lately = 250, 20
	var rows, blocks strings.Builder
	for i := range all {
		at := "2026-05-01"
		if i < lately {
			at = "2026-11-01"
		}
		name := fmt.Sprintf("many/s%d", i)
		if _, err := w.world.SecretsManager.PutByHand(sandbox.Home, name, "x", day(at)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&rows, "| %s | secretsmanager | @ana | 90 days | never |\n", name)
		fmt.Fprintf(&blocks, "## %s\n```yaml\ndev: {target: {secret: %s}}\n```\n", name, name)
	}
	w.write("ops/config/registry.md", "| Secret | Kind | Owner | Interval | Last rotated |\n|---|---|---|---|---|\n"+rows.String()+"\n"+blocks.String())
	before := maps.Clone(w.world.Count())
	s := w.scan()
	calls := func(op string) (n int) {
		for name, count := range w.world.Count() {
			if strings.HasSuffix(name, op) {
				n += count - before[name]
			}
		}
		return n
	}
	// Two environments, each lists the account's 253 secrets.
	if lists, versions := calls("ListSecrets"), calls("ListSecretVersionIds"); lists != 2*3 || versions != lately {
		t.Errorf("%d lists of secrets and %d of versions, want 6 and %d", lists, versions, lately)
	}
	if s.Count(overdue.Overdue) != all-lately || s.Count(overdue.Current) != lately {
		t.Errorf("%d overdue, %d current", s.Count(overdue.Overdue), s.Count(overdue.Current))
	}
}

// A rotation under way is seen, and what it leaves for a while is no finding.
func TestScanOfAnOpenRotation(t *testing.T) {
	w := newTown(t)
	w.write(".github/rekey.yml", strings.ReplaceAll(rules, "region: us-east-1}", "region: us-east-1, approval: none}"))
	w.request("2026-11-23-app-database", "secret: app/database\nticket: SEC-1\n")
	w.apply("dev", app.Options{})
	s := w.scan()
	one := s.Standings[0]
	if one.State != overdue.Unknown && one.State != overdue.InProgress {
		t.Errorf("%+v", one)
	}
	for _, h := range one.Places {
		if h.Environment == "dev" && (h.State != overdue.InProgress || h.Open == nil || !h.Open.Retained) {
			t.Errorf("dev: %+v %+v", h, h.Open)
		}
	}
	if slices.ContainsFunc(s.Findings, func(f overdue.Finding) bool { return f.Secret == "app/database" && f.Environment == "dev" }) {
		t.Errorf("%+v", s.Findings)
	}
}

// A look says outside GitHub that it was there, by a session that can change nothing else.
func TestHeartbeat(t *testing.T) {
	w := newTown(t)
	w.fates()
	beat := func(s overdue.Scan) error {
		t.Helper()
		a := w.process()
		a.Reads, a.Preview = true, true
		if found := a.Load(); found.Len() > 0 {
			t.Fatal(found)
		}
		return a.Beat(t.Context(), s)
	}
	s := w.scan()
	if err := beat(s); err != nil || len(w.world.CloudWatch.Values(sandbox.Home, "Rekey", "Scans")) != 0 {
		t.Errorf("none is configured: %v", err)
	}
	w.write(".github/rekey.yml", rules+"\noverdue: {heartbeat: {namespace: Rekey, region: us-east-1}}\n")
	if err := beat(s); err != nil {
		t.Fatal(err)
	}
	for metric, want := range map[string]int{"Scans": 1, "Overdue": s.Count(overdue.Overdue), "Stuck": s.Count(overdue.Stuck)} {
		if got := w.world.CloudWatch.Values(sandbox.Home, "Rekey", metric); len(got) != 1 || got[0] != float64(want) {
			t.Errorf("%s: %v, want %d", metric, got, want)
		}
	}
	w.world.Deny("*", "cloudwatch:PutMetricData", "*")
	if err := beat(s); err == nil || !strings.Contains(err.Error(), "cloudwatch:PutMetricData") {
		t.Errorf("denied: %v", err)
	}
}

func (w *town) golden(name, got string) {
	w.t.Helper()
	seen := map[string]string{}
	got = uuids.ReplaceAllStringFunc(got, func(id string) string {
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("ID-%d", len(seen)+1)
		}
		return seen[id]
	})
	goldentest.Equal(w.t, name, got)
}
