// Bench measures one rotation by rekey against the same rotation by the AWS CLI and by boto3, each a whole process
// against a sandbox of its own, and prints a Markdown table. It is no part of the product.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

const rounds = 5

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "rekey-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "rekey")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/rekey")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build rekey: %w", err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}

	all := contenders(binary)
	took := make([][]time.Duration, len(all))
	calls, chain := make([]int, len(all)), make([]int, len(all))
	for range rounds {
		for i, c := range all { // in turns, so that a slow moment of the machine hits all
			m, err := measure(c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			took[i] = append(took[i], m.took)
			calls[i], chain[i] = m.calls, m.chain
		}
	}
	fmt.Println("| one rotation in one environment | min | median | ratio, pair by pair | HTTP calls | one after another |")
	fmt.Println("|---|---:|---:|---:|---:|---:|")
	for i, c := range all {
		fmt.Printf("| %s | %d ms | %d ms | %.1f | %d | %d |\n", c.name, slices.Min(took[i]).Milliseconds(),
			median(took[i]).Milliseconds(), ratio(took[i], took[0]), calls[i], chain[i])
	}
	start, err := startUp(binary)
	if err != nil {
		return err
	}
	fmt.Printf("\nStart-up (`rekey schema request`): %.1f ms median. Stripped binary: %.1f MB.\n",
		float64(start.Microseconds())/1000, float64(info.Size())/1e6)
	return nil
}

func startUp(binary string) (time.Duration, error) {
	var took []time.Duration
	for range 4 * rounds {
		begun := time.Now()
		if err := exec.Command(binary, "schema", "request").Run(); err != nil {
			return 0, fmt.Errorf("rekey schema request: %w", err)
		}
		took = append(took, time.Since(begun))
	}
	return median(took), nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// ratio is the median of a[i]/b[i].
func ratio(a, b []time.Duration) float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = float64(a[i]) / float64(b[i])
	}
	slices.Sort(r)
	return r[len(r)/2]
}
