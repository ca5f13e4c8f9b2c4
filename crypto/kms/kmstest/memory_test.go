package kmstest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
)

func TestMemoryConforms(t *testing.T) {
	m := kmstest.NewMemory("a", "b", "off")
	m.Disable("off", true)
	kmstest.Run(t, kmstest.Subject{Provider: m, Key: "a", Other: "b", Unknown: "nobody", Disabled: "off"})
}

func TestMemoryFailsWaitsAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := kmstest.NewMemory("a")
		m.SetFault(func(op, kek string) error {
			if op == kmstest.OpGenerate && kek == "a" {
				return kms.ErrThrottled
			}
			return nil
		})
		if _, _, err := m.Generate(t.Context(), "a", nil); !errors.Is(err, kms.ErrThrottled) {
			t.Errorf("fault: %v", err)
		}
		m.SetLatency(time.Second)
		start := time.Now()
		if _, err := m.Wrap(t.Context(), "a", kms.Key32{}, nil); err != nil || time.Since(start) != time.Second {
			t.Errorf("latency: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := m.Health(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		if m.Calls() != 3 || m.Calls(kmstest.OpWrap, kmstest.OpHealth) != 2 {
			t.Errorf("%d calls", m.Calls())
		}
	})
}
