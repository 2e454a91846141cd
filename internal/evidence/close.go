package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// An Open rotation has a claim somewhere and isn't closed.
type Open struct {
	Secret       string
	Rotation     string
	Attempt      int       // the highest one in any environment
	Environments []string  // that have claimed it, in order of names
	Closed       time.Time // of Recent: when it was, by the store's clock; zero: it is open
}

// Close says that a rotation is over in every environment, in words of the caller: data is a JSON object, and
// is stored with its own digest as last member. The first one stays: closing again is fine. An attempt that
// began after that opens the rotation again, until it is closed for that attempt.
func (b *Bundle) Close(ctx context.Context, secret, name string, data []byte) error {
	folder, err := rotationFolder(secret, name)
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	data, err = seal(data)
	if err != nil {
		return fmt.Errorf("close %s: %w", name, err)
	}
	l, err := b.store.List(ctx, folder)
	if err != nil {
		return fmt.Errorf("list %s: %w", folder, err)
	}
	attempt := 1
	for _, o := range l.Objects {
		if m, ok := markOf(o.Name); ok && o.Versions > 0 {
			attempt = max(attempt, m.claim)
		}
	}
	if _, err := put(ctx, b.store, folder+numbered("close", attempt), data); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("close %s: %w", name, err)
	}
	return nil
}

// OpenRotations finds the rotations with a date in the months from that of from to that of to which have a claim
// and aren't closed, in order of names: one listing a month.
func (b *Bundle) OpenRotations(ctx context.Context, from, to time.Time) ([]Open, error) {
	return b.Recent(ctx, from, to, to.AddDate(1000, 0, 0))
}

// Recent is OpenRotations, and those that were closed after since, as far as the store knows when.
func (b *Bundle) Recent(ctx context.Context, from, to, since time.Time) (open []Open, err error) {
	from = time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	for m := from; !m.After(to); m = m.AddDate(0, 1, 0) {
		l, err := b.store.List(ctx, monthPrefix(m))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", monthPrefix(m), err)
		}
		open = append(open, openIn(l.Objects, since)...)
	}
	return open, nil
}

// ReadClose gives what Close was told of an attempt, with its digest as last member. What isn't as it was written is a
// Findings.
func (b *Bundle) ReadClose(ctx context.Context, secret, name string, attempt int) ([]byte, error) {
	folder, err := rotationFolder(secret, name)
	if err != nil {
		return nil, fmt.Errorf("read close: %w", err)
	}
	at := folder + numbered("close", attempt)
	data, err := b.store.Read(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", at, err)
	}
	if !unsealed(data) {
		return nil, Findings{{Name: at, Rule: RuleAltered, Msg: "isn't what was written: its digest is another"}}
	}
	return data, nil
}

func openIn(list []Object, since time.Time) (open []Open) {
	byFolder := map[string]*Open{}
	closed, at := map[string]int{}, map[string]time.Time{}
	var folders []string
	for _, o := range list {
		m, ok := markOf(o.Name)
		if !ok || o.Versions == 0 {
			continue
		}
		if m.close > 0 {
			if closed[m.folder] < m.close {
				closed[m.folder], at[m.folder] = m.close, o.StoredAt
			}
			continue
		}
		r := byFolder[m.folder]
		if r == nil {
			r = &Open{Secret: m.secret, Rotation: m.rotation}
			byFolder[m.folder], folders = r, append(folders, m.folder)
		}
		r.Attempt = max(r.Attempt, m.claim)
		if !slices.Contains(r.Environments, m.environment) {
			r.Environments = append(r.Environments, m.environment)
		}
	}
	for _, f := range folders {
		r := byFolder[f]
		if closed[f] >= r.Attempt {
			r.Closed = at[f]
			if !r.Closed.After(since) {
				continue
			}
		}
		open = append(open, *r)
	}
	return open
}

// A mark is a name that opens or closes a rotation.
type mark struct {
	folder, secret, rotation, environment string
	claim, close                          int // the attempt; 0: it isn't one
}

// markOf reads rotations/<YYYY>/<MM>/<secret~>/<rotation>/{<environment>/claim[-n].json,close[-n].json}.
func markOf(name string) (m mark, ok bool) {
	p := strings.Split(name, "/")
	if len(p) != 6 && len(p) != 7 || p[0]+"/" != bundlePrefix {
		return m, false
	}
	m = mark{folder: strings.Join(p[:5], "/"), secret: strings.ReplaceAll(p[3], "~", "/"), rotation: p[4]}
	if len(p) == 6 {
		m.close, ok = numberOf(p[5], "close")
		return m, ok
	}
	m.environment = p[5]
	m.claim, ok = numberOf(p[6], "claim")
	return m, ok
}

// numberOf is the inverse of numbered.
func numberOf(name, base string) (int, bool) {
	rest, ok := strings.CutPrefix(name, base)
	if rest == ".json" {
		return 1, ok
	}
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(rest, "-"), ".json"))
	return n, ok && err == nil && n > 1 && numbered(base, n) == name
}

const sealed = `"digest":"`

// seal makes one line of a JSON object and adds the digest of what it was.
func seal(data []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return nil, err
	}
	s := b.String()
	if len(s) < 2 || s[0] != '{' {
		return nil, errors.New("no JSON object")
	}
	comma := ","
	if s == "{}" {
		comma = ""
	}
	return []byte(s[:len(s)-1] + comma + sealed + rotation.Digest([]byte(s)) + `"}`), nil
}

// unsealed says whether data is what seal made of something.
func unsealed(data []byte) bool {
	i := bytes.LastIndex(data, []byte(sealed))
	if i < 1 {
		return false
	}
	again, err := seal([]byte(strings.TrimSuffix(string(data[:i]), ",") + "}"))
	return err == nil && bytes.Equal(again, data)
}
