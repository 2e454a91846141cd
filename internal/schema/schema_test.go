package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/schema"
)

var update = flag.Bool("update", false, "write the schemas anew from the types")

func TestSchemasAreThoseOfTheTypes(t *testing.T) {
	g := newGenerator(t)
	for name, made := range map[string]*jsonschema.Schema{
		"registry": g.registry(), "request": g.of(request.File{}), "config": g.config(),
	} {
		made.Version = jsonschema.Version
		made.Title = map[string]string{"registry": "A secret's block in the registry", "request": "A rotation request", "config": ".github/rekey.yml"}[name]
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(made); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(name+".schema.json", b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := schema.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b.String(), string(got)); diff != "" {
			t.Errorf("%s: run go test ./internal/schema -update\n%s", name, diff)
		}
	}
}

func TestGetKnowsItsNames(t *testing.T) {
	for _, name := range schema.Names() {
		if b, err := schema.Get(name); err != nil || !json.Valid(b) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := schema.Get("../schema"); err == nil {
		t.Error("no error for a name that isn't there")
	}
}

type generator struct {
	*jsonschema.Reflector
	shapes registry.Shapes
}

func newGenerator(t *testing.T) generator {
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, FieldNameTag: "yaml", Mapper: mapped}
	t.Chdir("../..")
	for _, dir := range []string{"internal/config", "internal/registry", "internal/request", "internal/kind", "internal/check", "internal/consumer", "internal/secret/spec"} {
		if err := r.AddGoComments("github.com/rastup/rekey", dir, jsonschema.WithFullComment()); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir("internal/schema")
	return generator{r, app.Shapes()}
}

// mapped is the types that are written differently from what they are.
func mapped(t reflect.Type) *jsonschema.Schema {
	text := func(examples ...any) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Examples: examples}
	}
	switch t {
	case reflect.TypeFor[problem.Text]():
		return text()
	case reflect.TypeFor[problem.Fields]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: text("2026-11-25T02:00Z/PT2H")}
	case reflect.TypeFor[problem.Node]():
		return &jsonschema.Schema{}
	case reflect.TypeFor[rotation.Duration]():
		return text("48h", "2d", "30m", "PT48H")
	case reflect.TypeFor[calendar.Interval]():
		return text("7y", "90d", "3 months")
	case reflect.TypeFor[calendar.Days]():
		return text("mon-fri", "mon,wed")
	case reflect.TypeFor[calendar.Clock]():
		return text("09:00")
	case reflect.TypeFor[calendar.ZoneName]():
		return text("Europe/Berlin", "UTC")
	}
	return nil
}

// of is the schema of a struct, read strictly as problem.Decode does.
func (g generator) of(shape any) *jsonschema.Schema {
	s := g.Reflect(shape)
	s.Version = ""
	finish(s, reflect.TypeOf(shape))
	return s
}

// finish adds what the struct tags for problem.Decode say, and words the comments by the names that people write.
func finish(s *jsonschema.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && s.Items != nil {
		if t.Kind() == reflect.Slice {
			s = s.Items
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s.Properties == nil {
		return
	}
	s.Description = strings.Join(strings.Fields(s.Description), " ")
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		p, ok := s.Properties.Get(name)
		if !ok {
			continue
		}
		if f.Tag.Get("rekey") == "required" && !slices.Contains(s.Required, name) {
			s.Required = append(s.Required, name)
		}
		if text, ok := strings.CutPrefix(p.Description, f.Name); ok {
			p.Description = name + text
		}
		p.Description = strings.Join(strings.Fields(p.Description), " ")
		finish(p, f.Type)
	}
}

// choice is one item of a list of checks or consumers: {NAME: shape}, and more.
func (g generator) choice(shapes map[string]func() any, more map[string]*jsonschema.Schema) *jsonschema.Schema {
	item := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for _, name := range sorted(shapes) {
		item.Properties.Set(name, g.of(shapes[name]()))
		item.OneOf = append(item.OneOf, &jsonschema.Schema{Required: []string{name}})
	}
	item.Properties.Set("name", &jsonschema.Schema{Type: "string", Pattern: "^[a-z0-9][a-z0-9-]*$", Description: "name tells it from others of its sort. Default: the sort's name."})
	for _, name := range sorted(more) {
		item.Properties.Set(name, more[name])
	}
	return &jsonschema.Schema{Type: "array", Items: item}
}

func sorted[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (g generator) set(s *jsonschema.Schema, name string, to *jsonschema.Schema) {
	was, _ := s.Properties.Get(name)
	to.Description = was.Description
	s.Properties.Set(name, to)
}

func (g generator) registry() *jsonschema.Schema {
	block := g.of(registry.Block{})
	target := &jsonschema.Schema{}
	for _, kind := range sorted(g.shapes.Kinds) {
		target.AnyOf = append(target.AnyOf, g.of(g.shapes.Kinds[kind]()))
	}
	if len(target.AnyOf) == 1 { // editors say more about one shape than about none of one
		target = target.AnyOf[0]
	}
	g.set(block, "target", target)
	g.set(block, "checks", g.choice(g.shapes.Checks, nil))
	if len(g.shapes.Consumers) > 0 {
		g.set(block, "consumers", g.choice(g.shapes.Consumers, nil))
	} else {
		block.Properties.Delete("consumers")
	}
	properties := jsonschema.NewProperties()
	properties.Set("derived_from", &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"},
		Description: "derived_from are the secrets that this one is made from, or that whoever has them can get it by: a request for reason compromise of one of them rotates it as well."})
	return &jsonschema.Schema{Type: "object", Description: "Where the secret lives, by environment.", Properties: properties, AdditionalProperties: block}
}

func (g generator) config() *jsonschema.Schema {
	s := g.of(config.Config{})
	environments := &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}, Description: "environments it is for. Default: all."}
	g.set(s, "checks", g.choice(g.shapes.Checks, map[string]*jsonschema.Schema{"environments": environments}))
	checks, _ := s.Properties.Get("checks")
	checks.Description = "checks are smoke checks for every secret: one check an item, and optionally its name and the environments it is for."
	return s
}
