package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// reportOther compares the two builds.
func reportOther(selected []scenario, results map[string]map[string][]sample) {
	fmt.Println()
	fmt.Println("| Scenario | s3veil | other build | s3veil / other |")
	fmt.Println("|---|---|---|---|")
	for _, s := range selected {
		per, unit := s.bytesMoved()/(1<<30), 1.0
		if s.small {
			per, unit = float64(s.count), 1e6
		}
		cpu := func(x sample) float64 { return x.cpu / per * unit }
		now, nowMin := medianMin(pick(results[s.name]["s3veil"], cpu))
		was, wasMin := medianMin(pick(results[s.name][otherBuild], cpu))
		fmt.Printf("| %s | %.4g [%.4g] | %.4g [%.4g] | **%.2f** |\n", s.name, now, nowMin, was, wasMin, now/was)
	}
}
