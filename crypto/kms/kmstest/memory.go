// Package kmstest holds the conformance suite for key providers and an in-memory provider with faults.
package kmstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"s3veil/crypto/kms"
)

// The operations that Memory counts and faults can be set for.
const (
	OpGenerate = "generate"
	OpWrap     = "wrap"
	OpUnwrap   = "unwrap"
	OpRewrap   = "rewrap"
	OpHealth   = "health"
)

// Memory is a provider whose keys live in memory, for tests. It fails, waits and counts as told.
type Memory struct {
	mu      sync.Mutex
	keys    map[string]*memoryKey
	calls   map[string]int
	latency time.Duration
	fault   func(op, kek string) error
}

type memoryKey struct {
	key      kms.Key32
	disabled bool
}

var (
	_ kms.Provider  = (*Memory)(nil)
	_ kms.Rewrapper = (*Memory)(nil)
)

// NewMemory returns a provider with fresh keys of these names.
func NewMemory(names ...string) *Memory {
	m := &Memory{keys: map[string]*memoryKey{}, calls: map[string]int{}}
	for _, name := range names {
		k := &memoryKey{}
		_, _ = rand.Read(k.key[:])
		m.keys[name] = k
	}
	return m
}

// Disable makes a key refuse everything with kms.ErrKeyDisabled, or serve again.
func (m *Memory) Disable(name string, disabled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[name].disabled = disabled
}

// SetLatency makes every call wait, or end early with the context's error.
func (m *Memory) SetLatency(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latency = d
}

// SetFault installs a function that is asked before every call; what it returns is the call's error. nil means none.
func (m *Memory) SetFault(f func(op, kek string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

// Calls returns how often an operation was called, successful or not; without arguments all of them together.
func (m *Memory) Calls(ops ...string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for op, c := range m.calls {
		if len(ops) == 0 {
			n += c
		}
		for _, want := range ops {
			if op == want {
				n += c
			}
		}
	}
	return n
}

// Name returns "memory".
func (m *Memory) Name() string { return "memory" }

// Generate draws a fresh key and wraps it.
func (m *Memory) Generate(ctx context.Context, kek string, ec kms.Context) (kms.Key32, []byte, error) {
	k, err := m.begin(ctx, OpGenerate, kek)
	if err != nil {
		return kms.Key32{}, nil, err
	}
	var key kms.Key32
	_, _ = rand.Read(key[:])
	return key, kms.SealBlob(&k, kms.LabelLocal, &key, ec), nil
}

// Wrap wraps a key.
func (m *Memory) Wrap(ctx context.Context, kek string, key kms.Key32, ec kms.Context) ([]byte, error) {
	k, err := m.begin(ctx, OpWrap, kek)
	if err != nil {
		return nil, err
	}
	return kms.SealBlob(&k, kms.LabelLocal, &key, ec), nil
}

// Unwrap opens a blob made under kek and ec.
func (m *Memory) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (kms.Key32, error) {
	k, err := m.begin(ctx, OpUnwrap, kek)
	if err != nil {
		return kms.Key32{}, err
	}
	return kms.OpenBlob(&k, kms.LabelLocal, wrapped, ec)
}

// Rewrap moves a blob to another key; one that is already there stays as it is.
func (m *Memory) Rewrap(ctx context.Context, from, to string, wrapped []byte, ec kms.Context) ([]byte, bool, error) {
	k, err := m.begin(ctx, OpRewrap, from)
	if err != nil {
		return nil, false, err
	}
	key, err := kms.OpenBlob(&k, kms.LabelLocal, wrapped, ec)
	if err != nil {
		return nil, false, err
	}
	if from == to {
		return wrapped, false, nil
	}
	if k, err = m.find(to); err != nil {
		return nil, false, err
	}
	return kms.SealBlob(&k, kms.LabelLocal, &key, ec), true, nil
}

// Health succeeds unless a fault is set for it.
func (m *Memory) Health(ctx context.Context) error {
	_, err := m.begin(ctx, OpHealth, "")
	return err
}

// begin counts, waits, fails as told and finds the key; Health has none.
func (m *Memory) begin(ctx context.Context, op, kek string) (kms.Key32, error) {
	m.mu.Lock()
	m.calls[op]++
	latency, fault := m.latency, m.fault
	m.mu.Unlock()
	if latency > 0 {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return kms.Key32{}, err
	}
	if fault != nil {
		if err := fault(op, kek); err != nil {
			return kms.Key32{}, err
		}
	}
	if op == OpHealth {
		return kms.Key32{}, nil
	}
	return m.find(kek)
}

func (m *Memory) find(kek string) (kms.Key32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[kek]
	switch {
	case !ok:
		return kms.Key32{}, fmt.Errorf("%w: memory: %q", kms.ErrKeyNotFound, kek)
	case k.disabled:
		return kms.Key32{}, fmt.Errorf("%w: memory: %q", kms.ErrKeyDisabled, kek)
	}
	return k.key, nil
}
