// Bench measures whole processes against emulators on loopback: rekey, and the same rotation typed with the AWS CLI and
// written with boto3, in turns and each in a world of its own; lint against a bare Markdown parse; start-up and size of
// the binary. It prints Markdown. It is no part of the product.
//
// It must never count what made a world ready, nor take a run for one that rotated nothing.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 5, "runs of each, in turns; medians are shown")
	many := flag.Int("many", 100, "secrets of the large run")
	calls := flag.Bool("calls", false, "only list the calls of one rotation by rekey, with each answer 20 ms later")
	flag.Parse()
	if err := run(*rounds, *many, *calls); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(rounds, many int, calls bool) error {
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
	worlds := []world{{name: "sandbox", serve: serveSandbox}, {name: "sandbox, each answer 20 ms later", serve: serveSandbox, delay: 20 * time.Millisecond}}
	all := contenders(binary)
	if calls {
		m, err := measure(worlds[1], all[0], 1)
		show(m.all)
		return err
	}
	serve, stop, err := startMoto()
	if err != nil {
		return err
	}
	defer stop()
	if serve != nil {
		worlds = append(worlds, world{name: "moto", serve: serve})
	}
	fmt.Println("| one rotation | against | median | times rekey's | calls | one after another |")
	fmt.Println("|---|---|---:|---:|---:|---:|")
	for _, w := range worlds {
		if err := compare(w, all, 1, rounds); err != nil {
			return err
		}
	}
	fmt.Printf("\n| %d rotations, one run | against | median | times rekey's | calls | one after another, of one | Secrets Manager writes in any second | connections |\n", many)
	fmt.Println("|---|---|---:|---:|---:|---:|---:|---:|")
	several := slices.DeleteFunc(all, func(c contender) bool { return c.one })
	for _, w := range worlds[:2] {
		if err := compare(w, several, many, max(1, rounds/3)); err != nil {
			return err
		}
	}
	if err := lint(rounds); err != nil {
		return err
	}
	return size(binary, 4*rounds)
}

// compare runs each contender in turns, so that a slow moment of the machine hits all of them.
func compare(w world, all []contender, secrets, rounds int) error {
	took := make([][]time.Duration, len(all))
	last := make([]measurement, len(all))
	for range rounds {
		for i, c := range all {
			m, err := measure(w, c, secrets)
			if err != nil {
				return fmt.Errorf("%s against %s: %w", c.name, w.name, err)
			}
			took[i], last[i] = append(took[i], m.took), m
		}
	}
	for i, c := range all {
		chain := "" // answers too quick to overlap look as if they had waited for one another
		if w.delay > 0 {
			chain = strconv.Itoa(last[i].chain)
		}
		fmt.Printf("| %s | %s | %s | %.1f | %d | %s |", c.name, w.name, span(median(took[i])), ratio(took[i], took[0]), last[i].calls, chain)
		if secrets > 1 {
			fmt.Printf(" %d | %d |", last[i].writes, last[i].connections)
		}
		fmt.Println()
	}
	return nil
}

func size(binary string, rounds int) error {
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	var took []time.Duration
	for range rounds {
		begun := time.Now()
		if err := exec.Command(binary, "schema", "request").Run(); err != nil {
			return fmt.Errorf("rekey schema request: %w", err)
		}
		took = append(took, time.Since(begun))
	}
	fmt.Printf("\n| binary | |\n|---|---:|\n| start-up (`rekey schema request`), median | %.1f ms |\n| size, stripped | %.1f MB |\n",
		float64(median(took).Microseconds())/1000, float64(info.Size())/1e6)
	return nil
}

func span(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func median[T cmp.Ordered](list []T) T {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// ratio is the median of a[i]/b[i].
func ratio(a, b []time.Duration) float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = float64(a[i]) / float64(b[i])
	}
	return median(r)
}
