package site_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report/site"
)

// many is a company with n secrets, in every state, of n/50 owners.
func many(n int) site.Data {
	secrets := make([]overdue.Secret, 0, n)
	for i := range n {
		secrets = append(secrets, kept(fmt.Sprintf("team-%d/service-%06d", i%max(1, n/50), i), fmt.Sprintf("@rastup/team-%d", i%max(1, n/50)), 90, i%150))
	}
	rules := overdue.Rules{Soon: overdue.DefaultSoon, Still: overdue.DefaultStill}
	return site.Data{Scan: overdue.Judged(secrets, nil, nil, nil, rules, now), Since: days(700)}
}

type counting int64

func (c *counting) Write(b []byte) (int, error) {
	*c += counting(len(b))
	return len(b), nil
}

// written is how many files a site has, how large they are, and how large the largest page is.
// second is the second page of all secrets: it knows its neighbours only.
func written(t testing.TB, d site.Data) (files int, bytes, largest, second counting) {
	t.Helper()
	pages, err := site.Pages(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		var n counting
		if err := p.Write(&n); err != nil {
			t.Fatal(err)
		}
		bytes += n
		if p.Name != "data.json" {
			largest = max(largest, n)
		}
		if p.Name == "secrets.2.html" {
			second = n
		}
	}
	return len(pages), bytes, largest, second
}

// Ten times the secrets make ten times the bytes, at most, and no page that a phone couldn't open.
func TestTheSiteGrowsWithItsSecretsOnly(t *testing.T) {
	files, bytes, _, of500 := written(t, many(500))
	more, tenfold, largest, of5000 := written(t, many(5000))
	if more > 10*files || tenfold > 10*bytes {
		t.Errorf("500 secrets: %d files, %d bytes; 5,000: %d files, %d bytes", files, bytes, more, tenfold)
	}
	if of500 == 0 || of5000 > of500+of500/100 {
		t.Errorf("a page of a list has %d bytes with 500 secrets, %d with 5,000", of500, of5000)
	}
	if largest > 250_000 {
		t.Errorf("the largest page has %d bytes", largest)
	}
}

func BenchmarkReport(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			var bytes counting
			for b.Loop() {
				b.StopTimer()
				d := many(n)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				b.StartTimer()
				_, bytes, _, _ = written(b, d)
				b.StopTimer()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapSys)/1e6, "MB-heap")
				b.ReportMetric(float64(before.HeapAlloc)/1e6, "MB-data")
				b.StartTimer()
			}
			b.ReportMetric(float64(bytes)/float64(n), "bytes/secret")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/secret")
		})
	}
}
