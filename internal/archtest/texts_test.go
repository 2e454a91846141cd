package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Words no file of the repository may contain: they mean something on one machine only. Written in two parts, so that
// this file keeps its own rule.
var textRules = []string{
	".." + "/shared", "/work" + "/", "/root" + "/", "FACTS" + ".md", "FACTS" + " §", "DESIGN" + ".md",
	"proxy" + ".golang.org", "py" + "pi.org", "registry" + ".npmjs.org",
}

func texts(name string, data []byte) (found []string) {
	for _, word := range textRules {
		if i := bytes.Index(data, []byte(word)); i >= 0 {
			found = append(found, fmt.Sprintf("%s:%d: mentions %s", name, bytes.Count(data[:i], []byte("\n"))+1, word))
		}
	}
	return found
}

func TestTexts(t *testing.T) {
	files := tracked(t)
	if len(files) == 0 {
		t.Fatal("no files found")
	}
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range texts(name, data) {
			t.Error(v)
		}
	}
}

func TestTextRulesCatchAPlantedWord(t *testing.T) {
	for _, word := range textRules {
		if got := texts("a.md", []byte("one\ntwo "+word+"x\n")); len(got) != 1 {
			t.Errorf("%q: got %q, want one violation", word, got)
		}
	}
	if got := texts("a.md", []byte("networks, roots, facts\n")); len(got) != 0 {
		t.Errorf("got %q for a clean file", got)
	}
}
