package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/sandbox"
)

// An estate is many secrets of one account and what AWS says of them, without a service that keeps state: what a look
// costs is its own then.
type estate struct {
	root  string
	n     int
	calls atomic.Int64
}

const lately = 100 // every so manieth was changed within its interval: its versions are looked at, too

var longAgo, notLong = time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

func changed(i int) time.Time {
	if i%lately == 0 {
		return notLong
	}
	return longAgo
}

// newEstate writes a registry of n rows, a thousand a file.
func newEstate(tb testing.TB, n int) *estate {
	tb.Helper()
	e := &estate{root: tb.TempDir(), n: n}
	write := func(path, text string) {
		path = filepath.Join(e.root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	write(".github/rekey.yml", "registry: [\"ops/registry/*.md\"]\nenvironments: [{name: prod, region: us-east-1}]\nevidence: {store: \"file://evidence\"}\n")
	for from := 0; from < n; from += 1000 {
		var rows, blocks strings.Builder
		rows.WriteString("| Secret | Kind | Owner | Interval | Last rotated |\n|---|---|---|---|---|\n")
		for i := from; i < min(n, from+1000); i++ {
			fmt.Fprintf(&rows, "| team-%d/s-%06d | secretsmanager | @acme/team-%[1]d | 90 days | %[3]s |\n", i%100, i, changed(i).Format(time.DateOnly))
			fmt.Fprintf(&blocks, "\n## team-%d/s-%06d\n\n```yaml\nprod: {target: {secret: team-%[1]d/s-%06[2]d}}\n```\n", i%100, i)
		}
		write(fmt.Sprintf("ops/registry/%04d.md", from/1000), rows.String()+blocks.String())
	}
	if err := os.MkdirAll(filepath.Join(e.root, "evidence"), 0o755); err != nil {
		tb.Fatal(err)
	}
	if _, err := e.process().Init(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return e
}

func (e *estate) process() *app.App {
	a := app.New(app.World{Root: e.root, Config: ".github/rekey.yml", Clock: sandbox.NewClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)), Reads: true, Preview: true,
		Lookup: func(string) (string, bool) { return "", false },
		Cloud:  cloud.Options{Endpoint: "http://aws.test", Transport: e, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "key", "")}})
	a.Load()
	return a
}

// RoundTrip answers as AWS does, of secrets that are all there and keys of which there are none.
func (e *estate) RoundTrip(r *http.Request) (*http.Response, error) {
	e.calls.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in struct{ NextToken, SecretId string }
	var out any = map[string]any{}
	_ = json.Unmarshal(body, &in) // STS's is no JSON
	var i int
	switch _, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); op {
	case "ListSecrets":
		_, _ = fmt.Sscanf(in.NextToken, "p%d", &i)
		out = e.page(i)
	case "ListSecretVersionIds":
		out = map[string]any{"Versions": []any{map[string]any{"VersionId": "11111111-1111-1111-1111-111111111111", "VersionStages": []string{"AWSCURRENT"}, "CreatedDate": notLong.Unix()}}}
	case "ListAliases":
		out = map[string]any{"Aliases": []any{}}
	case "ListKeys":
		out = map[string]any{"Keys": []any{}}
	}
	b, err := json.Marshal(out)
	if op := r.Header.Get("X-Amz-Target"); op == "" {
		b = []byte(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::111111111111:user/x</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(bytes.NewReader(b)), Request: r}, err
}

func (e *estate) page(from int) map[string]any {
	list := []any{}
	for i := from; i < min(e.n, from+100); i++ {
		name := fmt.Sprintf("team-%d/s-%06d", i%100, i)
		list = append(list, map[string]any{"Name": name, "ARN": "arn:aws:secretsmanager:us-east-1:111111111111:secret:" + name + "-AbCdEf", "LastChangedDate": changed(i).Unix(),
			"SecretVersionsToStages": map[string]any{"11111111-1111-1111-1111-111111111111": []string{"AWSCURRENT"}}})
	}
	out := map[string]any{"SecretList": list}
	if from+100 < e.n {
		out["NextToken"] = fmt.Sprintf("p%d", from+100)
	}
	return out
}

// look is what the daily job does before it writes: read the registry, look, judge.
func (e *estate) look(tb testing.TB) overdue.Scan {
	tb.Helper()
	s, err := e.process().Scan(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if s.Count(overdue.Current) != e.n/lately || s.Count(overdue.Overdue) != e.n-e.n/lately || len(s.Findings) > 0 {
		tb.Fatalf("%d overdue, %d current of %d; %+v", s.Count(overdue.Overdue), s.Count(overdue.Current), e.n, s.Findings[:min(3, len(s.Findings))])
	}
	return s
}

// peak is the most that f has on the heap at a time, beside what is there before.
func peak(f func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	stop := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	})
	f()
	close(stop)
	over.Wait()
	return most - before
}

// A look costs a call for a hundred secrets, one for each that was changed lately, and a few. With 100 secrets lately
// changed it waits: AWS grants few of these a second.
func BenchmarkScan(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := newEstate(b, n)
			e.calls.Store(0)
			b.ReportAllocs()
			var most uint64
			for b.Loop() {
				most = max(most, peak(func() { e.look(b) }))
			}
			b.ReportMetric(float64(e.calls.Load())/float64(b.N), "calls/op")
			b.ReportMetric(float64(most)/(1<<20), "peak-MB")
		})
	}
}

// Ten thousand secrets fit into what a small runner has.
func TestAScanOfTenThousandTakesLittleMemory(t *testing.T) {
	e := newEstate(t, 10_000)
	e.calls.Store(0)
	if most := peak(func() { e.look(t) }); most > 150<<20 {
		t.Errorf("%d MB", most>>20)
	}
	if n := e.calls.Load(); n > 10_000/100+10_000/lately+5 {
		t.Errorf("%d calls", n)
	}
}
