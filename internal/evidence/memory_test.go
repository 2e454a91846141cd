package evidence_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/evidence"
)

// memory is a store for tests that write much, or count calls. What makes a store is tried on the real ones.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	calls   map[string]int
	lose    int // answers to Create that will be lost after it was carried out
	refuse  int // Creates that will fail before anything happens
}

func newMemory() *memory { return &memory{objects: map[string][]byte{}, calls: map[string]int{}} }

func (m *memory) Create(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls["create"]++
	if m.refuse > 0 {
		m.refuse--
		return fmt.Errorf("connection refused")
	}
	if _, ok := m.objects[name]; ok {
		return fmt.Errorf("%s: %w", name, evidence.ErrExists)
	}
	m.objects[name] = bytes.Clone(data)
	if m.lose > 0 {
		m.lose--
		return fmt.Errorf("connection reset by peer")
	}
	return nil
}

func (m *memory) Read(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls["read"]++
	data, ok := m.objects[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return bytes.Clone(data), nil
}

func (m *memory) List(_ context.Context, prefix string) (evidence.Listing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls["list"]++
	l := evidence.Listing{Now: time.Time{}}
	for _, name := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(name, prefix) {
			l.Objects = append(l.Objects, evidence.Object{Name: name, Size: int64(len(m.objects[name])), Versions: 1})
		}
	}
	return l, nil
}
