package kindtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/rotation"
)

// A memory is an evidence store that dates what it stores by the world's time.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	at      map[string]time.Time
	over    bool          // a mutant: Create writes over what is there
	ahead   time.Duration // a mutant: how far its clock is wrong
	created func(name string, data []byte)
}

func (m *memory) now() time.Time {
	return time.Now().UTC()
}

func (m *memory) Create(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	if _, taken := m.objects[name]; taken && !m.over {
		m.mu.Unlock()
		return fmt.Errorf("%s: %w", name, evidence.ErrExists)
	}
	m.objects[name], m.at[name] = bytes.Clone(data), m.now()
	m.mu.Unlock()
	if m.created != nil {
		m.created(name, data)
	}
	return nil
}

func (m *memory) Read(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return bytes.Clone(data), nil
}

func (m *memory) List(_ context.Context, prefix string) (evidence.Listing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := evidence.Listing{Now: m.now().Add(m.ahead)}
	for name, data := range m.objects {
		if strings.HasPrefix(name, prefix) {
			l.Objects = append(l.Objects, evidence.Object{Name: name, StoredAt: m.at[name], Size: int64(len(data)), Versions: 1})
		}
	}
	slices.SortFunc(l.Objects, func(a, b evidence.Object) int { return strings.Compare(a.Name, b.Name) })
	return l, nil
}

func (m *memory) all() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.objects)
}

// A bundle is what apply keeps beside the chain, in the same store.
type bundle struct{ s evidence.Store }

func (b bundle) Point(ctx context.Context, p *rotation.Plan, h rotation.Head) error {
	name := "rotations/2026/11/" + rotation.PathName(p.Secret) + "/" + p.Rotation + "/" + p.Environment + "/claim.json"
	return again(b.s.Create(ctx, name, []byte(h.Digest)))
}

func (b bundle) Keep(ctx context.Context, p *rotation.Plan, s rotation.Step, files []rotation.File) (refs []rotation.FileRef, err error) {
	for _, f := range files {
		base := fmt.Sprintf("files/%d-%s-%s-%s", p.Attempt, rotation.PathName(s.Key), rotation.Digest(f.Data)[7:15], f.Name)
		name := "rotations/2026/11/" + rotation.PathName(p.Secret) + "/" + p.Rotation + "/" + p.Environment + "/" + base
		if err := again(b.s.Create(ctx, name, f.Data)); err != nil {
			return nil, err
		}
		refs = append(refs, rotation.FileRef{Name: base, Digest: rotation.Digest(f.Data), Size: int64(len(f.Data))})
	}
	return refs, nil
}

func again(err error) error {
	if errors.Is(err, evidence.ErrExists) {
		return nil
	}
	return err
}
