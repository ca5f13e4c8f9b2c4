package main

import (
	"fmt"
	"runtime"
	"slices"
)

func medianMin(values []float64) (median, least float64) {
	v := slices.Sorted(slices.Values(values))
	return v[len(v)/2], v[0]
}

func pick(samples []sample, f func(sample) float64) []float64 {
	var out []float64
	for _, s := range samples {
		out = append(out, f(s))
	}
	return out
}

// report prints one markdown table: CPU of the process in the middle, median [minimum], and throughput.
func report(selected []scenario, results map[string]map[string][]sample, rounds int) {
	gcm, sha := primitives()
	fmt.Printf("%d rounds, %s, %d CPUs. AES-256-GCM %.3f s/GiB, SHA-256 %.3f s/GiB. CPU: median [minimum]; s/GiB, or µs per request.\n\n",
		rounds, runtime.Version(), runtime.NumCPU(), gcm, sha)
	fmt.Println("| Scenario | relay | limit | s3veil | s3veil / limit | target | MiB/s direct, relay, s3veil | peak RSS |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, s := range selected {
		gib, unit := s.bytesMoved()/(1<<30), 1.0
		per := gib
		if s.small {
			per, unit = float64(s.count), 1e6
		}
		cpu := func(x sample) float64 { return x.cpu / per * unit }
		relayMed, relayMin := medianMin(pick(results[s.name]["relay"], cpu))
		veilMed, veilMin := medianMin(pick(results[s.name]["s3veil"], cpu))
		limit := relayMed
		if !s.small {
			limit += gcm
			if s.payload == signed {
				limit += sha
			}
		}
		rate := func(name string) float64 {
			wall, _ := medianMin(pick(results[s.name][name], func(x sample) float64 { return x.wall }))
			return s.bytesMoved() / (1 << 20) / wall
		}
		rss := slices.Max(pick(results[s.name]["s3veil"], func(x sample) float64 { return float64(x.rss) }))
		target := "–"
		if s.target > 0 {
			target = fmt.Sprintf("≤ %.2f", s.target)
		}
		format := "%.3f [%.3f]"
		if s.small {
			format = "%.1f [%.1f]"
		}
		fmt.Printf("| %s | "+format+" | %.3g | "+format+" | **%.2f** | %s | %.0f, %.0f, %.0f | %.0f MiB |\n", s.name, relayMed, relayMin, limit,
			veilMed, veilMin, veilMed/limit, target, rate("direct"), rate("relay"), rate("s3veil"), rss/(1<<20))
	}
}
