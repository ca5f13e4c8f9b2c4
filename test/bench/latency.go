package main

import (
	"fmt"
	"slices"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// latencyRequests is how many requests of each kind take turns.
const latencyRequests = 4000

// latency compares how long single small requests take through s3veil and without it, one after the other on one connection
// each, taking turns.
func latency(scale float64) error {
	store, stop, err := startStore()
	if err != nil {
		return err
	}
	defer stop()
	defer s3veil.RemoveBuild(false)
	cluster, err := s3veil.Start(s3veil.Options{Store: &servers.Store{Kind: "stub", Endpoint: store, AccessKey: "a", SecretKey: "b"}})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	veil := newClient(cluster.Endpoint(), cluster.AccessKey, cluster.SecretKey)
	direct := newClient(store, cluster.AccessKey, cluster.SecretKey)
	body := newPayload(unsigned, make([]byte, smallObject))
	if _, err := veil.do("PUT", smallKey, &body, ""); err != nil {
		return err
	}
	fmt.Println("| Request, idle connection pools, 1 client | direct p50, p99 | s3veil p50, p99 | added p50, p99 | target |")
	fmt.Println("|---|---|---|---|---|")
	for _, method := range []string{"PUT", "GET"} {
		ask := func(c *client) (time.Duration, error) {
			start := time.Now()
			var err error
			if method == "PUT" {
				_, err = c.do("PUT", "put-latency", &body, "")
			} else {
				_, err = c.do("GET", smallKey, nil, "")
			}
			return time.Since(start), err
		}
		var times [2][]time.Duration
		for i := range max(100, int(latencyRequests*scale)) {
			for k, c := range []*client{direct, veil} {
				d, err := ask(c)
				if err != nil {
					return err
				}
				if i >= 50 { // warm by then
					times[k] = append(times[k], d)
				}
			}
		}
		at := func(k int, share float64) float64 {
			slices.Sort(times[k])
			return float64(times[k][int(share*float64(len(times[k])-1))].Microseconds())
		}
		fmt.Printf("| %s 4 KiB | %.0f, %.0f µs | %.0f, %.0f µs | **%.0f, %.0f µs** | ≤ 300, 2000 µs |\n", method, at(0, .5), at(0, .99), at(1, .5), at(1, .99),
			at(1, .5)-at(0, .5), at(1, .99)-at(0, .99))
	}
	return listing()
}
