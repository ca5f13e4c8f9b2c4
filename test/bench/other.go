package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// otherBuild is the name of the path through another build of s3veil.
const otherBuild = "other"

// other is a running process of another build, configured like the cluster's.
type other struct {
	endpoint string
	pid      int
}

func startOther(dir, program string, like *s3veil.Cluster) (*other, func(), error) {
	text, err := os.ReadFile(filepath.Join(like.Dir, "replica-0.yaml"))
	if err != nil {
		return nil, nil, err
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, nil, err
	}
	ports, err := servers.FreePorts(1)
	if err != nil {
		return nil, nil, err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", ports[0])
	config["listen"], config["admin"] = listen, "off"
	if text, err = json.Marshal(config); err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "other.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, nil, err
	}
	p, err := servers.StartProcess(servers.Spec{Name: otherBuild, Path: program, Log: filepath.Join(dir, "other.log"),
		Args: []string{"serve", "--config", file}})
	if err != nil {
		return nil, nil, err
	}
	if err := p.Await(10*time.Second, dials(listen)); err != nil {
		p.Kill()
		return nil, nil, err
	}
	return &other{"http://" + listen, p.PID()}, p.Kill, nil
}

// reportOther compares the two builds. Both run in every round, so the ratios of the rounds say more than that of the medians:
// what slows the machine down for a minute slows down both.
func reportOther(selected []scenario, results map[string]map[string][]sample) {
	fmt.Println()
	fmt.Println("| Scenario | s3veil | other build | s3veil / other: median [middle half] of the rounds |")
	fmt.Println("|---|---|---|---|")
	for _, s := range selected {
		per, unit := s.bytesMoved()/(1<<30), 1.0
		if s.small {
			per, unit = float64(s.count), 1e6
		}
		cpu := func(x sample) float64 { return x.cpu / per * unit }
		ours, theirs := pick(results[s.name]["s3veil"], cpu), pick(results[s.name][otherBuild], cpu)
		now, nowMin := medianMin(ours)
		was, wasMin := medianMin(theirs)
		ratio, low, high := ratios(ours, theirs)
		fmt.Printf("| %s | %.4g [%.4g] | %.4g [%.4g] | **%.3f** [%.3f–%.3f] |\n", s.name, now, nowMin, was, wasMin, ratio, low, high)
	}
}

// ratios are the quartiles of a/b, round by round.
func ratios(a, b []float64) (median, low, high float64) {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = a[i] / b[i]
	}
	slices.Sort(all)
	at := func(q float64) float64 { return all[int(q*float64(len(all)-1)+0.5)] }
	return at(0.5), at(0.25), at(0.75)
}
