package audit

import (
	"path/filepath"
	"testing"
)

func BenchmarkWrite(b *testing.B) {
	for name, chain := range map[string]bool{"chain": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			l, f, err := OpenFile(filepath.Join(b.TempDir(), "audit.log"), chain)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			r := full()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = l.Write(r)
				}
			})
		})
	}
}
