package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// lint shows the benchmarks of the registry's package. They take ours and the bare parse in turns by themselves.
func lint(rounds int) error {
	cmd := exec.Command("go", "test", "-run=^$", "-bench=^BenchmarkLint", "-benchtime=10x", "-count="+strconv.Itoa(rounds), "./internal/registry")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("benchmarks of the registry: %w\n%s", err, out)
	}
	values := map[string][]float64{} // benchmark and unit
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(fields[0], "-") // -2: processors
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("benchmark line %q: %w", line, err)
			}
			values[name+" "+fields[i+1]] = append(values[name+" "+fields[i+1]], v)
		}
	}
	fmt.Println("\n| lint of a registry | 1,000 rows | 10,000 rows | growth | times bare goldmark |")
	fmt.Println("|---|---:|---:|---:|---:|")
	for _, b := range [][2]string{{"BenchmarkLint", "tracked for age"}, {"BenchmarkLintBlocks", "each with a block of two environments"}} {
		small, large := b[0]+"/rows=1000 ", b[0]+"/rows=10000 "
		if len(values[small+"ns/op"]) == 0 || len(values[large+"ns/op"]) == 0 {
			return fmt.Errorf("no results of %s in:\n%s", b[0], out)
		}
		s, l := median(values[small+"ns/op"]), median(values[large+"ns/op"])
		fmt.Printf("| %s | %.1f ms | %.0f ms | %.1f | %.2f and %.2f |\n", b[1], s/1e6, l/1e6, l/s,
			median(values[small+"times-goldmark"]), median(values[large+"times-goldmark"]))
	}
	return nil
}
