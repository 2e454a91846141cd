// Table prints the rollback report of what tests left in a file (REKEY_REPORT), or writes it into a document.
// It must never write a report with a failure in it, or one that lacks a kind.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/rastup/rekey/internal/kind/kindtest/ledger"
)

func main() {
	into := flag.String("into", "", "document to write it into, instead of printing it")
	flag.Parse()
	if err := run(flag.Arg(0), *into); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(file, into string) error {
	rows, err := ledger.Load(file)
	if err != nil {
		return err
	}
	if into == "" {
		fmt.Print(ledger.Table(rows))
		return nil
	}
	if err := ledger.Sound(rows); err != nil {
		return err
	}
	doc, err := os.ReadFile(into)
	if err != nil {
		return err
	}
	text, err := ledger.Put(string(doc), ledger.Rollback, ledger.Table(rows))
	if err != nil {
		return fmt.Errorf("%s: %w", into, err)
	}
	return os.WriteFile(into, []byte(text), 0o644)
}
