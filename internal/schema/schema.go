// Package schema owns the JSON Schemas of the files that people write, for completion in their editors. They are
// generated from the Go types and their comments by this package's test (go test ./internal/schema -update), and
// embedded, so that the program needs neither the generator nor its sources. A schema says less than lint does:
// what it refuses is wrong, what it accepts may still be.
package schema

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed *.schema.json
var files embed.FS

// names, in the order in which people come across them.
var names = []string{"registry", "request", "config"}

// Names are the schemas there are.
func Names() []string { return slices.Clone(names) }

// Get is the JSON Schema (2020-12) called name: registry is for the YAML blocks in the registry's page.
func Get(name string) ([]byte, error) {
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("no schema %q: there are %s", name, strings.Join(names, ", "))
	}
	return files.ReadFile(name + ".schema.json")
}
